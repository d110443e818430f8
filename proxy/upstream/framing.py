"""How an answer is framed, read strictly: a doubt here would let framing pass for content, or the reverse."""

from __future__ import annotations

import re
from typing import Any, Iterable

from proxy.upstream.decoding import CODINGS
from proxy.upstream.failures import FramingError

_LENGTH = re.compile(r"[0-9]+")


class Lines:
    """What a head is read from: a CR within a line, which http.client takes for its end, is refused (RFC 9112 2.2)."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def readline(self, limit: int = -1) -> bytes:
        """The next line, with its end."""
        line: bytes = self.source.readline(limit)
        if b"\r" in line.rstrip(b"\r\n") or line.endswith((b"\r\r\n", b"\r\r")):
            raise FramingError("a line of its head has a CR in it")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


def length_of(values: Iterable[str]) -> int | None:
    """The one Content-Length in a header's values, of which equal ones may repeat (RFC 9110 8.6); None without any.

    Raises FramingError for anything else, as RFC 9112 6.3 asks of a proxy.
    """
    lengths = {one.strip(" \t") for one in _parts(values)}
    if not lengths:
        return None
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(one) for one in lengths):
        raise FramingError("its Content-Length is not one number")
    return int(lengths.pop())


def transfer_codings(values: Iterable[str]) -> list[str]:
    """What Transfer-Encoding names, in the order of undoing: ``chunked``, if it is there, comes first.

    Raises FramingError for what cannot be undone. ``identity`` of old is none, and a repeated ``chunked`` is taken for
    the header that a framework and its server have both set: nobody chunks twice (RFC 9112 6.1 forbids it).
    """
    named = [one.strip(" \t").lower() for one in _parts(values)]
    codings = [one for one in dict.fromkeys(named) if one not in ("", "identity")]
    if "chunked" in codings[:-1] or not all(one == "chunked" or one in CODINGS for one in codings):
        raise FramingError("its Transfer-Encoding cannot be undone")
    return codings[::-1]


def _parts(values: Iterable[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]
