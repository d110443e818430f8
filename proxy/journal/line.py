"""One journal line: any value as the bytes of sound JSON on a single line. Knows nothing of files and of secrets."""

from __future__ import annotations

import math
import re
from typing import Any, Iterator, Optional

import msgspec

# Python's own reader gives up at about 1,000 levels less its caller's stack; a line must be readable from anywhere.
DEEPEST = 200
# The longest integer that CPython 3.11+ turns into digits has 4,300 of them.
WIDEST_BITS = 14_000

PIECE = 1 << 18  # bytes that are looked at in one go, so that no other thread waits long for its turn

_ALL_BUT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
# Escapes of ASCII's printable characters but & ' < = >, which some writers escape for the sake of HTML.
_UNUSUAL = re.compile(rb"\\u00(?:2[0-589a-f]|3[0-9abf]|[456]|7[0-9a-e])", re.IGNORECASE)
_UNSPELLABLE = (TypeError, ValueError, OverflowError, RecursionError, MemoryError)


def spell(value: Any) -> tuple[bytes, bool]:
    """Give ``value`` as JSON on one line, and whether something had to be changed to make it sound. Never raises."""
    try:
        data = _ENCODER.encode(value)
        if not _too_deep(data):
            return data, False
    except _UNSPELLABLE:
        pass
    return _ENCODER.encode(lossy(value)), True


def as_it_is(body: bytes, escapes: bool = False) -> Optional[bytes]:
    """Give the JSON of a body on one line without understanding it; None where that would not do.

    It would not where strict readers might refuse it, and where a credential may be spelled in escapes. ``escapes``:
    those that writers of JSON use for what is not plain text are none that could spell one.
    """
    try:
        _SKIM(body)
        body.decode()
    except (msgspec.MsgspecError, *_UNSPELLABLE):
        return None
    if _too_deep(body) or (b"\\u" in body and not (escapes and _are_usual(body))):
        return None
    return body.replace(b"\n", b" ").replace(b"\r", b" ")


def lossy(value: Any, depth: int = 0) -> Any:
    """Copy ``value`` with whatever JSON cannot hold replaced: lone surrogates, odd keys, huge numbers, deep nesting."""
    if isinstance(value, str):
        # Through UTF-16 two surrogates that belong together become the character they mean; a lone one becomes U+FFFD.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value is None or isinstance(value, (bool, bytes, msgspec.Raw)):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    if depth >= DEEPEST - 10:
        return "[nested too deeply]"
    if isinstance(value, dict):
        return {lossy(_text(key)): lossy(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [lossy(item, depth + 1) for item in value]
    if isinstance(value, msgspec.Struct):
        return lossy(msgspec.structs.asdict(value), depth + 1)
    return lossy(_text(value))


def _number(value: float) -> Any:
    if isinstance(value, int):
        return value if value.bit_length() < WIDEST_BITS else f"[an integer of {value.bit_length()} bits]"
    return value if math.isfinite(value) else str(value)


def _text(value: Any) -> str:
    """Say what an object is; only errors, text and numbers speak for themselves, as anything else may hold a secret."""
    if isinstance(value, (str, int, float, BaseException)):
        try:
            return str(value)
        except Exception:  # a foreign __str__ must not cost the record
            return f"<{type(value).__name__}>"
    return f"<{type(value).__name__}>"


def _are_usual(body: bytes) -> bool:
    """Whether no letter, digit or mark of a key is escaped."""
    return not any(_UNUSUAL.search(body, start, start + PIECE + 6) for start in range(0, len(body), PIECE))


def _too_deep(data: bytes) -> bool:
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return False
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(_outside_strings(data))
    for _ in range(DEEPEST):  # each round takes at least the innermost level away
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def _outside_strings(data: bytes) -> Iterator[bytes]:
    inside = 0
    for start in range(0, len(data), PIECE):
        parts = data[start : start + PIECE].translate(None, _ALL_BUT_MARKS).split(b'"')
        yield b"".join(parts[inside::2])
        inside = (inside + len(parts) - 1) % 2


_ENCODER = msgspec.json.Encoder(enc_hook=_text)
_SKIM = msgspec.json.Decoder(msgspec.Raw).decode
