"""A provider of a few lines: each connection is played by a function that reads and writes literal bytes."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from typing import Any, Callable, List, Optional


class Peer:
    """One connection at the provider: ``heard`` is every byte that arrived, ``left`` when the other side closed."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard = b""
        self._taken = 0
        self.left: Optional[float] = None
        self.stop = threading.Event()

    def say(self, *parts: bytes, pause: float = 0.0) -> None:
        for part in parts:
            self.sock.sendall(part)
            time.sleep(pause)

    def head(self) -> bytes:
        """The next request's head; empty when there will be none."""
        while b"\r\n\r\n" not in self.heard[self._taken :]:
            if not self._more():
                return b""
        end = self.heard.index(b"\r\n\r\n", self._taken) + 4
        begin, self._taken = self._taken, end
        return self.heard[begin:end]

    def body(self, size: int) -> bytes:
        while len(self.heard) - self._taken < size and self._more():
            pass
        begin, self._taken = self._taken, self._taken + size
        return self.heard[begin : self._taken]

    def chunks(self) -> bytes:
        """A chunked body as it came, with its framing."""
        while b"0\r\n\r\n" not in self.heard[self._taken :] and self._more():
            pass
        begin, self._taken = self._taken, self.heard.index(b"0\r\n\r\n", self._taken) + 5
        return self.heard[begin : self._taken]

    def wait(self, seconds: float = 5.0) -> bool:
        """Wait until the other side has closed."""
        self.sock.settimeout(seconds)
        try:
            while self._more():
                pass
        except socket.timeout:
            return False
        except OSError:
            self.left = time.monotonic()
        return True

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self.heard += data
        if not data:
            self.left = time.monotonic()
        return bool(data)


Play = Callable[[Peer], Any]


class RawServer:
    """Listens on 127.0.0.1; ``peers`` are the connections so far. Each plays ``play`` and is closed afterwards."""

    def __init__(self, play: Play, context: Optional[ssl.SSLContext] = None) -> None:
        self.play, self.context = play, context
        self.peers: List[Peer] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.url = ("https" if context else "http") + "://" + self.host
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    @property
    def requests(self) -> int:
        """How many request lines arrived on all connections together."""
        return sum(peer.heard.count(b" HTTP/1.1\r\n") for peer in self.peers)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            # Nagle would hold an answer back behind TLS 1.3's tickets, and a close with bytes unread would drop it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            peer = Peer(self.context.wrap_socket(sock, server_side=True) if self.context else sock)
        except OSError:
            sock.close()
            return
        self.peers.append(peer)
        try:
            self.play(peer)
        except OSError:
            pass
        finally:
            peer.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for peer in self.peers:
            peer.stop.set()
            with suppress(OSError):
                socket.socket.shutdown(peer.sock, socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(2)
