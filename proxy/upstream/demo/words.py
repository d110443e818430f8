"""What the demo provider has to say: friendly text that depends on the question alone. It knows no wire format."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Iterable, Mapping, Sequence

from proxy.upstream.demo.asked import Asked

# One token: a word with the space before it; scripts without spaces go character by character.
TOKEN = re.compile(
    r"\s*(?:[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+)|\s+\Z"
)
LONGEST_QUOTE = 200
LONGEST_QUESTION = 2000  # characters

OPENINGS = (
    "Hello! You asked {quote}, and here is your answer.",
    "Thank you for {quote}, it arrived in one piece.",
    "I received {quote} and read it twice.",
    "You said {quote}, and I heard every word.",
)
MIDDLES = (
    "I am the demo provider that lives inside this proxy, so this cost nothing and no byte left your machine.",
    "I am a demo and only pretend to think, but my answers travel the same way as those of a real model.",
    "There is no model behind this: the proxy carries a demo provider, so that you can try it without a key.",
)
CLOSINGS = (
    "Ask again and you will get this very answer, streamed or whole.",
    "List the models to see how I can misbehave, for example demo-slow or demo-cut.",
    "Start the proxy with --url to talk to a real provider.",
)
THOUGHTS = (
    "The question is {quote}, and it is the last message that counts.",
    "I will quote it.",
    "Then I say what I am and keep it short.",
)


def tokens(text: str) -> list[str]:
    """``text`` cut into what this provider counts and streams: joined, they are the text again."""
    return TOKEN.findall(text)


def count(text: str) -> int:
    """How many tokens ``text`` is, without making a list of them."""
    return sum(1 for _ in TOKEN.finditer(text))


def text_of(content: Any) -> str:
    """The text of a message's content, be it a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def last_question(messages: Iterable[Mapping[str, Any]]) -> str:
    """What the user said last, the beginning of it where it is very long; empty where no user spoke."""
    said = [text_of(message.get("content")) for message in messages if message["role"] == "user"]
    return said[-1].strip()[:LONGEST_QUESTION] if said else ""


def quoted(text: str) -> str:
    """``text`` on one line in quotes, shortened at a word where it is long."""
    line = " ".join(text.split())
    if len(line) > LONGEST_QUOTE:
        line = line[:LONGEST_QUOTE].rsplit(" ", 1)[0] + "…"
    return f"“{line}”" if line else "nothing at all"


def pick(lines: Sequence[str], asked: Asked, place: int, choice: int) -> str:
    """One of ``lines``: the same for the same words, another for the next choice."""
    return lines[(int(asked.voice[place * 2 : place * 2 + 2], 16) + choice) % len(lines)]


def prose(asked: Asked, choice: int) -> str:
    """The answer in prose: a quote of the question, and what this is."""
    messages = asked.body["messages"]
    parts = [pick(OPENINGS, asked, 0, choice).format(quote=quoted(last_question(messages)))]
    parts += told_by_tools(messages)
    images = sum(part.get("type") == "image_url" for part in parts_of(messages))
    if images:
        parts.append(f"I see {images} image{'s' * (images > 1)} in it, and I like what I see.")
    if not told_by_tools(messages):
        parts.append(pick(MIDDLES, asked, 1, choice))
    parts.append(pick(CLOSINGS, asked, 2, choice))
    return " ".join(parts)


def told_by_tools(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for each tool result that ends the conversation."""
    told: list[str] = []
    for message in reversed(messages):
        if message["role"] not in ("tool", "function"):
            break
        told.append(f"The tool told me {quoted(text_of(message.get('content')))}, and I believe it.")
    return told[::-1]


def parts_of(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The content parts of the last message, where it has a list of them."""
    content = messages[-1].get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def thought(asked: Asked) -> str:
    """What a reasoning model thinks before it answers."""
    return " ".join(THOUGHTS).format(quote=quoted(last_question(asked.body["messages"])))


def stopped(text: str, stop: Any) -> str:
    """``text`` up to the first of the stop sequences (a string or a list of them)."""
    stops = [stop] if isinstance(stop, str) else stop or []
    found = [text.find(end) for end in stops if isinstance(end, str) and end and end in text]
    return text[: min(found)] if found else text


def identity(asked: Asked, prefix: str) -> tuple[str, int]:
    """The id and the creation time (Unix seconds) of an answer, from its question alone."""
    return f"{prefix}-{asked.seed[:24]}", 1_700_000_000 + int(asked.seed[24:31], 16) % 50_000_000


def ranked(word: str, rank: int) -> dict[str, Any]:
    """The token at ``rank`` beside ``word`` (which is at 0), and its log probability, from the word's hash."""
    token = word + "~" * rank
    logprob = -(sha256(word.encode()).digest()[0] + 1) / 1024 - 1.25 * rank
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
