"""A whole answer of Anthropic's: a message with blocks, read into our words and written from them."""

from __future__ import annotations

from math import ceil
from typing import Any, Dict, List, Mapping, Optional

from proxy.chat.ask import Ask
from proxy.chat.reply import Call, Choice, Reply
from proxy.chat.slots import word
from proxy.dialects.anthropic_blocks import (
    Ids,
    citations_of,
    kept,
    nothing_said,
    own_of,
    read_head,
    write_content,
    written_input,
)
from proxy.dialects.anthropic_ends import Made, derive_end, kept_end, matched_stop, read_reason
from proxy.dialects.anthropic_names import given_names
from proxy.dialects.anthropic_tables import CALL, OWN
from proxy.dialects.anthropic_tokens import count_tokens, weight
from proxy.dialects.anthropic_usage import read_usage, write_usage
from proxy.dialects.dialect import Stamp, Wire
from proxy.errors import failure

ENVELOPE = frozenset(("id", "type", "role", "model", "content", "usage"))
FOREIGN_IDS = ("chatcmpl-", "cmpl-")


def read_reply(body: Wire, ask: Optional[Ask] = None) -> Reply:
    """Read a ``message``; raises ProxyError ``invalid_upstream_response`` for anything else."""
    if not isinstance(body, dict) or not isinstance(body.get("content"), list):
        raise failure("invalid_upstream_response", "The provider's answer has no list of content blocks.")
    blocks = [block for block in body["content"] if isinstance(block, dict)]
    choice = Choice(role=word(body, "role") or "assistant", reason=read_reason(body.get("stop_reason")))
    choice.text = "".join(word(block, "text") for block in blocks if block.get("type") == "text") or None
    thinking = "".join(word(block, "thinking") for block in blocks if block.get("type") == "thinking")
    choice.reasoning = {"reasoning_content": thinking} if thinking else {}
    names = given_names(ask)
    choice.calls = [_call(block, names) for block in blocks if block.get("type") == CALL]
    choice.blank = {**nothing_said(choice.text is not None, bool(choice.calls)), **kept(body["content"])}
    choice.note = noted(blocks)
    usage = body.get("usage")
    return Reply(
        id=word(body, "id"),
        model=word(body, "model"),
        choices=[choice],
        usage=read_usage(usage) if isinstance(usage, dict) else None,
        extra=kept_end(envelope_of(body), bool(choice.calls)),
    )


def envelope_of(message: Mapping[str, Any]) -> Wire:
    """What a message says besides what every answer has."""
    return {key: value for key, value in message.items() if key not in ENVELOPE}


def noted(blocks: List[Wire]) -> Wire:
    """What OpenAI's clients know of a message besides its text and calls."""
    cited = citations_of(blocks)
    return {"annotations": cited} if cited else {}


def _call(block: Mapping[str, Any], names: Mapping[str, str]) -> Call:
    name = names.get(word(block, "name"), word(block, "name"))
    return Call(word(block, "id"), name, "function", written_input(block.get("input")), read_head(block))


def write_reply(reply: Reply, *, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None) -> Wire:
    """Spell the whole answer: its first choice, for a message has no more."""
    choice = reply.choices[0] if reply.choices else Choice()
    body: Wire = {**write_head(reply.id, reply.model, ask, stamp), "role": choice.role}
    body["content"] = content = write_content(choice, given_names(ask), Ids(body["id"]))
    calls = any(block.get("type") == CALL for block in content)
    body.update(derive_end(choice.reason, Made(calls, bool(choice.refusal), matched_stop(choice.extra))))
    told = {} if reply.usage is None else write_usage(reply.usage)
    known = {"input_tokens", "output_tokens"} <= told.keys() or OWN in (reply.usage or {})
    body["usage"] = told if known else {**estimated(ask, content), **told}
    body.update(own_of(reply.extra))
    return body


def write_head(identity: str, model: str, ask: Optional[Ask], stamp: Optional[Stamp]) -> Wire:
    """The head of a message: a foreign or missing id becomes one of Anthropic's form."""
    if stamp and identity == stamp.id:
        identity = ""
    for foreign in FOREIGN_IDS:
        if identity.startswith(foreign):
            identity = "msg_" + identity[len(foreign) :]
    said = identity or (f"msg_{stamp.id}" if stamp else "msg_0")
    return {"id": said, "type": "message", "role": "assistant", "model": model or (ask.model if ask else "")}


def estimated(ask: Optional[Ask], content: List[Wire]) -> Dict[str, int]:
    """Token counts for clients that cannot do without, where the provider told none (reference 1.6, 1.12)."""
    said = sum(weight(_said(block)) for block in content)
    return {"input_tokens": count_tokens(ask) if ask else 0, "output_tokens": ceil(said)}


def _said(block: Wire) -> str:
    """What of a block was told piece by piece, if it was streamed."""
    called = block.get("type") == CALL
    return written_input(block.get("input")) if called else word(block, "text") or word(block, "thinking")
