"""A tap: what passed by, kept by reference while the client waits, and understood for the journal afterwards."""

from __future__ import annotations

from itertools import chain
from typing import Any, Dict, Iterable, List, Optional

from proxy.agreement import Pair
from proxy.chat.ask import Ask
from proxy.chat.fold import Folding
from proxy.dialects import Dialect
from proxy.errors import ProxyError
from proxy.framing import Frame
from proxy.journal.record import Record


class Transcript:
    """A stream's frames from the provider and blocks to the client, until they are over ``limit`` bytes."""

    def __init__(self, pair: Pair, ask: Ask, limit: int) -> None:
        self._pair = pair
        self._ask = ask
        self._limit = limit
        self._size = 0
        self._chunks = 0
        self._frames: List[Frame] = []
        self._blocks: List[bytes] = []
        self.numbered = False

    @property
    def full(self) -> bool:
        """Whether more came than is kept."""
        return self._size > self._limit

    def hear(self, batch: List[Frame]) -> bool:
        """Keep what the provider sent; says whether any of it was data."""
        data = 0
        for frame in batch:
            self._size += len(frame.raw)
            data += 1 if frame.data else 0
            self.numbered = self.numbered or frame.id
        self._chunks += data
        if not self.full:
            self._frames += batch
        return data > 0

    def say(self, block: bytes) -> None:
        """Keep what the client gets."""
        if not self.full:
            self._blocks.append(block)

    def fill(self, record: Record) -> None:
        """Tell the journal what both streams amount to; the same bytes on both sides are understood once."""
        if self._frames:
            record.chunks = self._chunks
            record.provider_output = self._folded(self._pair.provider, self._frames)
            record.usage = (record.provider_output or {}).get("usage")
        if self._blocks:
            client = self._pair.client
            same = self._pair.same and b"".join(frame.raw for frame in self._frames) == b"".join(self._blocks)
            record.client_output = (
                record.provider_output
                if same
                else self._folded(client, chain.from_iterable(client.read_frames(self._blocks)))
            )

    def _folded(self, dialect: Dialect, frames: Iterable[Frame]) -> Optional[Dict[str, Any]]:
        """The reply that frames amount to as far as they go, or None if they say nothing."""
        folding = Folding()
        seen = False
        try:
            for event in dialect.read_stream(frames, ask=self._ask, repair=False):
                folding.add(event)
                seen = True
        except ProxyError:
            pass  # What went wrong is the record's ``error``; this is what came before it.
        return dialect.write_reply(folding.reply(), ask=self._ask) if seen else None
