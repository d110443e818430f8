"""Calls and speech as OpenAI's wire has them: whole in a message, or in pieces in a delta."""

from __future__ import annotations

from typing import Any, Dict

from proxy.chat.events import Audio, ToolArguments, ToolCall
from proxy.chat.reply import Call

Wire = Dict[str, Any]


def write_call(call: Call) -> Wire:
    """One item of a message's ``tool_calls``."""
    said: Wire = {"id": call.id, "type": call.kind}
    inner = {"name": call.name, argument_key(call.kind): call.arguments, **call.inner}
    return _with_inner(said, call.kind, inner, call.extra)


def write_head(event: ToolCall, kind: str, *, first: bool) -> Wire:
    """A delta with a call's head and empty arguments; a later head says only what is new (C17)."""
    inner: Wire = {"name": event.name} if first or event.name else {}
    if first:
        inner[argument_key(kind)] = ""
    inner.update(event.inner)
    if kind == "function_call":
        return {"function_call": inner}
    said: Wire = {"index": event.slot, "id": event.id, "type": kind} if first else {"index": event.slot}
    if event.id:
        said["id"] = event.id
    return {"tool_calls": [_with_inner(said, kind, inner, event.extra)]}


def write_arguments(event: ToolArguments, kind: str) -> Wire:
    """A delta with a piece of a call's arguments."""
    inner = {argument_key(kind): event.text}
    if kind == "function_call":
        return {"function_call": inner}
    return {"tool_calls": [{"index": event.slot, object_key(kind): inner}]}


def write_audio(event: Audio) -> Wire:
    """A delta with a piece of speech."""
    said = {"id": event.id, "transcript": event.transcript, "data": event.data, "expires_at": event.expires_at}
    return {"audio": {**{name: value for name, value in said.items() if value is not None}, **event.extra}}


def argument_key(kind: str) -> str:
    """Where a call of this kind has its argument text."""
    return "input" if kind == "custom" else "arguments"


def object_key(kind: str) -> str:
    """Where a call of this kind has its name and arguments."""
    return "custom" if kind == "custom" else "function"


def _with_inner(said: Wire, kind: str, inner: Wire, extra: Wire) -> Wire:
    """A kind of call that nobody knows keeps its own object, which is in ``extra``, and gets no empty one of ours."""
    if inner and (kind in ("function", "custom") or any(inner.values())):
        said[object_key(kind)] = inner
    said.update((key, value) for key, value in extra.items() if key not in said)
    return said
