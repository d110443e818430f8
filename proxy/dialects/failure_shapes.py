"""The shapes in which providers put a failure into JSON, and what each says (spec 3.5, 3.6 step 2)."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Optional, Tuple

import msgspec
from msgspec import Struct, field

# How deep objects inside objects are followed for the one that tells.
DEPTH = 5
MESSAGE_KEYS = ("message", "msg", "error_msg", "error_message", "errorMessage", "error_description", "detail")
LESS_KEYS = ("Message", "status_msg", "description", "reason", "title")
CODE_KEYS = ("code", "error_code", "errorCode", "errcode", "Code")
TYPE_KEYS = ("type", "error_type", "__type")
STATUS_KEYS = ("status", "status_code", "statusCode", "http_status")
# Words in ``type`` that name no type.
NO_TYPES = frozenset(("", "error", "about:blank"))
# Codes that say all is well.
FINE = frozenset(("", "0", "ok", "success", "none", "null"))
# What OpenRouter says of its own provider's failure; what happened stands in ``metadata.raw``.
RELAYED = "Provider returned error"
NAME = re.compile(r"[A-Za-z][\w.\-]*\Z")


class Said(Struct):
    """What a provider said of a failure, in its own words.

    ``null_code``: it said that there is no code. ``plain``: it was no JSON. ``status``: 400 to 599, if it named one.
    """

    message: str = ""
    type: Optional[str] = None
    code: Any = None
    param: Any = None
    status: Optional[int] = None
    null_code: bool = False
    plain: bool = False
    extra: Dict[str, Any] = field(default_factory=dict)

    def over(self, other: Said) -> Said:
        """This, and what the other knows where this says nothing."""
        return Said(
            self.message or other.message,
            self.type or other.type,
            other.code if self.code is None else self.code,
            other.param if self.param is None else self.param,
            self.status or other.status,
            self.null_code or other.null_code,
            self.plain,
            {**other.extra, **self.extra},
        )


def is_failure(body: Dict[str, Any]) -> bool:
    """Does this JSON object, a frame or a whole answer, tell of a failure (spec 1.6(b), C35, C38)?"""
    if _is_told(body.get("error")) or body.get("object") == "error":
        return True
    choices = body.get("choices")
    if choices:
        return isinstance(choices, list) and all(_has_failed(choice) for choice in choices)
    if body.get("detail"):
        return True
    return "output" not in body and _is_bad(body.get("code")) and isinstance(body.get("message"), str)


def _is_told(error: Any) -> bool:
    """An ``error`` that says something; some gateways always send one with nothing in it."""
    return any(error.values()) if isinstance(error, dict) else bool(error)


def _has_failed(choice: Any) -> bool:
    return isinstance(choice, dict) and choice.get("finish_reason") == "error" and _is_told(choice.get("error"))


def _is_bad(code: Any) -> bool:
    if isinstance(code, (int, float)):
        return bool(code) and not 200 <= code < 300
    return isinstance(code, str) and code.lower() not in FINE and code != "200"


def read_shape(value: Any, depth: int = 0) -> Said:
    """What a JSON value of whatever shape says of a failure; an empty message if it says nothing."""
    if isinstance(value, str):
        return Said(value)
    if depth < DEPTH and isinstance(value, list):
        return _read_list(value, depth)
    if depth < DEPTH and isinstance(value, dict):
        inner = _inner(value)
        return _read_flat(value) if inner is None else _read_nested(value, inner, depth)
    return Said(text_of(value) if value else "")


def text_of(value: Any) -> str:
    """A JSON value as text; empty if it cannot be written."""
    try:
        return msgspec.json.encode(value).decode()
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return ""


def _inner(body: Dict[str, Any]) -> Optional[str]:
    """The key under which the failure lies, if it is not this object itself."""
    for name in ("error", "errors", "Error"):
        if _is_told(body.get(name)) and isinstance(body[name], (str, list, dict)):
            return name
    for name in ("message", "detail", "base_resp"):
        if body.get(name) and isinstance(body[name], (list, dict)):
            return name
    output = body.get("output")
    if isinstance(output, dict) and output.get("task_status") == "FAILED":
        return "output"
    choices = body.get("choices")
    if isinstance(choices, list) and choices and all(_has_failed(choice) for choice in choices):
        return "choices"
    return None


def _read_nested(body: Dict[str, Any], name: str, depth: int) -> Said:
    if name == "choices":
        return read_shape(body["choices"][0]["error"], depth + 1)
    # Beside choices stand the parts of a chunk, which are no part of the error.
    outer = Said() if "choices" in body else _read_flat({key: body[key] for key in body if key != name})
    inner = read_shape(body[name], depth + 1)
    if isinstance(body[name], str) and outer.message:
        # {"error": "bad_credentials", "message": "Bad credentials"}: a word for machines beside one for people.
        if outer.code is None and NAME.match(inner.message):
            outer.code = inner.message
        elif inner.message != outer.message:
            outer.extra["upstream_error"] = inner.message
        return outer
    return inner.over(outer)


def _read_flat(body: Dict[str, Any]) -> Said:
    """An object that is itself the error: what it is called, and everything else it holds."""
    rest = {key: value for key, value in body.items() if key != "object" or value != "error"}
    rest.pop("error", None)
    null_code = "code" in rest and rest["code"] is None
    status = next((found for found in map(_status, _values(rest, CODE_KEYS[:1] + STATUS_KEYS)) if found), None)
    message = _take_text(rest, MESSAGE_KEYS + LESS_KEYS)
    metadata = rest.get("metadata")
    if message == RELAYED and isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        message = f"{message}: {metadata['raw']}"
    kind = _take_text(rest, TYPE_KEYS)
    code = _take(rest, CODE_KEYS)
    param = rest.pop("param", None)
    said_type = kind if kind.lower() not in NO_TYPES else None
    return Said(message, said_type, code, param, status, null_code, False, rest)


def _values(body: Dict[str, Any], names: Iterable[str]) -> List[Any]:
    return [body[name] for name in names if name in body]


def _take(body: Dict[str, Any], names: Tuple[str, ...]) -> Any:
    """Take the first value that says something out of the object."""
    for name in names:
        if body.get(name) not in (None, "", False):
            return body.pop(name)
        body.pop(name, None)
    return None


def _take_text(body: Dict[str, Any], names: Tuple[str, ...]) -> str:
    for name in names:
        text = body.get(name)
        if isinstance(text, str) and text.strip():
            return str(body.pop(name))
    return ""


def _status(value: Any) -> Optional[int]:
    """The number of an HTTP failure, if this is one: 429, 429.0 and "429" are."""
    if isinstance(value, str) and len(value) == 3 and value.isdecimal():
        value = int(value)
    if isinstance(value, (int, float)) and 400 <= value < 600:
        return int(value)
    return None


def _read_list(items: List[Any], depth: int) -> Said:
    """Several failures: FastAPI's details, sentences, or objects of which the first is taken."""
    details = [item for item in items if isinstance(item, dict) and isinstance(item.get("msg"), str)]
    if details:
        paths = [_path(item.get("loc")) for item in details]
        lines = [f"{path}: {item['msg']}" if path else item["msg"] for path, item in zip(paths, details)]
        return Said("; ".join(lines[:20]), param=paths[-1] or None)
    sentences = [item for item in items if isinstance(item, str)]
    if sentences:
        return Said("; ".join(sentences[:20]))
    return read_shape(items[0], depth + 1) if items else Said()


def _path(place: Any) -> str:
    """Where FastAPI found the fault, as OpenAI would write it: without the leading ``body``."""
    parts = [str(part) for part in place] if isinstance(place, list) else []
    return ".".join(parts[1:] if parts[:1] == ["body"] else parts)
