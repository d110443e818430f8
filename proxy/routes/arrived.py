"""What arrived from a client, as plain values: taken once, out of what the host says of it."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, NamedTuple, Optional
from urllib.parse import quote

from werkzeug.wsgi import get_content_length, get_input_stream

from proxy.errors import Headers, ProxyError, failure
from proxy.headers import first
from proxy.routes.watch import descriptor_of, socket_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PIECE = 65536
BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")
# Set by our own pages, in the process: an ask of the operator's. No client can, whose headers are all called HTTP_...
OPERATOR = "openai_forward.operator"
LONGEST = (1 << 31) - 1  # milliseconds that the kernel can count
ORIGIN = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Arrived(NamedTuple):
    """A request: ``path`` and ``query`` as the client spelled them; ``length`` is None for a chunked or absent body.

    ``plain``: nothing but ``chunked`` was done to the body on its way, which would be lost if it were passed on.
    ``operator``: our operator repeats it from the traffic page.
    """

    method: str
    path: str
    query: str
    headers: Headers
    length: Optional[int]
    chunked: bool
    stream: Any
    descriptor: Optional[int]
    patience: float
    socket: Any
    plain: bool
    operator: bool = False

    def header(self, name: str) -> str:
        """The value of a header, or an empty text."""
        return first(self.headers, name.lower())

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises ProxyError ``request_timeout`` or ``client_left``."""
        with self._patient():
            while True:
                piece = self._read()
                if not piece:
                    return
                yield piece

    def body(self, limit: int) -> bytes:
        """The whole body, at most ``limit`` bytes. Raises ProxyError ``request_too_large`` and those of ``pieces``."""
        if self.length is not None and self.length > limit:
            raise _too_large(limit)
        parts: List[bytes] = []
        size = 0
        for piece in self.pieces():
            parts.append(piece)
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            if size == self.length:
                break
        if self.length is not None and size < self.length:
            raise failure("client_left", "The client left before its request was complete.")
        return b"".join(parts)

    def _read(self) -> bytes:
        try:
            return self.stream.read(PIECE)  # type: ignore[no-any-return]
        except Exception as exc:  # every host has words of its own for what can go wrong here
            raise self._blamed(exc) from exc

    def _blamed(self, exc: Exception) -> ProxyError:
        if isinstance(exc, (socket.timeout, TimeoutError)):  # the same only since Python 3.10
            text = f"The request's body did not arrive: nothing came for {self.patience:g} s (--client_timeout)."
            return failure("request_timeout", text)
        if type(exc).__module__.startswith("gunicorn.http") and type(exc).__name__ != "NoMoreData":
            return failure("invalid_framing", "The request's body is not framed as HTTP wants it.")
        return failure("client_left", "The client left before its request was complete.")

    def abandon(self) -> None:
        """Break the connection, where the host shows it."""
        if self.socket is not None:
            with suppress(OSError, ValueError):
                self.socket.shutdown(socket.SHUT_RDWR)

    def _patient(self) -> _Patience:
        return _Patience(self.socket, self.patience)


class _Patience:
    """A limit on each read of the client's socket, where the host shows it."""

    def __init__(self, sock: Any, seconds: float) -> None:
        self._sock = sock
        self._seconds = seconds
        self._before: Optional[float] = None

    def __enter__(self) -> None:
        if self._sock is not None and self._seconds:
            self._before = self._sock.gettimeout()
            self._sock.settimeout(self._seconds)

    def __exit__(self, *_: object) -> None:
        if self._sock is not None and self._seconds and self._sock.fileno() >= 0:
            self._sock.settimeout(self._before)


def arrived(environ: WSGIEnvironment, patience: float) -> Arrived:
    """Take what is needed out of what the host says of a request."""
    path, query = target_of(environ)
    headers = _headers_of(environ)
    sock = socket_of(environ)
    _expect_reading(sock, patience)
    codings = {coding.strip().lower() for coding in environ.get("HTTP_TRANSFER_ENCODING", "").split(",")}
    chunked = "chunked" in codings
    return Arrived(
        method=environ["REQUEST_METHOD"],
        path=path,
        query=query,
        headers=headers,
        length=None if chunked else get_content_length(environ),
        chunked=chunked,
        stream=get_input_stream(environ),
        descriptor=descriptor_of(sock),
        patience=patience,
        socket=sock,
        plain=not codings - {"", "chunked", "identity"},
        operator=environ.get(OPERATOR) is True,
    )


def _expect_reading(sock: Any, seconds: float) -> None:
    """Have the kernel (Linux) end the connection of a client that takes nothing for so long, and keeps its place."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and sock is not None:
        with suppress(OSError, AttributeError):  # no TCP
            sock.setsockopt(socket.IPPROTO_TCP, option, min(int(seconds * 1000), LONGEST))


def _headers_of(environ: Mapping[str, Any]) -> Headers:
    """The headers as WSGI has them: each once, their case lost, and two of them under names of their own (PEP 3333)."""
    return [
        (_spelled(key), value)
        for key, value in environ.items()
        if (key.startswith("HTTP_") and key[5:] not in BARE) or (key in BARE and value)
    ]


@lru_cache(maxsize=1024)
def _spelled(key: str) -> str:
    return (key if key in BARE else key[5:]).replace("_", "-").title()


def target_of(environ: Mapping[str, Any]) -> tuple[str, str]:
    """The path and query as the client spelled them, below the mount point; an absolute form's origin is ignored."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is None:
        raw = quote(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "/"), safe="/:@!$&'()*+,;=~-._")
        raw += "?" + environ["QUERY_STRING"] if environ.get("QUERY_STRING") else ""
    path, _, query = (raw if raw.startswith("/") else ORIGIN.sub("", raw, count=1)).partition("?")
    mount = environ.get("SCRIPT_NAME")
    if mount and path.startswith(quote(mount)):
        path = path[len(quote(mount)) :]
    return path or "/", query


def _too_large(limit: int) -> Exception:
    return failure("request_too_large", f"The request's body is over {limit} bytes (--max_ask_bytes).")
