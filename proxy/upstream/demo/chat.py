"""Chat completions of the demo provider: a question becomes pieces, these a reply and chunks (spec 1.3, 1.4)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from msgspec import json

from proxy.upstream.demo.asked import CHAT, Asked, read_asked
from proxy.upstream.demo.play import Model, Play, Wire, usage
from proxy.upstream.demo.samples import sample
from proxy.upstream.demo.tools import Call, calls_for
from proxy.upstream.demo.words import count, identity, last_question, prose, ranked, stopped, text_of, thought, tokens


class Piece(NamedTuple):
    """One chunk's worth: ``kind`` is reasoning, content, call (the head of ``call``) or arguments."""

    kind: str
    text: str = ""
    slot: int = 0
    call: Call | None = None


class Answer(NamedTuple):
    """One choice: its pieces in order, and why it ended."""

    pieces: list[Piece]
    reason: str

    def joined(self, kind: str, slot: int = 0) -> str:
        """The text of all pieces of a kind (and of one tool call)."""
        return "".join(piece.text for piece in self.pieces if piece.kind == kind and piece.slot == slot)

    def spent(self, *kinds: str) -> int:
        """How many tokens the pieces of these kinds are; every piece but a call's head is one."""
        return sum(piece.kind in kinds for piece in self.pieces)


def read_chat(body: bytes) -> Asked:
    """Read a chat ask; raises Refused."""
    return read_asked(body, CHAT, "messages")


def chat(asked: Asked, model: Model) -> Play:
    """Answer a chat ask, once for each of its ``n`` choices."""
    answers = [_answer(asked, model, choice) for choice in range(asked.number("n", 1))]
    name, created = identity(asked, "chatcmpl")
    prompt = sum(count(text_of(message.get("content"))) for message in asked.body["messages"])
    thoughts = sum(answer.spent("reasoning") for answer in answers)
    spent = sum(answer.spent("reasoning", "content", "arguments") for answer in answers)
    reply = {
        "id": name,
        "object": "chat.completion",
        "created": created,
        "model": asked.model,
        "choices": [_choice(asked, answer, place) for place, answer in enumerate(answers)],
        "usage": usage(prompt, spent, thoughts),
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }
    chunks = [_chunks(asked, answer, place) for place, answer in enumerate(answers)]
    return Play(reply, "chat.completion.chunk", chunks, asked.show_usage)


def _answer(asked: Asked, model: Model, choice: int) -> Answer:
    calls, reason = calls_for(asked, choice, model.eager)
    pieces = [Piece("reasoning", word) for word in tokens(thought(asked))] if model.thinks else []
    for slot, call in enumerate(calls):
        pieces.append(Piece("call", slot=slot, call=call))
        pieces += [Piece("arguments", text, slot, call) for text in re.findall(r"\w+|\W+", call.arguments)]
    if not calls:
        pieces += [Piece("content", word) for word in tokens(stopped(_content(asked, choice), asked.body.get("stop")))]
    return _limited(pieces, reason, asked.number("max_completion_tokens", asked.number("max_tokens", len(pieces))))


def _limited(pieces: list[Piece], reason: str, limit: int) -> Answer:
    """The answer as far as the token limit lets it go."""
    kept: list[Piece] = []
    for piece in pieces:
        if limit <= 0:
            return Answer(kept, "length")
        kept.append(piece)
        limit -= piece.kind != "call"
    return Answer(kept, reason)


def _content(asked: Asked, choice: int) -> str:
    """The visible answer: prose, or JSON where the ask wants that."""
    wanted = asked.body.get("response_format") or {}
    question = last_question(asked.body["messages"])
    if wanted.get("type") == "json_schema":
        inner = wanted.get("json_schema")
        return json.encode(sample(inner.get("schema") if isinstance(inner, dict) else {}, question)).decode()
    if wanted.get("type") == "json_object":
        return json.encode({"question": question, "answer": prose(asked, choice)}).decode()
    return prose(asked, choice)


def _choice(asked: Asked, answer: Answer, place: int) -> Wire:
    """A choice of the whole reply."""
    message: Wire = {"role": "assistant", "content": answer.joined("content"), "refusal": None, "annotations": []}
    if answer.spent("reasoning"):
        message["reasoning_content"] = answer.joined("reasoning")
    heads = [piece for piece in answer.pieces if piece.call and piece.kind == "call"]
    calls = [_call(piece.call, answer.joined("arguments", piece.slot)) for piece in heads if piece.call]
    if calls:
        message["content"] = None
        message.update(calls[0] if "function_call" in calls[0] else {"tool_calls": calls})
    logprobs = _logprobs(asked, [piece.text for piece in answer.pieces if piece.kind == "content"])
    return {"index": place, "message": message, "logprobs": logprobs, "finish_reason": answer.reason}


def _chunks(asked: Asked, answer: Answer, place: int) -> list[Wire]:
    """The same choice as it is streamed: the role, a chunk for each piece, the reason."""
    called = any(piece.call for piece in answer.pieces)
    opening = {"role": "assistant", "content": None if called else "", "refusal": None}
    said = [(_delta(piece), piece.text if piece.kind == "content" else "") for piece in answer.pieces]
    chunks: list[Wire] = [
        {"index": place, "delta": delta, "logprobs": _logprobs(asked, [word] if word else []), "finish_reason": None}
        for delta, word in [(opening, ""), *said]
    ]
    return [*chunks, {"index": place, "delta": {}, "logprobs": None, "finish_reason": answer.reason}]


def _delta(piece: Piece) -> Wire:
    if piece.call is None:
        return {"reasoning_content" if piece.kind == "reasoning" else "content": piece.text}
    if piece.kind == "call":
        call = _call(piece.call, "")
        return call if piece.call.kind == "function_call" else {"tool_calls": [{"index": piece.slot, **call}]}
    # A continuation repeats neither id nor name: accumulators would double them (spec 1.5).
    key, field = ("custom", "input") if piece.call.kind == "custom" else ("function", "arguments")
    if piece.call.kind == "function_call":
        return {"function_call": {"arguments": piece.text}}
    return {"tool_calls": [{"index": piece.slot, key: {field: piece.text}}]}


def _call(call: Call, text: str) -> Wire:
    """A call with its ``text`` of arguments, as a message has it."""
    if call.kind == "function_call":
        return {"function_call": {"name": call.name, "arguments": text}}
    field = "input" if call.kind == "custom" else "arguments"
    return {"id": call.id, "type": call.kind, call.kind: {"name": call.name, field: text}}


def _logprobs(asked: Asked, words: list[str]) -> dict[str, Any] | None:
    """The log probabilities of ``words`` where the ask wants them: the likelier, the lower the word's hash."""
    if not asked.body.get("logprobs") or not words:
        return None
    width = asked.number("top_logprobs", 0)
    content = [{**ranked(word, 0), "top_logprobs": [ranked(word, rank) for rank in range(width)]} for word in words]
    return {"content": content, "refusal": None}
