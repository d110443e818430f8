"""An exchange that ended before the provider was asked anything."""

from __future__ import annotations

from typing import Callable, Iterator

from proxy.chat.events import Failed
from proxy.deadlines import Deadlines
from proxy.dialects.dialect import Wire
from proxy.dialects.failures import envelope
from proxy.errors import Headers
from proxy.exchange import conclude
from proxy.journal import Journal
from proxy.journal.record import Record


class Refused:
    """A walk without steps: it exists so that what was refused is journaled like everything else."""

    def __init__(self, journal: Journal, record: Record, spell: Callable[[Failed], Wire] = envelope) -> None:
        self.record = record
        self.status = 400
        self.headers: Headers = []
        self.deadlines = Deadlines(None, None)
        self._journal = journal
        self.envelope = spell

    def blocks(self) -> Iterator[bytes]:
        """Nothing."""
        return iter(())

    def hang_up(self, linger: float = 0.0) -> None:
        """Nobody was called."""

    def close(self) -> None:
        """The client has its answer: write it down."""
        conclude(self._journal, self.record, self.deadlines)
