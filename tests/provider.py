"""A provider that says the very bytes a test wrote down, over real sockets, and remembers all that it heard.

A script is a list of steps: ``bytes`` are sent as they stand, the other steps are the classes below. It knows nothing
of the proxy and uses none of its code, so that what a test plays cannot be wrong in the same way as what it tests.
"""

from __future__ import annotations

import hashlib
import json
import select
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from typing import Any, Callable, NamedTuple, Sequence, Union

KEPT = 1 << 22  # bytes of a body that are kept; the rest is only counted and digested
GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR  # seen even while unread bytes wait in front of it
SLICE = 0.02  # seconds between two looks at whether the test is over


class Sleep(NamedTuple):
    """Say nothing for ``seconds``; the script ends early if the peer leaves meanwhile."""

    seconds: float


class Until(NamedTuple):
    """Say nothing until the test has called ``provider.tell(name)``."""

    name: str


class Stall(NamedTuple):
    """Say nothing for ever, with the connection open, until the peer leaves or the test is over."""


class Close(NamedTuple):
    """Close the connection in an orderly way (FIN)."""


class Reset(NamedTuple):
    """Tear the connection down (RST)."""


class Read(NamedTuple):
    """Take this many bytes of the body's content, or all of it. A script without this step first reads all."""

    size: int | None = None


class Deaf(NamedTuple):
    """Do not read the body before speaking; stands first in a script."""


Step = Union[bytes, Sleep, Until, Stall, Close, Reset, Read, Deaf]
Script = Sequence[Step]


class LeftError(Exception):
    """The peer left, or the test is over: nothing more can be said."""


class Heard:
    """One request as it arrived: ``head`` and ``raw`` are bytes off the wire, ``body`` is without its framing."""

    def __init__(self, connection: Connection, head: bytes) -> None:
        self.connection = connection
        self.at = time.monotonic()
        self.head = head
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
        self.raw = b""
        self.body = b""
        self.size = 0
        self.chunks: list[int] = []
        self.complete = False
        self.sent: list[tuple[float, bytes]] = []
        self.digest = hashlib.sha256()

    def __repr__(self) -> str:
        return f"<Heard {self.method} {self.target} {self.size} bytes>"

    def all(self, name: str) -> list[str]:
        """Every value of a header, in the order of arrival."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The only value of a header, or None; a repeated header is a test's error."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def framing(self) -> str:
        """``chunked``, ``length``, ``none``, or ``both`` (which a peer must never send)."""
        chunked, length = self.all("transfer-encoding"), self.all("content-length")
        if chunked and length:
            return "both"
        return "chunked" if chunked else "length" if length else "none"

    def left_within(self, seconds: float) -> bool:
        """Whether the peer closes (or has closed) this request's connection within ``seconds`` from now."""
        return self.connection.left.wait(seconds)

    def take(self, raw: bytes, content: bytes) -> None:
        """Remember some of the body; only the first bytes are kept."""
        if len(self.raw) < KEPT:
            self.raw += raw
        if len(self.body) < KEPT:
            self.body += content
        self.size += len(content)
        self.digest.update(content)


class Connection:
    """One accepted connection: reads requests, plays scripts, notices when the peer leaves."""

    def __init__(self, provider: Provider, sock: socket.socket, number: int) -> None:
        self.provider = provider
        self.sock = sock
        self.number = number
        self.left = threading.Event()
        self.left_at = 0.0
        self.over = threading.Event()
        self.buffer = bytearray()
        self.unread: Any | None = None  # the rest of the body of the request at hand, while it is being read

    def run(self) -> None:
        """Serve request after request until one side closes."""
        try:
            while True:
                self.serve(Heard(self, self.until(b"\r\n\r\n")))
        except (LeftError, OSError):
            pass
        except Exception as fault:  # a script's, or a request that is no HTTP: the test has to hear of it
            self.provider.faults.append(fault)
        finally:
            with suppress(OSError):
                self.sock.close()

    def serve(self, heard: Heard) -> None:
        """Play the script of one request."""
        self.unread = read_body(self, heard)
        steps = self.provider.note(heard)
        if not steps or not isinstance(steps[0], (Read, Deaf)):
            self.read(None)
        for step in steps or self.provider.choose(heard):
            self.play(step, heard)

    def play(self, step: Step, heard: Heard) -> None:
        """Do one step of a script."""
        if isinstance(step, bytes):
            self.send(step, heard)
        elif isinstance(step, Sleep):
            self.idle(step.seconds)
        elif isinstance(step, Until):
            self.idle(30, self.provider.event(step.name))
        elif isinstance(step, Stall):
            self.idle(60)
        elif isinstance(step, Read):
            self.read(step.size)
        elif isinstance(step, (Close, Reset)):
            self.end(reset=isinstance(step, Reset))

    def send(self, piece: bytes, heard: Heard) -> None:
        heard.sent.append((time.monotonic(), piece))
        try:
            self.sock.sendall(piece)
        except OSError:
            self.gone()

    def end(self, *, reset: bool) -> None:
        """Close, by FIN or by RST."""
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.sock.settimeout(0.2)
            with suppress(OSError, ValueError):
                if isinstance(self.sock, ssl.SSLSocket):
                    self.sock = self.sock.unwrap()
                self.sock.shutdown(socket.SHUT_WR)
            with suppress(OSError, LeftError):  # unread bytes would turn the FIN into a RST
                self.idle(0.05)
        self.sock.close()
        raise LeftError

    def gone(self) -> None:
        """The peer has left."""
        if not self.left.is_set():
            self.left_at = time.monotonic()
            self.left.set()
        raise LeftError

    def idle(self, seconds: float, event: threading.Event | None = None) -> None:
        """Let time pass, or wait for ``event``; raises LeftError at once when the peer leaves."""
        poller = select.poll()
        poller.register(self.sock, GONE)
        end = time.monotonic() + seconds
        while not (event and event.is_set()):
            rest = end - time.monotonic()
            if rest <= 0:
                return
            wait = 0.002 if event else min(rest, SLICE)
            if poller.poll(max(1, int(wait * 1000)) if rest > 0.001 else 0):
                self.gone()
            if self.over.is_set():
                raise LeftError

    def more(self) -> bytes:
        """Some more bytes of the peer's; raises LeftError at its end."""
        try:
            got = self.sock.recv(1 << 18)
        except OSError:
            got = b""
        return got or self.gone()  # type: ignore[return-value]

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with ``mark``."""
        while mark not in self.buffer:
            self.buffer += self.more()
        end = self.buffer.index(mark) + len(mark)
        got = bytes(self.buffer[:end])
        del self.buffer[:end]
        return got

    def some(self, limit: int) -> bytes:
        """At least one byte, at most ``limit``."""
        if not self.buffer:
            self.buffer += self.more()
        got = bytes(self.buffer[:limit])
        del self.buffer[:limit]
        return got

    def read(self, size: int | None) -> None:
        """Take ``size`` bytes of the body at hand, or all that is left of it."""
        taken = 0
        while self.unread is not None and (size is None or taken < size):
            piece = next(self.unread, None)
            if piece is None:
                self.unread = None
                return
            taken += piece


def read_body(wire: Connection, heard: Heard) -> Any:
    """Read a request's body piece by piece into ``heard``; yields the size of each piece."""
    if heard.all("transfer-encoding"):
        yield from read_chunked(wire, heard)
    else:
        rest = int((heard.all("content-length") or ["0"])[0])
        while rest:
            piece = wire.some(rest)
            heard.take(piece, piece)
            rest -= len(piece)
            yield len(piece)
    heard.complete = True


def read_chunked(wire: Connection, heard: Heard) -> Any:
    """Read a chunked body; ``heard.chunks`` gets the sizes as the peer chose them."""
    while True:
        line = wire.until(b"\r\n")
        rest = int(line.split(b";")[0], 16)
        heard.take(line, b"")
        if not rest:
            break
        heard.chunks.append(rest)
        while rest:
            piece = wire.some(rest)
            heard.take(piece, piece)
            rest -= len(piece)
            yield len(piece)
        heard.take(wire.until(b"\r\n"), b"")
    while line != b"\r\n":
        line = wire.until(b"\r\n")
        heard.take(line, b"")


class Provider:
    """The listening side: ``plays`` queues scripts, ``heard`` holds the requests in the order of their heads."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.connections: list[Connection] = []
        self.clear()
        self.thread = threading.Thread(target=self.accept, name=f"provider {self.port}", daemon=True)
        self.thread.start()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The full chat endpoint, as the contract's --url has it."""
        return f"{self.origin}/v1/chat/completions"

    def clear(self) -> None:
        """Forget scripts and requests, end what is still being played."""
        with self.lock:
            busy, self.connections = self.connections, []
            self.heard: list[Heard] = []
            self.queue: list[Script] = []
            self.default: Script | None = None
            self.chooser: Callable[[Heard], Script | None] | None = None
            self.events: dict[str, threading.Event] = {}
            self.surprises: list[Heard] = []
            self.faults: list[Exception] = []
        for connection in busy:
            connection.over.set()
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and hang up on everybody."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.clear()
        self.thread.join(5)

    def plays(self, *scripts: Script) -> None:
        """Queue one script for each of the next requests."""
        with self.lock:
            self.queue.extend(scripts)

    def always(self, *steps: Step) -> None:
        """The script for every request for which none is queued."""
        self.default = steps

    def chooses(self, chooser: Callable[[Heard], Script | None]) -> None:
        """Let a function of the whole request choose what is said where nothing is queued; None is a surprise."""
        self.chooser = chooser

    def event(self, name: str) -> threading.Event:
        """The named event, for ``Until``."""
        with self.lock:
            return self.events.setdefault(name, threading.Event())

    def tell(self, name: str) -> None:
        """Let scripts go on that wait for ``name``."""
        self.event(name).set()

    def note(self, heard: Heard) -> Script:
        """Remember a request whose body is still to be read; returns the script queued for it, if there is one."""
        with self.lock:
            self.heard.append(heard)
            return self.queue.pop(0) if self.queue else []

    def choose(self, heard: Heard) -> Script:
        """What to say when nothing was queued; a request that no test expected is remembered as a surprise."""
        chosen = self.chooser(heard) if self.chooser else self.default
        if chosen is None:
            self.surprises.append(heard)
        return chosen or [b"HTTP/1.1 500 Unscripted\r\nContent-Length: 10\r\n\r\nunscripted"]

    def wait(self, count: int = 1, seconds: float = 10, *, complete: bool = True) -> Heard:
        """Wait until ``count`` requests came, the last of them with its whole body; returns the last."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if len(self.heard) >= count and (self.heard[count - 1].complete or not complete):
                return self.heard[count - 1]
            time.sleep(0.002)
        raise AssertionError(f"the provider heard {self.heard}, not {count} requests")

    def accept(self) -> None:
        """Give each connection its own thread."""
        number = 0
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self.welcome, args=(sock, number), daemon=True).start()

    def welcome(self, sock: socket.socket, number: int) -> None:
        """Shake hands and serve; a handshake that fails is a connection that never was."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        connection = Connection(self, sock, number)
        with self.lock:
            self.connections.append(connection)
        connection.run()
