"""The client's question: understood only as far as needed, forwarded as it came wherever that is possible."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple

from proxy.chat.ask import Ask
from proxy.dialects.json_text import read_json, write_json
from proxy.errors import ProxyError, failure

Kinds = Tuple[type, ...]

NAMES: Dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}
# Clients keep a list of choices; an index far beyond any n is a mistake, not a choice that others have to lead up to.
MOST_CHOICES = 128
CHAT: Dict[str, Kinds] = {"model": (str,), "messages": (list,)}
COMPLETIONS: Dict[str, Kinds] = {"model": (str,)}
OPTIONAL: Dict[str, Kinds] = {"stream": (bool, type(None)), "stream_options": (dict, type(None))}


def read_ask(body: bytes, fields: Mapping[str, Kinds] = CHAT) -> Ask:
    """Read JSON whatever its content type says; raises ProxyError 400 that names the field, or the place (C08).

    ``fields`` must be there and of these types; nothing else is looked at but ``stream`` and ``stream_options``.
    """
    said = _object(body)
    for name, kinds in fields.items():
        if name not in said:
            raise failure("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
        _check(name, said[name], kinds)
    for name, kinds in OPTIONAL.items():
        _check(name, said.get(name), kinds)
    if not said["model"]:
        raise failure(
            "invalid_value", "Invalid value for 'model': expected a model's name, found an empty string.", "model"
        )
    options = said.get("stream_options") or {}
    return Ask(
        model=said["model"],
        stream=said.get("stream") is True,
        body=said,
        show_usage=options.get("include_usage") is True,
        named_tool=named_tool(said),
        raw=body,
    )


def write_ask(ask: Ask, *, stream: bool, ask_usage: bool, options: bool = True) -> bytes:
    """The provider's body in that mode: the client's own bytes if nothing changes (C10, C11, C53)."""
    body = dict(ask.body)
    if stream != ask.stream:
        body["stream"] = stream
    if not (stream and options):
        body.pop("stream_options", None)
    elif ask_usage:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return ask.raw if ask.raw and body == ask.body else write_json(body)


def named_tool(body: Mapping[str, Any]) -> Optional[str]:
    """The one tool that an ask forces by its name, if it does."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        named = choice.get("function") or choice.get("custom") or choice
    else:
        named = body.get("function_call")
    name = named.get("name") if isinstance(named, dict) else None
    return name if isinstance(name, str) and name else None


def asked_choices(ask: Optional[Ask]) -> int:
    """How many choices the answer to an ask has: ``n``, for each prompt where several were given (spec 1.9)."""
    if ask is None:
        return 1
    count, prompts = ask.body.get("n"), ask.body.get("prompt")
    several = isinstance(prompts, list) and "messages" not in ask.body and not any(isinstance(p, int) for p in prompts)
    each = count if isinstance(count, int) and not isinstance(count, bool) and count > 1 else 1
    return each * (len(prompts) if several and prompts else 1)


def _object(body: bytes) -> Dict[str, Any]:
    if not body.strip():
        raise failure("invalid_json", "The request has no body; a JSON object is expected.")
    try:
        said = read_json(body)
    except ValueError as exc:
        raise _unreadable(body, exc) from exc
    if not isinstance(said, dict):
        raise failure("invalid_type", f"Invalid body: expected a JSON object, found {NAMES[type(said)]}.")
    return said


def _unreadable(body: bytes, exc: ValueError) -> ProxyError:
    """Where the JSON ends to be JSON, as a byte and as a line."""
    if isinstance(exc, UnicodeDecodeError):
        where, what = exc.start, "this byte is not UTF-8"
    elif isinstance(exc, json.JSONDecodeError):
        where, what = len(exc.doc[: exc.pos].encode("utf-8", "surrogatepass")), exc.msg
    else:
        return failure("invalid_json", f"The request's body cannot be read as JSON: {exc}.")
    line = body.count(b"\n", 0, where) + 1
    return failure("invalid_json", f"The request's body is not JSON: {what} (line {line}, byte {where}).")


def _check(name: str, value: Any, kinds: Kinds) -> None:
    if not isinstance(value, kinds):
        wanted = " or ".join(NAMES[kind] for kind in kinds)
        text = f"Invalid type for '{name}': expected {wanted}, found {NAMES[type(value)]}."
        raise failure("invalid_type", text, name)
