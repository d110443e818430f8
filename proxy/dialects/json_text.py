"""JSON as parties really write it: strict and fast first, and a lenient second look at what the fast reader refuses.

Half a surrogate pair, NaN and Infinity are not JSON to msgspec, but they are on the wire (a provider that cuts its text
by UTF-16 units, log probabilities of minus infinity).
"""

from __future__ import annotations

import gc
import json
from math import isfinite
from typing import Any, Dict, List, Optional, Tuple, Union

import msgspec

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
_SKIM = msgspec.json.Decoder(msgspec.Raw).decode
_FIELDS = msgspec.json.Decoder(Dict[str, msgspec.Raw]).decode
_CHOICES = msgspec.json.Decoder(List[Dict[str, msgspec.Raw]]).decode
LARGE = 1 << 19  # bytes
BOM = b"\xef\xbb\xbf"


def read_json(data: bytes) -> Any:
    """The value; raises ValueError (json.JSONDecodeError with a position, UnicodeDecodeError) for what is not JSON."""
    try:
        return _DECODER.decode(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (msgspec.DecodeError, ValueError):
        return _read_leniently(data)


def read_object(data: bytes) -> Optional[Dict[str, Any]]:
    """The object; None where the bytes hold anything else, or no JSON at all."""
    try:
        value = read_json(data) if data else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_noting(data: bytes, *, sparing: bool = False) -> Tuple[Any, bool]:
    """The value as ``read_json`` reads it, and whether it was JSON by the letter, which no reader refuses.

    ``sparing``: in a large one the log probabilities of choices, of which nearly all of it is made, stay msgspec.Raw.
    """
    try:
        return (_sparingly(data) if sparing and len(data) >= LARGE else _decoded(data)), True
    except (msgspec.DecodeError, ValueError, RecursionError):
        return read_json(data), False


def _decoded(data: Union[bytes, msgspec.Raw]) -> Any:
    """JSON has no cycles; to look for some again and again while a large value grows costs more than decoding it."""
    if len(memoryview(data)) < LARGE or not gc.isenabled():
        return _DECODER.decode(data)
    gc.disable()
    try:
        return _DECODER.decode(data)
    finally:
        gc.enable()


def _sparingly(data: bytes) -> Any:
    """Decoding fifty thousand log probabilities takes a fifth of a second, in which no stream gets a token."""
    try:
        said = {key: _CHOICES(raw) if key == "choices" else _decoded(raw) for key, raw in _FIELDS(data).items()}
        said.update(choices=[{key: _sparing(key, raw) for key, raw in choice.items()} for choice in said["choices"]])
    except (msgspec.ValidationError, KeyError):  # of another shape
        return _decoded(data)
    return said


def _sparing(key: str, raw: msgspec.Raw) -> Any:
    return raw if key == "logprobs" else _decoded(raw)


def _read_leniently(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def needs_respelling(body: bytes) -> bool:
    """Whether strict readers refuse what ``read_json`` reads: NaN, Infinity, or a byte order mark in front.

    A sound body costs one look that decodes nothing.
    """
    try:
        _SKIM(body)
        return False
    except (msgspec.DecodeError, ValueError, RecursionError):
        return body.startswith(BOM) or _has_odd_numbers(body)


def _has_odd_numbers(body: bytes) -> bool:
    odd: List[str] = []
    try:
        json.loads(body, parse_constant=odd.append)
    except (ValueError, RecursionError):
        return False
    return bool(odd)


def write_json(value: Any) -> bytes:
    """Compact JSON; halves of surrogate pairs are escaped, and numbers that are none become null."""
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(_finite(value), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(said) for key, said in value.items()}
    if isinstance(value, list):
        return [_finite(said) for said in value]
    if isinstance(value, msgspec.Raw):
        return read_json(bytes(value))
    return None if isinstance(value, float) and not isfinite(value) else value
