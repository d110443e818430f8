"""A whole reply as strict clients need it: what is missing is added, nothing is dropped (spec 1.3)."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from proxy.chat.ask import Ask
from proxy.chat.slots import call_id, inner_of, kind_of
from proxy.dialects.failures import read_failure_reply
from proxy.dialects.openai_reasons import mended_reason, missing_reason
from proxy.dialects.openai_repair_calls import mend_call, mend_text
from proxy.dialects.openai_repair_notes import Notes, mend_head, place_of, read_object, reason_of, word, write_object
from proxy.dialects.openai_sound import Head
from proxy.errors import ProxyError, failure

BOM = b"\xef\xbb\xbf"


def mend_reply(
    body: bytes, ask: Ask, *, fallback_id: str, fallback_created: int, completions: bool = False
) -> Tuple[bytes, List[str]]:
    """The reply's very bytes if it is sound, else mended JSON; and the names of the repairs.

    Blanks in front are not part of it: some providers send them as heartbeats. Raises ProxyError for a failure told
    under status 200 (C38), and ``invalid_upstream_response`` for what is no reply (C43).
    """
    bare = body.lstrip()
    bare = bare[len(BOM) :].lstrip() if bare.startswith(BOM) else bare
    notes = Notes()
    reply = read_object(bare, notes)
    if reply is None:
        raise failure("invalid_upstream_response", "The provider's reply is not a JSON object.")
    failed = read_failure_reply(reply)
    if failed is not None:
        raise ProxyError(failed)
    if not isinstance(reply.get("choices"), list):
        raise failure("invalid_upstream_response", "The provider's reply has no choices.")
    _mend(reply, ask, Head("", fallback_id, fallback_created, ask.model), completions, notes)
    return (write_object(reply) if notes.touched else bare), list(notes.counts)


def mend_reply_json(
    reply: Dict[str, Any], ask: Ask, *, fallback_id: str, fallback_created: int, completions: bool = False
) -> List[str]:
    """Mend a decoded reply in place, for replies that were folded from a stream; the names of the repairs."""
    notes = Notes()
    _mend(reply, ask, Head("", fallback_id, fallback_created, ask.model), completions, notes)
    return list(notes.counts)


def _mend(reply: Dict[str, Any], ask: Ask, fallback: Head, completions: bool, notes: Notes) -> None:
    head = Head("text_completion" if completions else "chat.completion")
    mend_head(reply, head, fallback, notes)
    choices = reply.get("choices")
    for position, choice in enumerate(choices if isinstance(choices, list) else []):
        if isinstance(choice, dict):
            index = place_of(choice, position, notes)
            kinds = _mend_text(choice, notes) if completions else _mend_message(choice, index, head.id, notes)
            _mend_reason(choice, kinds, ask, notes)


def _mend_text(choice: Dict[str, Any], notes: Notes) -> List[str]:
    if not isinstance(choice.get("text"), str):
        choice["text"] = ""
        notes.mended("text")
    return []


def _mend_message(choice: Dict[str, Any], index: int, reply_id: str, notes: Notes) -> List[str]:
    """Role and content are always there, calls have what identifies them; returns the kinds of the calls made."""
    message = choice.get("message")
    if not isinstance(message, dict):
        delta = choice.get("delta")
        message = choice["message"] = dict(delta) if isinstance(delta, dict) else {}
        notes.mended("message")
    if not word(message.get("role")):
        message["role"] = "assistant"
        notes.mended("role")
    if "content" not in message:
        message["content"] = None
        notes.mended("content")
    return _mend_calls(message, reply_id, index, notes)


def _mend_calls(message: Dict[str, Any], reply_id: str, index: int, notes: Notes) -> List[str]:
    found = message.get("tool_calls")
    calls = [call for call in found if isinstance(call, dict)] if isinstance(found, list) else []
    for number, call in enumerate(calls):
        mend_call(call, kind_of(call), call_id(reply_id, index, number), notes)
        _mend_inner(inner_of(call), notes)
    function = message.get("function_call")
    if isinstance(function, dict) and word(function.get("name")):
        mend_text(function, "arguments", notes)
        return [*(word(call["type"]) for call in calls), "function_call"]
    return [word(call["type"]) for call in calls]


def _mend_inner(inner: Any, notes: Notes) -> None:
    """Arguments are text, be it empty."""
    key = "input" if "input" in inner else "arguments"
    if inner and inner.get(key) is None:
        inner[key] = ""
        notes.mended("arguments")
    mend_text(inner, key, notes)


def _mend_reason(choice: Dict[str, Any], kinds: List[str], ask: Ask, notes: Notes) -> None:
    """A whole reply has ended: a reason it does not give is made from what it holds (spec 1.6(i))."""
    said = reason_of(choice)
    due = mended_reason(said, kinds, ask.named_tool) if said else missing_reason(kinds)
    if choice.get("finish_reason") != due:
        choice["finish_reason"] = due
        notes.mended("finish_reason")
