"""A whole reply as strict clients need it: what is missing is added, nothing is dropped (spec 1.3)."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from proxy.chat.ask import Ask
from proxy.chat.slots import call_id, inner_of, kind_of, word
from proxy.dialects.openai_reasons import mended_reason, missing_reason
from proxy.dialects.openai_repair_calls import mend_call, mend_text
from proxy.dialects.openai_repair_notes import Notes, mend_head, place_of, reason_of
from proxy.dialects.openai_sound import Head, is_sound_reply
from proxy.errors import failure


def mend_reply_json(
    reply: Dict[str, Any], ask: Ask, *, fallback_id: str, fallback_created: int, completions: bool = False
) -> List[str]:
    """Mend a decoded reply in place; the names of the repairs.

    Raises ProxyError ``invalid_upstream_response`` for what has no list of choices (C43), before anything is changed.
    """
    if not completions and is_sound_reply(reply):
        return []
    return look_closer(reply, ask, Head("", fallback_id, fallback_created, ask.model), completions=completions)


def look_closer(reply: Dict[str, Any], ask: Ask, fallback: Head, *, completions: bool) -> List[str]:
    """The same for a reply that may need it."""
    choices = reply.get("choices")
    if not isinstance(choices, list):
        raise failure("invalid_upstream_response", "The provider's answer has no list of choices.")
    notes = Notes()
    head = Head("text_completion" if completions else "chat.completion")
    mend_head(reply, head, fallback, notes)
    for choice, index in _placed(choices, notes):
        kinds = _mend_text(choice, notes) if completions else _mend_message(choice, index, head.id, notes)
        _mend_reason(choice, kinds, ask, notes)
    return list(notes.counts)


def _placed(choices: List[Any], notes: Notes) -> List[Tuple[Dict[str, Any], int]]:
    """The choices and their indices, which are their places where two have the same: both are answers."""
    found = [(place, choice) for place, choice in enumerate(choices) if isinstance(choice, dict)]
    indices = [place_of(choice, place, notes) for place, choice in found]
    if len(set(indices)) < len(indices):
        indices = [place for place, _ in found]
        for place, choice in found:
            choice["index"] = place
        notes.mended("index")
    return [(choice, index) for (_, choice), index in zip(found, indices)]


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
    if not word(message, "role"):
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
    if isinstance(function, dict) and word(function, "name"):
        mend_text(function, "arguments", notes)
        return [*(word(call, "type") for call in calls), "function_call"]
    return [word(call, "type") for call in calls]


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
