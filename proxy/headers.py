"""Which headers pass from one side to the other: the end-to-end ones, less what would betray or confuse either side."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import compress
from typing import Iterable

from proxy.errors import Headers

# RFC 9110 7.6.1: these concern one connection only, whether or not Connection names them.
HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"})

# DECISIONS "Headers": who is behind whom is each side's own affair; cookies belong to a host the client never sees.
PRIVATE = frozenset({"cookie", "cookie2", "set-cookie", "set-cookie2", "forwarded", "via", "x-real-ip"})
OURS = frozenset({"x-logging-id", "x-upstream-status"})
PREFIXES = ("proxy-", "x-forward-", "x-forwarded-")

# A request gets these anew from the connection it leaves on, a response its Date and Server from our host.
REPLACED = {"request": frozenset({"host", "expect", "content-length"}), "response": frozenset({"date", "server"})}

# RFC 9110 7.6.1 forbids naming these in Connection. A party that does could strip a credential or misframe a body, so
# they are never treated as hop-by-hop; rules of their own decide about Content-Length.
NEVER_HOP_BY_HOP = frozenset(
    {"authorization", "x-api-key", "api-key", "cache-control", "content-type", "content-encoding", "content-length"}
)

# What describes a body byte by byte is wrong once the body was decoded or written anew.
OF_THE_BODY = frozenset(
    {"content-length", "content-encoding", "content-md5", "content-digest", "etag", "accept-ranges"}
)

# What every request gets from us, and nobody may fix.
FRAMING = frozenset({"host", "content-length", "transfer-encoding", "expect", "connection"})

# What providers call the header that names a request; each SDK reads one of them only.
REQUEST_IDS = ("x-request-id", "request-id")

_NUMBER = re.compile(r"[0-9]+")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSENDABLE = re.compile(r"[\x00\r\n]|[^\x00-\xff]")
_FOLD = re.compile(r"\r?\n[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def to_provider(headers: Iterable[tuple[str, str]], *, own_body: bool = False) -> Headers:
    """The client's headers that the provider gets; ``own_body``: the body sent is not the client's bytes."""
    return end_to_end(headers, "request", own_body=own_body)


def from_provider(headers: Iterable[tuple[str, str]], *, own_body: bool = False) -> Headers:
    """The provider's headers that the client gets; ``own_body``: the body sent is not the provider's bytes."""
    return end_to_end(headers, "response", own_body=own_body)


def end_to_end(headers: Iterable[tuple[str, str]], direction: str, *, own_body: bool = False) -> Headers:
    """``headers`` without what concerns one connection only, in their order, repeated ones still repeated.

    ``direction`` is ``request`` or ``response``. A response relayed untouched keeps its Content-Length, said once; what
    no host could send, a name that is no token or a length that is no number, goes.
    """
    given = _relayable(headers) if direction == "response" else list(headers)
    lines = [value for name, value in given if len(name) == len("connection") and name.lower() == "connection"]
    return list(compress(given, _staying(tuple([name for name, _ in given]), ",".join(lines), direction, own_body)))


@lru_cache(maxsize=256)
def _staying(names: tuple[str, ...], connection: str, direction: str, own_body: bool) -> tuple[bool, ...]:
    """Which headers of these ``names`` stay: parties send the same ones again and again."""
    lower = [name.lower() for name in names]
    gone = HOP_BY_HOP | PRIVATE | OURS | REPLACED[direction] | _named_in(connection)
    if own_body:
        gone |= OF_THE_BODY
    if "transfer-encoding" in lower:
        gone |= {"content-length"}  # RFC 9112 6.1: chunked overrides it, so that it may lie
    return tuple(name not in gone and not name.startswith(PREFIXES) for name in lower)


def first(headers: Iterable[tuple[str, str]], name: str, default: str = "") -> str:
    """The first value of the header ``name`` (in lower case), or ``default``."""
    size = len(name)
    for key, value in headers:
        if len(key) == size and key.lower() == name:
            return value
    return default


def identified(headers: Headers, name: str, told: str = "") -> Headers:
    """``headers`` with the request's id under this ``name`` too: under whichever it is there, or as it was ``told``."""
    found = next(filter(None, (first(headers, known) for known in (name, *REQUEST_IDS))), told)
    if not found or first(headers, name) or not sendable(name, found):
        return headers
    return [*headers, (name, found)]


def without(headers: Iterable[tuple[str, str]], names: Iterable[str]) -> Headers:
    """``headers`` less those of these ``names`` (in lower case); one that ends in a hyphen stands for all it begins."""
    whole = frozenset(names)
    begins = tuple(name for name in whole if name.endswith("-"))
    return [(name, value) for name, value in headers if not _is_among(name.lower(), whole, begins)]


def without_query(query: str, names: Iterable[str]) -> str:
    """A query less the parameters of these ``names``, otherwise as the client spelled it."""
    gone = frozenset(names)
    return "&".join(part for part in query.split("&") if part.partition("=")[0] not in gone)


def sendable(name: str, value: str) -> bool:
    """Whether a header can go onto the wire as one line of latin-1 (RFC 9110 5.1, 5.5)."""
    return is_token(name) and _UNSENDABLE.search(value) is None


@lru_cache(maxsize=4096)
def is_token(name: str) -> bool:
    """Whether a header may have this name (RFC 9110 5.6.2)."""
    return _NAME.fullmatch(name) is not None


def on_one_line(value: str) -> str:
    """A received value without folds and control characters, as RFC 9110 5.5 asks of whoever relays it."""
    return (value if _CONTROL.search(value) is None else _CONTROL.sub(" ", _FOLD.sub(" ", value))).strip(" \t")


def fixed_headers(lines: Iterable[str]) -> Headers:
    """The ``--header`` lines as pairs; raises ValueError for one that cannot be sent."""
    pairs: Headers = []
    for line in lines:
        name, _, value = (part.strip() for part in line.partition(":"))
        if not sendable(name, value):
            raise ValueError(f"{name!r} cannot be sent")
        if name.lower() in FRAMING | HOP_BY_HOP:
            raise ValueError(f"{name!r} concerns one connection only and is the proxy's own affair")
        pairs.append((name, value))
    return pairs


def _relayable(headers: Iterable[tuple[str, str]]) -> Headers:
    named = [pair for pair in headers if is_token(pair[0])]
    lengths = [
        value for name, value in named if len(name) == len("content-length") and name.lower() == "content-length"
    ]
    if not lengths or (len(lengths) == 1 and _NUMBER.fullmatch(lengths[0])):
        return named
    said = {part.strip(" \t") for name, value in named if name.lower() == "content-length" for part in value.split(",")}
    length = said.pop() if len(said) == 1 else ""
    kept: Headers = []
    for name, value in named:
        if name.lower() != "content-length":
            kept.append((name, value))
        elif _NUMBER.fullmatch(length):
            kept.append((name, length))
            length = ""
    return kept


def _is_among(name: str, whole: frozenset[str], begins: tuple[str, ...]) -> bool:
    return name in whole or name.startswith(begins)


def _named_in(connection: str) -> frozenset[str]:
    return frozenset(option.strip().lower() for option in connection.split(",")) - NEVER_HOP_BY_HOP
