"""An exchange that ended before the provider was asked anything."""

from __future__ import annotations

from typing import Iterator, Optional

from proxy.chat.events import Failed
from proxy.deadlines import Deadlines
from proxy.dialects import DEFAULT, FAMILIES, Dialect
from proxy.dialects.dialect import Wire
from proxy.errors import Headers
from proxy.exchange import Parts, conclude
from proxy.journal.record import Record


class Refused:
    """A walk without steps: it exists so that what was refused is told in the client's ``dialect`` and journaled."""

    def __init__(self, parts: Parts, record: Record, dialect: Optional[Dialect] = None) -> None:
        self.record = record
        self.status = 400
        self.headers: Headers = []
        self.deadlines = Deadlines(None, None)
        self._parts = parts
        self._dialect = dialect or FAMILIES[DEFAULT].main

    @property
    def content_type(self) -> str:
        """What a stream of the client's dialect is."""
        return self._dialect.content_type

    @property
    def heartbeat(self) -> bytes:
        """Never needed."""
        return b""

    def status_of(self, failed: Failed) -> int:
        """The status that the client's protocol has for a failure."""
        return self._dialect.status(failed)

    def envelope(self, failed: Failed) -> Wire:
        """The failure as the client's dialect spells it."""
        return self._dialect.write_failed(failed)

    def spell(self, failed: Failed) -> bytes:
        """The failure as a stream of the client's dialect."""
        return self._dialect.write_failed_stream(failed, b"")

    def blocks(self) -> Iterator[bytes]:
        """Nothing."""
        return iter(())

    def hang_up(self, linger: float = 0.0) -> None:
        """Nobody was called."""

    def close(self) -> None:
        """The client has its answer: write it down."""
        conclude(self._parts, self.record, self.deadlines)
