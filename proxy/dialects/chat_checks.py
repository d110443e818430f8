"""What an OpenAI chat body must be for a writer to understand it: nothing of it may vanish without a word."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from proxy.errors import failure

Wire = Dict[str, Any]

NUMBER: Tuple[type, ...] = (int, float)
SHAPES: Dict[str, Tuple[Tuple[type, ...], str]] = {
    "messages": ((list,), "an array"),
    "tools": ((list,), "an array"),
    "functions": ((list,), "an array"),
    "tool_choice": ((str, dict), "a string or an object"),
    "function_call": ((str, dict), "a string or an object"),
    "response_format": ((dict,), "an object"),
    "stop": ((str, list), "a string or an array of strings"),
    "temperature": (NUMBER, "a number"),
    "top_p": (NUMBER, "a number"),
}


def check_chat(chat: Mapping[str, Any]) -> None:
    """Raise ProxyError 400, naming the place, for a part of a chat that cannot be understood."""
    for name, (kinds, wanted) in SHAPES.items():
        value = chat.get(name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise failure("invalid_type", f"Invalid type for '{name}': expected {wanted}.", name)
    for name in ("tools", "functions"):
        _all_objects(name, chat.get(name) or [])
    for place, message in enumerate(chat.get("messages") or []):
        _check_message(f"messages[{place}]", message)


def _check_message(where: str, message: Any) -> None:
    _all_objects(where, [message], numbered=False)
    content, calls = message.get("content"), message.get("tool_calls")
    if not isinstance(content, (str, list, type(None))):
        raise _wrong(f"{where}.content", "a string or an array of parts")
    for place, part in enumerate(content if isinstance(content, list) else []):
        _check_part(f"{where}.content[{place}]", part)
    if not isinstance(calls, (list, type(None))):
        raise _wrong(f"{where}.tool_calls", "an array")
    _all_objects(f"{where}.tool_calls", calls or [])


def _check_part(where: str, part: Any) -> None:
    if isinstance(part, str):
        return
    _all_objects(where, [part], numbered=False)
    kind = part.get("type")
    if kind == "text" and not isinstance(part.get("text"), str):
        raise _wrong(f"{where}.text", "a string")
    if kind == "image_url":
        told = part.get("image_url")
        url = told.get("url") if isinstance(told, dict) else told
        if not (isinstance(url, str) and url):
            raise _wrong(f"{where}.image_url.url", "a string")


def _all_objects(where: str, values: Any, *, numbered: bool = True) -> None:
    for place, value in enumerate(values):
        if not isinstance(value, dict):
            raise _wrong(f"{where}[{place}]" if numbered else where, "an object")


def _wrong(where: str, wanted: str) -> Exception:
    return failure("invalid_type", f"Invalid type for '{where}': expected {wanted}.", where)
