"""Tool calls: Ollama has each one whole, its arguments an object; ours have an id and JSON text (C16, C20, C67)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from proxy.chat.reply import Call
from proxy.chat.slots import call_id, word
from proxy.dialects.json_text import read_json, write_json
from proxy.dialects.ollama_forms import CALL_KEYS, FUNCTION_KEYS, Wire, among, besides, difference, patched
from proxy.dialects.openai_reply import with_others
from proxy.errors import failure


def items_of(value: Any) -> List[Wire]:
    """The calls in a ``tool_calls``; none if anything in it is no call."""
    whole = isinstance(value, list) and all(isinstance(call, dict) and _function(call) is not None for call in value)
    return value if whole else []


def read_call(item: Wire, place: int, name: str, seed: str) -> Call:
    """The ``place``-th call of an answer; one without an id gets the same one each time it is read from ``seed``.

    ``name``: of the dialect, under which the call keeps what we would write differently.
    """
    function = _function(item) or {}
    text = arguments_text(function.get("arguments"))
    identity = word(item, "id") or call_id(f"{seed}/{word(function, 'name')}/{text}", 0, place)
    call = Call(identity, word(function, "name"), "function", text)
    told = _told(call, place, arguments_of(text) or {})
    mark = difference(besides(told, ("function",)), besides(among(item, CALL_KEYS), ("function",)))
    inner = difference(told["function"], among(function, FUNCTION_KEYS))
    if inner:
        mark["function"] = inner
    call.extra, call.inner = besides(item, CALL_KEYS), besides(function, FUNCTION_KEYS)
    if mark:
        call.extra[name] = mark
    return call


def write_call(call: Call, place: int, name: str) -> Wire:
    """An item of ``tool_calls``. Raises ProxyError for arguments that are no JSON object, which cannot be said."""
    mark = call.extra.get(name)
    inner = mark.get("function") if isinstance(mark, dict) else None
    arguments = {"input": call.arguments} if call.kind == "custom" else arguments_of(call.arguments)
    if arguments is None and not inner:
        text = f"The arguments of the call to {call.name!r} are not a JSON object: {call.arguments[:200]!r}."
        raise failure("invalid_upstream_response", text)
    told = _told(call, place, arguments or {})
    told["function"] = with_others(patched(told["function"], inner), call.inner)
    return with_others(patched(told, mark), besides(call.extra, (name,)))


def arguments_text(arguments: Any) -> str:
    """Arguments as the JSON text that others have; missing ones are an empty object."""
    if isinstance(arguments, str):
        return arguments
    return "{}" if arguments is None else write_json(arguments).decode()


def arguments_of(text: str) -> Optional[Dict[str, Any]]:
    """Arguments as an object, ``{}`` if there are none; None if they are anything else."""
    if not text.strip():
        return {}
    try:
        value = read_json(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _told(call: Call, place: int, arguments: Dict[str, Any]) -> Wire:
    return {"id": call.id, "function": {"index": place, "name": call.name, "arguments": arguments}}


def _function(call: Wire) -> Optional[Wire]:
    function = call.get("function")
    return function if isinstance(function, dict) else None
