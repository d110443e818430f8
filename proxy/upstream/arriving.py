"""The provider's answer as llhttp reads it (geventhttpclient's C parser): what each ``recv`` brought is handed over.

The parser is strict, and what it says is believed only of answers that leave nothing open; any other is for the careful
reader of ``wire``. https://llhttp.org
"""

from __future__ import annotations

import socket
from http import client as http
from typing import Callable, List, Tuple

from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from proxy.upstream.patience import Patience
from proxy.upstream.wire import MOST_INTERIM, PIECE

MOST_HEADERS = 100  # http.client's limit, which says what becomes of a head that is over it

TURNS = 8  # full reads until others get a turn, however much there is to read


class OddError(Exception):
    """The head of this answer wants a more careful reader."""


class Parser(HTTPResponseParser):
    """Gathers one answer: interim ones are skipped, ``surplus`` says that more came than belongs to it.

    ``bodiless``: it answers a request whose answer has no body whatever its head says.
    """

    def __init__(self, bodiless: bool) -> None:
        super().__init__()
        self.status = 0
        self.reason = ""
        self.names: List[str] = []
        self.values: List[str] = []
        self.pieces: List[bytearray] = []
        self.headed = self.ended = self.reusable = self.surplus = self.broken = False
        self._bodiless = bodiless
        self._interim = 0
        self._in_name = False

    def take(self, data: bytes) -> None:
        """Parse what came; a body whose framing is broken is ``broken`` from there. Raises OddError inside the head."""
        try:
            self.feed(data)
        except HTTPParseError as exc:
            if not self.headed:
                raise OddError from exc
            self.broken = self.surplus = True

    def piece(self) -> bytes:
        """The part of the body that has come, and forget it."""
        pieces = self.pieces
        data = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def all_of(self, name: str) -> List[str]:
        """The values of a header, whose name is given in lower case."""
        return [value for key, value in zip(self.names, self.values) if key.lower() == name]

    def _on_message_begin(self) -> None:
        self.surplus = self.headed

    def _on_status(self, text: str) -> None:
        if not self.headed:
            self.reason += text

    def _on_header_field(self, text: str) -> None:
        if self.headed:  # a trailer
            return
        if self._in_name:
            self.names[-1] += text
        else:
            self.names.append(text)
            self.values.append("")
            self._in_name = True

    def _on_header_value(self, text: str) -> None:
        if not self.headed:
            self.values[-1] += text
            self._in_name = False

    def _on_headers_complete(self) -> bool:
        if self.headed:
            return False
        self.status = self.get_code()
        self.headed = not 100 <= self.status < 200
        if not self.headed:
            self._forget_interim()
        return self.headed and self._bodiless

    def _forget_interim(self) -> None:
        self._interim += 1
        if self._interim >= MOST_INTERIM or self.status == 101:
            raise HTTPParseError("no final answer")
        self.forget_head()

    def forget_head(self) -> None:
        """What was said of the answer is kept elsewhere."""
        self.reason = ""
        self.names, self.values = [], []

    def _on_body(self, data: bytearray) -> None:
        if not self.surplus:
            self.pieces.append(data)

    def _on_message_complete(self) -> None:
        if self.headed and not self.surplus:
            self.ended = True
            self.reusable = self.should_keep_alive()


class Pairs(List[Tuple[str, str]]):
    """Headers in their order, repeated ones repeated."""

    def items(self) -> List[Tuple[str, str]]:
        """The pairs."""
        return self


class Arriving:
    """An answer whose body is under way on ``wire``; ``let_go`` is told at its end whether the connection is sound."""

    codings: Tuple[str, ...] = ()

    def __init__(
        self, wire: socket.socket, parser: Parser, let_go: Callable[[bool], None], patience: Patience | None = None
    ) -> None:
        self.status = parser.status
        self.reason = parser.reason
        self.headers = Pairs(zip(parser.names, parser.values))
        self.wire = wire
        self.closed = False
        self.pulled = self.enough = False
        self._patience = patience
        self._failed: BaseException | None = None
        self._drained = True
        self._full = 0  # reads in a row that left something behind
        # gevent's own recv would wait where nothing is there, as nobody here wants it to
        self._recv: Callable[[int], bytes] = wire.recv if patience is None else wire._sock.recv  # type: ignore[attr-defined]
        self._parser = parser
        self._let_go = let_go
        self._to_the_end = not parser.ended and not (
            parser.all_of("content-length") or parser.all_of("transfer-encoding")
        )
        parser.forget_head()
        if parser.ended and not parser.pieces:
            self.close()

    def read1(self, size: int = PIECE, decode_content: bool = False) -> bytes:
        """What comes next of the body, as soon as it comes; empty at its end, and where it is ``pulled`` at once."""
        parser = self._parser
        while not parser.pieces:
            if parser.ended or self.closed:
                self.close()
                return b""
            if parser.broken:  # what came before that is part of the answer
                raise http.IncompleteRead(b"")
            data = self._received()
            if data is None:
                return b""
            self._take(data)
        piece = parser.piece()
        if parser.ended:
            self.close()
        return piece

    def _received(self) -> bytes | None:
        """The next bytes; where the last ones were all that had come, nothing is tried before more has."""
        if self._patience is None or (not self.pulled and self.wire.gettimeout()):  # it has a limit of its own
            return self.wire.recv(PIECE)
        while True:
            if self._failed is not None:
                raise self._failed
            if self._drained and not self.pulled:
                self._patience.wait()
            try:
                data = self._recv(PIECE)
            except BlockingIOError:
                self._drained = True
                if self.pulled:
                    return None
                continue
            self._full = self._full + 1 if len(data) == PIECE else 0
            self._drained = self._full % TURNS == 0
            return data

    def pull(self) -> Arriving | None:
        """From now on ``until`` waits, no read; an empty piece says that nothing was there. None: that cannot be."""
        self.pulled = self._patience is not None and not self.closed
        return self if self.pulled else None

    def until(self, due: float) -> bool:
        """Wait until a read finds something, be it a failure; False at ``due`` (monotonic)."""
        if not self._drained or self.enough or self.closed or self._patience is None:
            return True
        try:
            return self._patience.until(due)
        except OSError as exc:  # the read will say that its time is over
            self._failed = exc
            return True

    def break_off(self, error: BaseException) -> bool:
        """Let the next read fail, now if it is waited for; whether it is."""
        self._failed = error
        waiting = self._patience is not None and self._patience.waiting
        if waiting and self._patience is not None:
            self._patience.wake()
        return waiting

    def _take(self, data: bytes) -> None:
        if data:
            self._parser.take(data)
        elif self._to_the_end:
            self._parser.ended = True
            self.close()
        else:
            raise http.IncompleteRead(b"")

    def close(self) -> None:
        """Let go of the connection, which can be used again if the body has ended as it should."""
        if not self.closed:
            self.closed = True
            if self._patience is not None:
                self._patience.close()
            parser = self._parser
            self._let_go(parser.ended and parser.reusable and not parser.surplus)


def is_plain(parser: Parser) -> bool:
    """Whether the head leaves nothing open: few headers, and chunked alone, or a length alone, or neither."""
    if len(parser.names) > MOST_HEADERS:
        return False
    codings = parser.all_of("transfer-encoding")
    lengths = parser.all_of("content-length")
    return (not codings or [one.strip().lower() for one in codings] == ["chunked"]) and len(lengths) + len(codings) < 2


__all__ = ["Arriving", "OddError", "Parser", "is_plain"]
