"""JSON as parties really write it: strict and fast first, and a lenient second look at what the fast reader refuses.

Half a surrogate pair, NaN and Infinity are not JSON to msgspec, but they are on the wire (a provider that cuts its text
by UTF-16 units, log probabilities of minus infinity).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()


def read_json(data: bytes) -> Any:
    """The value; raises ValueError (json.JSONDecodeError with a position, UnicodeDecodeError) for what is not JSON."""
    try:
        return _DECODER.decode(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (msgspec.DecodeError, ValueError):
        return _read_leniently(data)


def _read_leniently(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_json(value: Any) -> bytes:
    """Compact JSON; halves of surrogate pairs are escaped."""
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()
