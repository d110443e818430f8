"""What http.client reads an answer from: strictly to the end of its head, and first what was heard before."""

from __future__ import annotations

import io
from http import client as http
from typing import Any, BinaryIO

from proxy.upstream.failures import FramingError


class Head:
    """What a head is read from, more strictly than http.client does.

    It takes a connection that ends inside a head for the end of that head, and a CR within a line for the line's end,
    which RFC 9112 2.2 forbids: who reads on sees other headers than we do.
    """

    def __init__(self, rest: BinaryIO) -> None:
        self._rest = rest

    def readline(self, limit: int) -> bytes:
        """One whole line, or as much of it as ``limit`` allows; raises RemoteDisconnected or FramingError."""
        line: bytes = self._rest.readline(limit)
        if len(line) < limit and not line.endswith(b"\n"):
            raise http.RemoteDisconnected("inside the head")
        if b"\r" in line.rstrip(b"\r\n") or line.endswith((b"\r\r\n", b"\r\r")):
            raise FramingError("a line of its head has a CR in it")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)


class Resumed(io.RawIOBase):
    """What was heard already, and then the rest."""

    def __init__(self, heard: bytes, rest: BinaryIO) -> None:
        self._heard = heard
        self._rest = rest

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with what comes next."""
        got = self._heard[: len(buffer)] or self._rest.read1(len(buffer))  # type: ignore[attr-defined]
        self._heard = self._heard[len(got) :]
        buffer[: len(got)] = got
        return len(got)

    def close(self) -> None:
        """Close the rest, too."""
        self._rest.close()
        super().close()
