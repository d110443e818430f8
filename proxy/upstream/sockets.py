"""Looking at a socket without taking anything out of it."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import Any


def silent(sock: socket.socket) -> bool:
    """Whether nothing at all is to be read from a socket, below TLS: neither data nor its end."""
    timeout = sock.gettimeout()
    try:
        sock.settimeout(0)
        socket.socket.recv(sock, 1, socket.MSG_PEEK)
    except BlockingIOError:
        sock.settimeout(timeout)
        return True
    except OSError:
        pass
    return False


def surplus(sock: socket.socket, buffer: Any) -> bool:
    """Whether bytes are left in the ``buffer`` in front of a socket, without waiting for any."""
    timeout = sock.gettimeout()
    with suppress(OSError, ValueError):  # nothing there, or closed
        sock.settimeout(0)
        try:
            return bool(buffer.peek(1))
        finally:
            sock.settimeout(timeout)
    return False


def ready(sock: socket.socket, seconds: float) -> bool:
    """Wait until ``sock`` can be read or written, ``seconds`` at most."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLOUT)
        return bool(poll.poll(seconds * 1000))
    readable, writable, _ = select.select([sock], [sock], [], seconds)
    return bool(readable or writable)
