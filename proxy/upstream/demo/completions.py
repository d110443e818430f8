"""Legacy completions of the demo provider: a prompt goes on, in one text or many (spec 1.9)."""

from __future__ import annotations

from typing import Any, NamedTuple

from proxy.upstream.demo.asked import COMPLETIONS, Asked, read_asked
from proxy.upstream.demo.play import Model, Play, Wire, usage
from proxy.upstream.demo.words import count, identity, pick, ranked, stopped, tokens

DEFAULT_LIMIT = 16  # OpenAI's; the texts below just fit
CONTINUATIONS = (
    " and from {tail} the demo provider continues, word by word.",
    " is where you stopped; after {tail} the demo goes on.",
)


class Prompt(NamedTuple):
    """One prompt: its text (empty where it came as token numbers) and how many tokens it is."""

    text: str
    size: int


class Text(NamedTuple):
    """One choice: the tokens it is said in, how many of them are new, and why it ended."""

    words: list[str]
    spent: int
    reason: str


def read_completions(body: bytes) -> Asked:
    """Read a legacy ask; raises Refused."""
    return read_asked(body, COMPLETIONS, "prompt")


def completions(asked: Asked, _: Model) -> Play:
    """Continue each prompt ``n`` times; a choice's index is the prompt's place x n + the sample (spec 1.9)."""
    prompts, samples = prompts_of(asked.body["prompt"]), asked.number("n", 1)
    texts = [_text(asked, prompt, sample) for prompt in prompts for sample in range(samples)]
    name, created = identity(asked, "cmpl")
    reply = {
        "id": name,
        "object": "text_completion",
        "created": created,
        "model": asked.model,
        "choices": [_choice(asked, text, place) for place, text in enumerate(texts)],
        "usage": usage(sum(prompt.size for prompt in prompts), sum(text.spent for text in texts)),
        "system_fingerprint": "fp_demo",
    }
    chunks = [_chunks(asked, text, place) for place, text in enumerate(texts)]
    # Chunks of this endpoint bear the same object name as the whole.
    return Play(reply, "text_completion", chunks, asked.show_usage)


def prompts_of(prompt: Any) -> list[Prompt]:
    """All prompts: a string, token numbers, or a list of either."""
    many = isinstance(prompt, list) and not isinstance(prompt[0], int)
    return [_prompt(one) for one in (prompt if many else [prompt])]


def _prompt(said: Any) -> Prompt:
    return (
        Prompt(said, count(said)) if isinstance(said, str) else Prompt("", len(said) if isinstance(said, list) else 1)
    )


def _text(asked: Asked, prompt: Prompt, sample: int) -> Text:
    tail = " ".join(prompt.text.split()[-3:])
    text = pick(CONTINUATIONS, asked, 0, sample).format(tail=f"“{tail}”" if tail else "here")
    said = tokens(stopped(text, asked.body.get("stop")))
    limit = asked.number("max_tokens", DEFAULT_LIMIT)
    echoed = tokens(prompt.text) if asked.body.get("echo") else []
    return Text(echoed + said[:limit], len(said[:limit]), "length" if len(said) > limit else "stop")


def _choice(asked: Asked, text: Text, place: int) -> Wire:
    logprobs = _logprobs(asked, text.words, 0)
    return {"index": place, "text": "".join(text.words), "logprobs": logprobs, "finish_reason": text.reason}


def _chunks(asked: Asked, text: Text, place: int) -> list[Wire]:
    """A choice word by word, then an empty text with the reason."""
    chunks: list[Wire] = []
    offset = 0
    for word in text.words:
        logprobs = _logprobs(asked, [word], offset)
        chunks.append({"index": place, "text": word, "logprobs": logprobs, "finish_reason": None})
        offset += len(word)
    return [*chunks, {"index": place, "text": "", "logprobs": None, "finish_reason": text.reason}]


def _logprobs(asked: Asked, words: list[str], offset: int) -> Wire | None:
    """Four lists of the same length, the first in characters from the text's beginning."""
    width = asked.body.get("logprobs")
    if width is None:
        return None
    ranks = [[ranked(word, rank) for rank in range(max(width, 1))] for word in words]
    return {
        "tokens": words,
        "token_logprobs": [rank[0]["logprob"] for rank in ranks],
        "top_logprobs": [{one["token"]: one["logprob"] for one in rank[:width]} for rank in ranks],
        "text_offset": [offset + sum(map(len, words[:place])) for place in range(len(words))],
    }
