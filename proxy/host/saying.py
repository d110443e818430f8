"""An answer as WSGI gives it, put onto the socket in as few writes as can be: the head leaves with the first block."""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Any, Callable, List, Optional, Tuple

from proxy.headers import HOP_BY_HOP, is_token

NO_BODY = (204, 304)
OWN = HOP_BY_HOP | {"proxy-authenticate", "proxy-authorization", "trailers", "server", "date"}

_STATUS = re.compile(r"[1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")
_ODD = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Saying:
    """One answer to a request of HTTP/1.1; ``keeps``: the connection stays open behind it."""

    def __init__(self, sock: Any, bodiless: bool, keeps: bool) -> None:
        self._sock = sock
        self._bodiless = bodiless
        self._keeps = keeps
        self._head = b""
        self._left: Optional[int] = None  # bytes that the body may still have; None: it leaves in chunks
        self.begun = False

    def start(self, status: str, headers: List[Tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's start_response; raises ValueError for what cannot be sent."""
        if self.begun or (self._head and exc_info is None):
            raise AssertionError("the answer has begun")
        if _STATUS.fullmatch(status) is None or _ODD.search("".join([value for _, value in headers])):
            raise ValueError("a header that cannot be sent")  # its value may be a credential
        kept = [pair for pair in headers if _may_leave(pair[0])]
        self._left = self._length_of(int(status[:3]), kept)
        lines = [f"HTTP/1.1 {status}\r\nServer: gunicorn\r\nDate: {_date(int(time()))}\r\nConnection: "]
        lines.append("keep-alive\r\n" if self._keeps else "close\r\n")
        if self._left is None:
            lines.append("Transfer-Encoding: chunked\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in kept]
        self._head = "".join([*lines, "\r\n"]).encode("latin-1")
        return self.write

    def _length_of(self, status: int, headers: List[Tuple[str, str]]) -> Optional[int]:
        """How long the body is; a 204 has not even a length (RFC 9110 8.6)."""
        length = next((value for name, value in headers if len(name) == 14 and name.lower() == "content-length"), None)
        if status == 204 and length is not None:
            headers[:] = [pair for pair in headers if pair[0].lower() != "content-length"]
        self._bodiless = self._bodiless or status in NO_BODY
        return 0 if self._bodiless else None if length is None else int(length)

    def write(self, block: bytes) -> None:
        """Send a block of the body, with the head if that has not left; an empty one sends the head alone."""
        left = self._left
        if left is None:
            data = b"%X\r\n%b\r\n" % (len(block), block) if block else b""
        else:
            data = block[:left] if len(block) > left else block
            self._left = left - len(data)
        if not self.begun:
            if not self._head:
                raise AssertionError("the answer has no head")
            self.begun = True
            data, self._head = self._head + data, b""
        if data:
            self._send(data)

    def end(self) -> None:
        """The body has ended."""
        if not self.begun:
            self.write(b"")
        if self._left is None:
            self._send(b"0\r\n\r\n")

    @property
    def whole(self) -> bool:
        """Whether as much was sent as the head has promised."""
        return not self._left or self._bodiless

    def _send(self, data: bytes) -> None:
        sent = self._sock.send(data)  # sendall first asks the kernel for its buffer's size
        if sent < len(data):
            self._sock.sendall(memoryview(data)[sent:])


@lru_cache(maxsize=1024)
def _may_leave(name: str) -> bool:
    """Whether a header is not the host's own affair; raises ValueError for a name that is none (RFC 9110 5.6.2)."""
    if not is_token(name):
        raise ValueError("a header's name that cannot be sent")
    return name.lower() not in OWN


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
