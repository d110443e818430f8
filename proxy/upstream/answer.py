"""What the provider answers: the head at once, the body piece by piece as it arrives."""

from __future__ import annotations

import socket
from contextlib import suppress
from time import monotonic
from typing import Iterator, NoReturn, Protocol

from urllib3.response import BaseHTTPResponse

from proxy.errors import Headers, ProxyError, failure
from proxy.headers import on_one_line
from proxy.upstream.decoding import GROWTH, codings_of, decoded
from proxy.upstream.failures import FOREIGN, Situation
from proxy.upstream.wire import PIECE


class Source(Protocol):
    """Where the next bytes of an answer can be waited for."""

    def until(self, due: float) -> bool:
        """Wait until a read finds something, be it a failure; False at ``due`` (monotonic)."""

    def break_off(self, error: BaseException) -> bool:
        """Let the next read fail with ``error``, now if it is waited for; whether it is."""


class Answer:
    """An answer under way. ``headers`` are all that came, in order, repeated ones repeated, values on one line.

    ``decoded`` says that ``pieces`` undoes a Content-Encoding, so that this header no longer tells the truth.
    """

    def __init__(
        self, raw: BaseHTTPResponse, situation: Situation, *, decode: bool = True, growth: int = GROWTH
    ) -> None:
        self.status = raw.status
        self.reason = raw.reason or ""
        self.headers: Headers = [(name, on_one_line(value)) for name, value in raw.headers.items()]
        self._raw = raw
        self._situation = situation
        self._growth = growth
        self._sock: socket.socket | None = getattr(raw, "wire", None)
        self._reading = self._closed = self._ended = self._pulled = self._enough = False
        self._failed: ProxyError | None = None
        codings = codings_of(self.headers) if decode else []
        self.decoded = bool(codings)
        codings = [*getattr(raw, "codings", []), *codings]
        self._pieces = self._body(codings) if codings else None  # the common body needs nobody between

    def pieces(self) -> Iterator[bytes]:
        """The body, each piece as soon as its bytes arrive; asked again, it goes on from there. Raises ProxyError.

        It ends without an error only where the body ended, however often it is asked.
        """
        if self._pieces is None:
            while not (self._ended or self._failed):
                try:
                    piece = self._next()
                except ProxyError as error:
                    self._fail(error)
                if piece or self._pulled:
                    yield piece
        else:  # not "yield from": whoever drops this iterator must not end that one
            for piece in self._pieces:  # noqa: UP028
                yield piece
        if self._failed or not self._ended:
            raise self._failed or self._situation.told("stream_truncated")

    def pull(self) -> Source | None:
        """From now on ``pieces`` never waits, and an empty one says that nothing has come: its reader waits at what is
        given back. None where a read has to wait by itself.
        """
        pull = None if self._pieces is not None or self._enough else getattr(self._raw, "pull", None)
        source: Source | None = pull() if pull else None
        self._pulled = source is not None
        return source

    def enough(self) -> None:
        """Nothing more of the body is wanted, so nobody has to wait for it before going on."""
        self._enough = True
        if self._pulled:
            self._raw.enough = True  # type: ignore[attr-defined]

    def read(self, limit: int) -> bytes:
        """What is left of the body; raises ProxyError, ``upstream_too_large`` beyond ``limit`` bytes."""
        parts, size = [], 0
        try:
            for piece in self.pieces():
                parts.append(piece)
                size += len(piece)
                if size > limit:
                    raise failure("upstream_too_large", f"The provider's answer is longer than {limit} bytes.")
        finally:
            self.close()
        return b"".join(parts)

    def close(self, linger: float = 0.0) -> None:
        """Let go: back to the pool if the body has ended, else the socket is closed at once. Never raises, can repeat.

        ``linger``: seconds to wait for the end of a body of which all that matters has been read (C34), so that the
        connection can be used again. May be called from another thread or greenlet than the reader's, whose read then
        ends with an error, never as if the body had ended.
        """
        if self._closed:
            return
        if linger and not self._reading:
            self._finish(monotonic() + linger)
        self._closed = True
        if not (self._ended or self._raw.closed):  # else the connection is the pool's, or the next exchange's, by now
            self._shut()
        if not self._reading:
            self._release()

    def _body(self, codings: list[str]) -> Iterator[bytes]:
        try:
            yield from decoded(self._received(), codings, self._growth)
        except ProxyError as error:
            self._fail(error)

    def _fail(self, error: ProxyError) -> NoReturn:
        self._failed = error
        self.close()
        raise error

    def _received(self) -> Iterator[bytes]:
        while True:
            piece = self._next()
            if not piece:
                return
            yield piece

    def _next(self) -> bytes:
        if self._ended:
            return b""
        if self._closed:
            raise self._situation.told("stream_truncated")
        self._reading = True
        try:
            piece = self._raw.read1(PIECE, decode_content=False)
        except BaseException as exc:
            left, self._closed = self._closed, True
            if isinstance(exc, FOREIGN):
                if left:
                    raise self._situation.told("stream_truncated") from exc
                raise self._situation.blamed(exc) from exc
            raise
        finally:
            self._reading = False
            if self._closed:
                self._release()
        if self._closed:  # closed from elsewhere meanwhile: an end now is not the body's
            raise self._situation.told("stream_truncated")
        self._ended = self._raw.closed or not (piece or self._pulled)
        return piece

    def _finish(self, deadline: float) -> None:
        """Read on to the end of the body, but not beyond ``deadline`` or one piece of bytes."""
        size = 0
        with suppress(Exception):
            while not self._ended and size < PIECE:
                wait = max(0.001, deadline - monotonic())
                if self._pulled:
                    self._pulled = self._raw.pulled = False  # type: ignore[attr-defined]
                if self._sock is not None:
                    self._sock.settimeout(wait)
                size += len(self._next())

    def _shut(self) -> None:
        # The end reaches the provider and wakes a reader at once; below TLS, whose own shutdown would wait or break it.
        if self._sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _release(self) -> None:
        with suppress(*FOREIGN, ValueError, RuntimeError):
            self._raw.close()
