"""``wsgi.input`` of a request whose length is known: what came with its head, then the socket's bytes as they come."""

from __future__ import annotations

import errno
import io
from typing import Any, Callable

PIECE = 65536


class Incoming(io.RawIOBase):
    """``begun``: the part of the body that is there; ``left``: how many bytes the socket still owes."""

    def __init__(self, sock: Any, begun: bytes, left: int) -> None:
        super().__init__()
        self._sock = sock
        self._begun = begun
        self.left = left
        self.failed = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, ``size`` at most and as many as there are; empty at the end. Raises OSError."""
        if size is None or size < 0:
            return self.readall()
        begun = self._begun
        if begun:
            self._begun = begun[size:]
            return begun[:size] if self._begun else begun
        return self._received(min(size, self.left)) if self.left else b""

    def readinto(self, buffer: Any) -> int:
        """The same into a buffer."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def spend(self, comes: Callable[[], bool]) -> bool:
        """Read what nobody wanted, so that the next request can be found; False if that cannot be done.

        ``comes`` waits for more, and says whether there is any.
        """
        self._begun = b""
        while self.left and not self.failed and comes():
            self._received(min(PIECE, self.left))
        return not (self.left or self.failed)

    def _received(self, size: int) -> bytes:
        try:
            piece: bytes = self._sock.recv(size)
        except BaseException:
            self.failed = True
            raise
        if not piece:
            self.failed = True
            raise ConnectionResetError(errno.ECONNRESET, "the client left inside its request")
        self.left -= len(piece)
        return piece
