"""What is being asked, or was: where, and in which words; put so that two asks that mean the same are equal.

Neither the order of keys nor the mode counts, nor what the journals never keep: media and credentials.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple
from zlib import crc32

from msgspec.structs import replace

from proxy.chat.ask import Ask
from proxy.dialects import DIALECTS, Dialect
from proxy.dialects.json_text import read_json, write_json
from proxy.errors import ProxyError
from proxy.headers import first
from proxy.journal.describe import body_for_journal
from proxy.journal.line import lossy
from proxy.journal.media import without_media
from proxy.journal.redact import hide_in_urls

SAMPLE = 1 << 20  # bytes of a forwarded body of which the journals tell more than the size
ANYWHERE = "*"  # the place of what was fetched at another path than the client's
Features = Any  # array("I"); not generic before Python 3.9

_PATHS = sorted(
    ((path, dialect) for dialect in DIALECTS.values() for path in dialect.served), key=lambda pair: -len(pair[0])
)


class Asked(NamedTuple):
    """One ask: its ``place``, its JSON ``value``, and the ``key`` that equal ones share, in whatever mode.

    ``dialect`` and ``ask`` are there where it asks a model. ``exact`` also tells the mode and its options.
    """

    place: str
    value: Any
    key: bytes
    exact: bytes
    dialect: Optional[Dialect]
    ask: Optional[Ask]
    streams: bool


def read_asked(method: str, path: str, query: str, headers: Sequence[Tuple[str, str]], body: bytes) -> Asked:
    """An ask as it comes to a provider."""
    dialect = dialect_at(path) if method == "POST" else None
    ask = None
    if dialect is None:
        value = body_for_journal(first(list(headers), "content-type"), body[:SAMPLE], len(body))
    else:
        value = body_for_journal("", body, len(body))
        ask = _read(dialect, body, headers)
    value = without_media(lossy(value))
    streams = ask is not None and ask.stream
    place = place_of(method, path, query, dialect)
    return Asked(place, value, key_of(place, value, dialect), exact_of(value, streams), dialect, ask, streams)


def dialect_at(path: str) -> Optional[Dialect]:
    """The dialect that is asked at a path, whatever the base in front of it."""
    path = path.rstrip("/")
    return next((dialect for ending, dialect in _PATHS if path.endswith(ending)), None)


def place_of(method: str, path: str, query: str, dialect: Optional[Dialect]) -> str:
    """Where it was asked: a dialect by its name, anything else by method, path and query."""
    if dialect is not None:
        return dialect.name
    while path.startswith("/v1/"):
        path = path[3:]
    return hide_in_urls(f"{method} {path}?{query}".rstrip("?"))


def key_of(place: str, value: Any, dialect: Optional[Dialect]) -> bytes:
    """What asks of the same meaning have in common."""
    return _digest([place, value if dialect is None else without_mode(value, dialect)])


def exact_of(value: Any, streams: bool) -> bytes:
    """What asks have in common that differ in nothing at all."""
    return _digest([value, streams])[:8]


def without_mode(value: Any, dialect: Dialect) -> Any:
    """An ask as it would be said in one and the same mode, without options."""
    ask = _read(dialect, write_json(value), ())
    if ask is None:
        return value
    bare = replace(ask, stream=False, raw=b"")
    return read_json(dialect.write_ask(bare, stream=True, ask_usage=False, options=False).body)


def features_of(value: Any) -> Features:
    """What a value is made of: two that have much of it in common are near each other."""
    parts: List[Any] = []
    for name, said in value.items() if isinstance(value, dict) else [("", value)]:
        parts += [[name, number, one] for number, one in enumerate(said)] if isinstance(said, list) else [[name, said]]
    return array("I", sorted(crc32(canonical(part)) for part in parts))


def canonical(value: Any) -> bytes:
    """A value as bytes that do not depend on the order of keys, nor on how a number is written."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":")).encode()


def _digest(value: Any) -> bytes:
    return hashlib.sha256(canonical(value)).digest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(said) for name, said in value.items()}
    if isinstance(value, list):
        return [_plain(said) for said in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read(dialect: Dialect, body: bytes, headers: Sequence[Tuple[str, str]]) -> Optional[Ask]:
    try:
        return dialect.read_ask(body, headers)
    except ProxyError:
        return None
