"""A provider's side that begins connections in all the ways in which they can begin badly."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from faults.arena import Stage


def certify(folder: Path, name: str, subject: str) -> tuple[Path, Path]:
    """A self-made certificate for a name, and its key."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name]
    command += ["-addext", "subjectAltName=" + subject, "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return paths


def showing(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """A server's context with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


class Gate(Stage):
    """A provider behind TLS; ``greeting`` says how the next connections begin."""

    def __init__(self, contexts: dict[str, ssl.SSLContext]) -> None:
        self.contexts = contexts
        super().__init__(contexts["good"])

    def welcome(self, sock: socket.socket, number: int) -> None:
        """Begin one connection."""
        greeting = self.greeting
        if greeting in (
            "closes",
            "resets",
            "stalls",
            "speaks plain HTTP",
            "says garbage",
            "breaks off inside the handshake",
        ):
            with sock:
                misbehave(sock, greeting)
            return
        self.tls = self.contexts.get(greeting, self.contexts["good"])
        super().welcome(sock, number)


def misbehave(sock: socket.socket, greeting: str) -> None:
    """No handshake at all."""
    if greeting == "resets":
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif greeting == "stalls":
        while sock.recv(65536):
            pass
    elif greeting != "closes":
        sock.recv(65536)
        said = {"speaks plain HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n", "says garbage": b"\x00" * 64}
        sock.sendall(said.get(greeting, b"\x16\x03\x03\x00\x7a\x02\x00"))


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which connections are refused, and which nobody else gets."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextmanager
def nowhere() -> Iterator[int]:
    """A port at which connections neither come about nor are refused: its queue is full."""
    waiting: list[Any] = []
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(sock.getsockname())
            waiting.append(one)
        yield sock.getsockname()[1]
    for one in waiting:
        one.close()
