"""A client made of one socket: says the bytes it is given, and notes when which bytes came back."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import time
from typing import Any, Callable, Iterable

OPEN: list[socket.socket] = []  # those of the test at hand, closed or not


def hang_up() -> None:
    """Close what a test may have left open: a forgotten socket would be complained of in another one's time."""
    while OPEN:
        OPEN.pop().close()


class Call:
    """One request on a connection of its own, and whatever has come back so far (``got``, with framing)."""

    def __init__(
        self,
        port: int,
        body: bytes = b"",
        *,
        method: str = "POST",
        target: str = "/v1/chat/completions",
        headers: Iterable[tuple[str, str]] = (),
        host: str = "client.example",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname="127.0.0.1", suppress_ragged_eofs=True)
        OPEN.append(self.sock)
        self.got = b""
        self.ended = False
        given = list(headers)
        if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in given):
            given.append(("Content-Length", str(len(body))))
        if not any(name.lower() == "connection" for name, _ in given):
            given.append(("Connection", "close"))
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in given)]
        self.method = method
        self.began = time.monotonic()
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, more: bytes) -> None:
        """Say more."""
        self.sock.sendall(more)

    def more(self, seconds: float) -> bool:
        """Wait for more bytes; False when time is up or the other side has ended."""
        self.sock.settimeout(max(seconds, 0.001))
        try:
            piece = self.sock.recv(1 << 16)
        except socket.timeout:
            return False
        except ConnectionError:
            piece = b""
        self.ended = not piece
        self.got += piece
        return bool(piece)

    def until(self, mark: bytes, seconds: float = 10) -> float:
        """Wait until ``mark`` came (framing included); returns the moment."""
        self._wait(lambda: mark in self.got, seconds, f"{mark!r} did not come")
        return time.monotonic()

    def silent_for(self, seconds: float) -> bool:
        """Whether nothing comes for that long."""
        return not self.more(seconds) and not self.ended

    def rest(self, seconds: float = 20) -> Call:
        """Read until the answer is complete or the other side ends, and hang up."""
        self._wait(lambda: self.ended or self.complete, seconds, "no end")
        self.sock.close()
        return self

    def _wait(self, true: Callable[[], bool], seconds: float, otherwise: str) -> None:
        end = time.monotonic() + seconds
        while not true():
            left = end - time.monotonic()
            if left <= 0 or self.ended or not (self.more(left) or self.ended):
                self.sock.close()
                raise AssertionError(f"{otherwise} within {seconds} s: {self.got!r}")

    @property
    def complete(self) -> bool:
        """Whether the answer has come to the end that its own length tells."""
        length = self.all("content-length")
        return b"\r\n\r\n" in self.got and length != [] and len(self.content) >= int(length[0])

    def leave(self, *, reset: bool = False) -> float:
        """Hang up; returns the moment."""
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        return time.monotonic()

    @property
    def head(self) -> str:
        """The status line and headers as they came."""
        return self.got.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def status(self) -> int:
        """The status, 0 when there is none."""
        found = re.match(r"HTTP/1\.[01] (\d{3})", self.head)
        return int(found.group(1)) if found else 0

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        pairs = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return [value.strip() for key, _, value in pairs if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The only value of a header, or None; a repeated one is a fault."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {self.head}"
        return values[0] if values else None

    @property
    def content(self) -> bytes:
        """What came after the head, without the chunked framing."""
        raw = self.got.partition(b"\r\n\r\n")[2]
        return b"".join(unchunk(raw)) if self.all("transfer-encoding") else raw

    @property
    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)

    @property
    def error(self) -> Any:
        """The error object: exactly the envelope, all four fields present, as every failure must look."""
        error = self.json["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        assert isinstance(error["message"], str) and error["message"], error
        return error

    @property
    def data(self) -> list[bytes]:
        """The payloads of the SSE records that came so far."""
        return [line[6:] for line in self.content.split(b"\n") if line.startswith(b"data: ")]


def unchunk(raw: bytes) -> Iterable[bytes]:
    """The chunks of a chunked body, as far as it came; complains about a body that ends without its last chunk."""
    while raw:
        line, _, raw = raw.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if not size:
            return
        yield raw[:size]
        raw = raw[size + 2 :]


def events(call: Call) -> list[Any]:
    """All JSON payloads of a stream that ended with exactly one [DONE]."""
    assert call.data[-1:] == [b"[DONE]"] and call.data.count(b"[DONE]") == 1, call.got
    return [json.loads(one) for one in call.data[:-1]]
