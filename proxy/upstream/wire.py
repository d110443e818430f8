"""One connection to the provider: what leaves on it is exactly what was given, and an early answer is heard."""

from __future__ import annotations

import io
import re
import socket
import ssl
from contextlib import suppress
from http import client as http
from time import monotonic
from typing import Any, BinaryIO, Iterable, Iterator, Mapping, Optional, Union, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

from proxy.upstream.failures import FramingError, Timeouts
from proxy.upstream.framing import Lines, length_of, transfer_codings
from proxy.upstream.overheard import overheard
from proxy.upstream.sockets import ready, silent, surplus

PIECE = 65536
MOST_INTERIM = 100  # interim answers before a final one; more is an attack
_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d")

NEVER = float("inf")
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
GONE = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)

Body = Union[bytes, Iterable[bytes], None]


class SourceError(Exception):
    """The body's own iterator raised; the cause is what it raised, which nobody may take for the provider's failure."""


class AnsweredError(BaseException):
    """The provider answered before the body was all sent.

    Not an Exception: it is thrown into whatever waits for the client's next piece, and nobody there may take it for the
    client's failure.
    """


class Letter:
    """One request as it leaves: the request line's ``target`` as text, the body, the limits, and how far it has got.

    urllib3 hands it through as the body, so that nothing on the way can re-spell the target or frame the body anew.
    """

    def __init__(self, target: str, body: Body, timeouts: Timeouts) -> None:
        self.target = target
        self.body = body
        self.timeouts = timeouts
        self.stage = "connecting"

    def pieces(self) -> Body:
        """The body for urllib3 to frame; what an iterator raises is marked as its own."""
        return self.body if self.body is None or isinstance(self.body, bytes) else _guarded(self.body)


def _guarded(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from body
    except Exception as exc:
        raise SourceError from exc


class Reception(http.HTTPResponse):
    """The provider's answer: interim ones (RFC 9110 15.2) are skipped, and what was heard while sending comes first."""

    def __init__(self, sock: socket.socket, *args: Any, heard: bytes = b"", cut: bool = False, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._cut = cut
        self._sock = sock
        self.codings: list[str] = []
        self.surplus = False
        if heard:
            self.fp = io.BufferedReader(_Resumed(heard, self.fp), PIECE)

    def _read_status(self) -> Any:
        # http.client skips 100 only; 102 and 103 are no final answers either, 101 is (we never ask for it).
        for _ in range(MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            http.parse_headers(self.fp)
        raise http.BadStatusLine("no final answer")

    def begin(self) -> None:
        """Read the head; after a request that was not sent to its end, the connection is of no further use."""
        source = self.fp
        self.fp = lines = cast(Any, Lines(source))
        super().begin()
        if self.fp is lines:  # else it was closed: there is no body
            self.fp = source
        self._frame()
        if self._cut:
            self.will_close = True

    def _frame(self) -> None:
        """Find the body's end as RFC 9112 6.3 has it: http.client takes what it does not know for no framing at all.

        ``codings``: transfer codings that are still to be undone, in that order.
        """
        if str(self.headers.get_payload() or "").strip():  # the parser has stopped at a line that is no header
            raise FramingError("a line of its head is no header")
        if self._method == "HEAD" or self.status in (204, 304) or self.status < 200:  # type: ignore[attr-defined]
            self.chunked, self.length = False, 0
            return
        codings = transfer_codings(self.headers.get_all("Transfer-Encoding", []))
        self.chunked = codings[:1] == ["chunked"]
        self.chunk_left = None
        self.codings = codings[self.chunked :]
        if codings:
            del self.headers["Content-Length"]  # overridden
        self.length = length_of(self.headers.get_all("Content-Length", []))
        self.will_close = self._check_close() or not (self.chunked or self.length is not None)  # type: ignore[attr-defined]

    def _close_conn(self) -> None:
        # The body has ended. Bytes beyond it would be lost with this buffer, and the next answer on this connection
        # would be one that nobody asked for: shut, it will be noticed as closed before it is used again.
        if surplus(self._sock, self.fp):
            self.surplus = True
            with suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        super()._close_conn()  # type: ignore[misc]


class _Resumed(io.RawIOBase):
    def __init__(self, heard: bytes, rest: BinaryIO) -> None:
        self._heard = heard
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        got = self._heard[: len(buffer)] or self._rest.read1(len(buffer))  # type: ignore[attr-defined]
        self._heard = self._heard[len(got) :]
        buffer[: len(got)] = got
        return len(got)

    def close(self) -> None:
        self._rest.close()
        super().close()


class Wire(HTTPConnection):
    """A connection that sends a ``Letter`` and listens while it does."""

    trusted_until = NEVER  # monotonic; one that has been idle for longer may be dead without a sign of it
    _letter: Letter | None = None
    _heard = b""
    _cut = False
    _reception: Optional[Reception] = None

    @property
    def is_connected(self) -> bool:
        """Whether a request may still be put onto this connection: no byte and no end has arrived meanwhile (C44)."""
        return self.sock is not None and monotonic() < self.trusted_until and silent(self.sock)

    def begin(self, letter: Letter) -> None:
        """Take a letter, and connect unless that was done before."""
        self._letter, self._heard, self._cut = letter, b"", False
        if self.sock is None:
            self.connect()
        letter.stage = "sending"

    def request(  # type: ignore[override]
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        """Send the letter; ends early, without an error, when the provider has answered already."""
        self.begin(body)
        options["chunked"] = False  # the headers say how the body is framed
        try:
            super().request(method, body.target, body=self._source(body), headers=headers, **options)
        except (AnsweredError, *GONE):
            # Whoever closes after an early answer may reset our sending side; the answer is still there to be read.
            self._cut = True
        body.stage = "waiting"

    def send(self, data: Any) -> None:
        """Send ``data`` while listening: raises AnsweredError as soon as a final answer begins to arrive."""
        letter = self._letter
        if letter is None or letter.stage != "sending":
            super().send(data)  # CONNECT to an outbound proxy
            return
        sock = self.sock
        if sock is None:  # closed from elsewhere: http.client would connect anew and send the rest there
            raise ConnectionAbortedError
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            self._send_all(sock, memoryview(data), letter.timeouts.idle)
        finally:
            with suppress(OSError):
                sock.settimeout(timeout)

    def _tunnel(self) -> None:
        super()._tunnel()
        answer = self._reception  # newer Pythons have closed it by now, older ones do not
        if answer is not None and (answer.surplus or (answer.fp and surplus(answer._sock, answer.fp))):
            raise ssl.SSLError("something spoke before TLS began")  # its bytes are lost to the handshake

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Reception:  # type: ignore[override]
        """What http.client reads an answer with: the letter's, or an outbound proxy's to CONNECT."""
        self._reception = Reception(sock, *args, heard=self._heard, cut=self._cut, **kwargs)
        self._heard, self._cut = b"", False
        return self._reception

    def _source(self, letter: Letter) -> Body:
        pieces = letter.pieces()
        return (
            pieces if pieces is None or isinstance(pieces, bytes) else overheard(pieces, self.sock, self._interrupted)
        )

    def _interrupted(self) -> BaseException | None:
        """What ends the sending, if anything has come while the body's next piece was waited for; never waits."""
        sock = self.sock
        if sock is None:  # closed from elsewhere: the next send will tell
            return None
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            self._listen(sock)
        except (AnsweredError, *GONE):
            return AnsweredError()
        finally:
            with suppress(OSError):
                sock.settimeout(timeout)
        return None

    def _send_all(self, sock: socket.socket, view: memoryview, patience: float) -> None:
        while view:
            self._listen(sock)
            try:
                sent = sock.send(view[:PIECE])
            except NOT_NOW:
                sent = 0
            if not sent and not ready(sock, patience):
                raise socket.timeout("the provider takes no more of the request")
            view = view[sent:]

    def _listen(self, sock: socket.socket) -> None:
        try:
            heard = sock.recv(PIECE)
        except NOT_NOW:
            return
        self._heard = _without_interim(self._heard + heard)
        if not heard or _final(self._heard):
            raise AnsweredError

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """The answer's head; from then on each next byte has the idle limit, and ``wire`` is the socket it comes on."""
        sock, letter = self.sock, self._letter
        try:
            response = super().getresponse()
        except BaseException:
            if self._reception is not None:  # it may hold the socket after the connection has let go of it
                self._reception.close()
            raise
        response.wire = sock  # type: ignore[attr-defined]
        if self._reception is not None:
            response.codings = self._reception.codings  # type: ignore[attr-defined]
        if letter is not None:
            letter.stage = "reading"
            with suppress(OSError):  # a body of no bytes may have closed it already
                sock.settimeout(letter.timeouts.idle)
        return response


class SecureWire(Wire, HTTPSConnection):
    """The same through TLS."""


def _without_interim(heard: bytes) -> bytes:
    """What was heard less whole interim answers, such as a 100 that nobody asked for."""
    while _INTERIM.match(heard):
        _, end, rest = heard.partition(b"\r\n\r\n")
        if not end:
            break
        heard = rest
    return heard


def _final(heard: bytes) -> bool:
    return len(heard) >= len(b"HTTP/1.1 200") and (_INTERIM.match(heard) is None or len(heard) > PIECE)
