"""One JSON object said over a socket, and one heard: the end of it is the end of what its speaker sends."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any, Dict, List

import msgspec

PIECE = 65536
LONGEST = 64 * 1024 * 1024  # bytes; more than any worker has to say


class LineError(Exception):
    """What was said is no JSON object, or too long, or came too late."""


def say(line: socket.socket, value: Dict[str, Any], end: float) -> None:
    """Say it and be silent from then on; raises OSError, also at the moment ``end`` (monotonic)."""
    line.settimeout(_left(end))
    line.sendall(msgspec.json.encode(value))
    line.shutdown(socket.SHUT_WR)


def hear(line: socket.socket, end: float) -> Dict[str, Any]:
    """Hear the other side out; raises OSError and LineError."""
    parts: List[bytes] = []
    size = 0
    while True:
        line.settimeout(_left(end))
        piece = line.recv(PIECE)
        if not piece:
            break
        parts.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise LineError("too long")
    try:
        value = msgspec.json.decode(b"".join(parts))
    except msgspec.MsgspecError:
        raise LineError("no JSON") from None
    if not isinstance(value, dict):
        raise LineError("no object")
    return value


def _left(end: float) -> float:
    left = end - monotonic()
    if left <= 0:
        raise LineError("too late")
    return left
