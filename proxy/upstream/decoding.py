"""Undoing the provider's Content-Encoding piece by piece, with a bound on what a few bytes may grow to."""

from __future__ import annotations

import zlib
from typing import Iterator

from proxy.errors import Headers, ProxyError, failure

STEP = 1 << 20  # most bytes one call makes of one piece
FREE = 64 << 20  # an answer may grow to this, and beyond it to GROWTH times its size
GROWTH = 10  # by default (--max_growth)

GZIP = 16 + zlib.MAX_WBITS
CODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": zlib.MAX_WBITS}


def codings_of(headers: Headers) -> list[str]:
    """The codings applied to a body, in the order in which they must be undone."""
    named = [value for name, value in headers if name.lower() == "content-encoding"]
    codings = [coding.strip().lower() for coding in ",".join(named).split(",")] if named else []
    return [coding for coding in reversed(codings) if coding not in ("", "identity")]


def decoded(pieces: Iterator[bytes], codings: list[str], growth: int = GROWTH) -> Iterator[bytes]:
    """``pieces`` with ``codings`` undone, each as soon as it can be. Raises ProxyError."""
    for coding in codings:
        if coding not in CODINGS:
            raise failure("invalid_upstream_response", f"The provider encoded its answer as {coding!r}, unasked.")
        pieces = _bounded(pieces, coding, growth)
    return pieces


def undone(body: bytes, headers: Headers, limit: int = FREE) -> bytes:
    """A whole body as it reads once its codings are undone, to look into; as it is where that cannot be done.

    Raises ProxyError ``request_too_large`` for one that would be over ``limit`` bytes then.
    """
    parts: list[bytes] = []
    size = 0
    try:
        for piece in decoded(iter([body]), codings_of(headers)):
            parts.append(piece)
            size += len(piece)
            if size > limit:
                break
    except ProxyError:
        return body
    if size > limit:
        raise failure("request_too_large", f"The request's body is over {limit} bytes once it is decoded.")
    return b"".join(parts)


def _bounded(pieces: Iterator[bytes], coding: str, growth: int) -> Iterator[bytes]:
    inflater = _Inflater(coding)
    came = went = 0
    for piece in pieces:
        came += len(piece)
        for out in inflater.inflate(piece):
            went += len(out)
            if went > FREE and went > growth * came:
                raise failure("upstream_too_large", f"The provider's answer grew more than {growth}x when decoded.")
            yield out
    if inflater.unfinished:
        raise failure("stream_truncated", "The provider ended its encoded answer before the end of the body.")


class _Inflater:
    """One coding: gzip members one after the other, or deflate with or without zlib's header."""

    def __init__(self, coding: str) -> None:
        self._chosen = coding != "deflate"
        self._begin = b""
        self._ended = False
        self._fresh(CODINGS[coding])

    def _fresh(self, bits: int) -> None:
        self._inflate = zlib.decompressobj(bits)
        self.unfinished = False

    def inflate(self, piece: bytes) -> Iterator[bytes]:
        """What ``piece`` decodes to, in steps of a bounded size."""
        if not self._chosen:
            piece = self._choose(piece)
        while piece and not self._ended:
            out = self._step(piece)
            if out:
                yield out
            piece = self._inflate.unconsumed_tail
            if self._inflate.eof:
                piece = self._next_member(self._inflate.unused_data)

    def _choose(self, piece: bytes) -> bytes:
        """Many servers mean raw deflate (RFC 9110 8.4.1.2): two bytes tell; gives back what may be decoded now."""
        self._begin += piece
        self.unfinished = True
        if len(self._begin) < 2:
            return b""
        self._chosen = True
        zlib_header = self._begin[0] & 15 == 8 and int.from_bytes(self._begin[:2], "big") % 31 == 0
        self._fresh(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
        return self._begin

    def _step(self, piece: bytes) -> bytes:
        try:
            out = self._inflate.decompress(piece, STEP)
        except zlib.error as exc:
            raise failure("invalid_upstream_response", "The provider's encoded answer cannot be decoded.") from exc
        self.unfinished = not self._inflate.eof
        return out

    def _next_member(self, rest: bytes) -> bytes:
        """What follows a finished member: another gzip member, else trailing garbage, which is ignored."""
        self._ended = bool(self._begin) or rest[:1] not in (b"", b"\x1f")
        if rest and not self._ended:
            self._fresh(GZIP)
            return rest
        return b""
