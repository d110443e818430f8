"""The fast transport: the same connections, but requests leave in one write and answers are read by a C parser.

What urllib3 does for each request costs more than everything else here together; opening a connection, which is rare,
is still its affair, and so is any answer that the strict parser will not take.
"""

from __future__ import annotations

from contextlib import suppress
from ssl import SSLSocket
from typing import Any, Callable, Iterable, Tuple, Union

from requests import PreparedRequest, Response
from urllib3 import HTTPHeaderDict, HTTPResponse

from proxy.aside import is_green
from proxy.upstream.arriving import Arriving, OddError, Parser, is_plain
from proxy.upstream.patience import Patience
from proxy.upstream.transport import Transport
from proxy.upstream.wire import GONE, NOT_NOW, PIECE, AnsweredError, Letter, Reception, SecureWire, Wire

Pairs = Iterable[Tuple[str, str]]
LetGo = Callable[["FastWire", bool], None]


class FastWire(Wire):
    """A connection that writes a letter in as few pieces as it can and reads with ``Parser``."""

    def ask(self, method: str, headers: Pairs, letter: Letter, let_go: LetGo) -> Union[Arriving, HTTPResponse]:
        """Send the letter and return when the answer's head is there; ``let_go`` takes the connection back."""
        self.timeout = letter.timeouts.connect
        self.begin(letter)
        try:
            self._send_letter(method, headers, letter)
        except (AnsweredError, *GONE):  # an early answer is there to be read, whatever became of the request
            self._cut = True
        letter.stage = "waiting"
        return self._hear(method, letter, let_go)

    def _send_letter(self, method: str, headers: Pairs, letter: Letter) -> None:
        lines = [f"{method} {letter.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "\r\n"]
        head, body = "\r\n".join(lines).encode("latin-1"), letter.body
        if body is None or isinstance(body, bytes):
            self._send_at_once(head + body if body else head)
            return
        self.send(head)
        chunked = any(name == "Transfer-Encoding" for name, _ in headers)
        for piece in self._source(letter) or ():
            if isinstance(piece, bytes) and piece:
                self.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.send(b"0\r\n\r\n")

    def _send_at_once(self, data: bytes) -> None:
        """All of it, without listening as long as the kernel takes it: an answer can wait that long."""
        sock = self.sock
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            sent = sock.send(data)
        except NOT_NOW:
            sent = 0
        finally:
            if sock.fileno() >= 0:
                sock.settimeout(timeout)
        if sent < len(data):
            self.send(memoryview(data)[sent:])

    def _hear(self, method: str, letter: Letter, let_go: LetGo) -> Union[Arriving, HTTPResponse]:
        sock, parser, heard = self.sock, Parser(method == "HEAD"), self._heard
        sock.settimeout(letter.timeouts.first_byte)
        try:
            if heard:
                parser.take(heard)
            while not parser.headed:
                data = sock.recv(PIECE)
                heard += data
                if not data:
                    raise OddError
                parser.take(data)
            if len(heard) > PIECE or not is_plain(parser):
                raise OddError
        except OddError:
            return self._heard_carefully(method, letter, heard)
        letter.stage = "reading"
        cut, patience = self._cut, None
        sock.settimeout(letter.timeouts.idle)
        if not parser.ended and is_green() and not isinstance(sock, SSLSocket):
            sock.settimeout(0)
            patience = Patience(sock, letter.timeouts.idle)
        return Arriving(sock, parser, lambda sound: let_go(self, sound and not cut), patience)

    def _heard_carefully(self, method: str, letter: Letter, heard: bytes) -> HTTPResponse:
        """The same answer read by http.client; such a connection is not used again."""
        sock = self.sock
        reception = Reception(sock, method=method, heard=heard, cut=True)
        try:
            reception.begin()
        except BaseException:
            reception.close()
            raise
        self.close()  # the reception has a file of its own on the socket
        response = HTTPResponse(
            body=reception,
            headers=HTTPHeaderDict(reception.msg.items()),
            status=reception.status,
            reason=reception.reason,
            preload_content=False,
            decode_content=False,
            original_response=reception,
            request_method=method,
        )
        response.wire, response.codings = sock, reception.codings  # type: ignore[attr-defined]
        letter.stage = "reading"
        with suppress(OSError):
            sock.settimeout(letter.timeouts.idle)
        return response


class FastSecureWire(FastWire, SecureWire):
    """The same through TLS."""


class FastTransport(Transport):
    """Requests' adapter as seen from outside; inside, a pooled connection is asked directly."""

    wires = (FastWire, FastSecureWire)
    _pool: Any = None

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """Send the letter that is the request's body; its limits count. Raises what the connection raises."""
        pool: Any = self._pool or self._find_pool(request)
        wire: FastWire = pool._get_conn()
        try:
            raw = wire.ask(str(request.method), request.headers, request.body, pool.take_back)  # type: ignore[arg-type]
        except BaseException:
            wire.close()
            raise
        return self.build_response(request, raw)  # type: ignore[arg-type]

    def _find_pool(self, request: PreparedRequest) -> Any:
        """There is one provider, so one pool."""
        self._pool = self.get_connection_with_tls_context(request, True)
        return self._pool

    def close(self) -> None:
        """Close the idle connections."""
        self._pool = None
        super().close()
