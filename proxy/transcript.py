"""A tap: what passed by, kept by reference while the client waits, and understood for the journal afterwards."""

from __future__ import annotations

from itertools import chain
from time import monotonic, sleep
from typing import Iterable, Iterator, List, Optional

from proxy.agreement import Pair
from proxy.chat.ask import Ask
from proxy.chat.fold import Folding
from proxy.chat.reply import Reply
from proxy.dialects import Dialect
from proxy.errors import ProxyError
from proxy.framing import Frame
from proxy.framing.sse import DONE
from proxy.journal.clock import clock
from proxy.journal.record import Record

BREATH = 200  # frames that are understood at once; then whoever has bytes to pass on goes first


class Transcript:
    """A stream's frames from the provider and blocks to the client, until they are over ``limit`` bytes."""

    def __init__(self, pair: Pair, ask: Ask, limit: int) -> None:
        self._pair = pair
        self._ask = ask
        self._limit = limit
        self._size = 0
        self.chunks = 0
        self._frames: List[Frame] = []
        self._blocks: List[bytes] = []
        self._moments: List[float] = []
        self._sizes: List[int] = []
        self.numbered = False
        self.told: Optional[Reply] = None  # what the client's stream amounts to, where that is known
        self.last = b""

    @property
    def full(self) -> bool:
        """Whether more came than is kept."""
        return self._size > self._limit

    def hear(self, batch: List[Frame]) -> None:
        """Keep what the provider sent."""
        size = self._size
        if size <= self._limit:
            self._frames += batch
            self._moments.append(monotonic())
            self._sizes.append(len(batch))
        for frame in batch:
            size += len(frame.raw)
            if frame.data and frame.data != DONE:
                self.chunks += 1
            if frame.id:
                self.numbered = True
        self._size = size

    def say(self, block: bytes) -> None:
        """Keep what the client gets, and of that the ``last`` block in any case."""
        self.last = block or self.last
        if not self.full:
            self._blocks.append(block)

    def fill(self, record: Record, began: float) -> None:
        """Tell the journal what both streams amount to; the same bytes on both sides are understood once.

        ``began``: the moment from which the clock of the stream counts.
        """
        client, provider = self._pair
        if self._frames:
            record.chunks, record.frames = self.chunks, self._frames
            record.stream_bytes = self._size
            record.clock = clock(began, self._moments, self._sizes)
            reply = self._folded(provider, self._frames)
            if reply is not None:
                record.provider_output = provider.write_reply(reply, ask=self._ask)
                record.usage, record.answered_model = reply.usage, reply.model or None
        if self._blocks and not self._is_verbatim():
            reply = self.told or self._folded(client, chain.from_iterable(client.read_frames(self._blocks)))
            if reply is not None:
                record.client_output = client.write_reply(reply, ask=self._ask)
        elif self._blocks:
            record.client_output = record.provider_output

    def _is_verbatim(self) -> bool:
        return self._pair.same and b"".join(frame.raw for frame in self._frames) == b"".join(self._blocks)

    def _folded(self, dialect: Dialect, frames: Iterable[Frame]) -> Optional[Reply]:
        """The reply that frames amount to as far as they go, or None if they say nothing."""
        folding = Folding()
        seen = False
        try:
            for event in dialect.read_stream(breathing(frames), ask=self._ask, repair=False):
                folding.add(event)
                seen = True
        except ProxyError:
            pass  # What went wrong is the record's ``error``; this is what came before it.
        return folding.reply() if seen else None


def breathing(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames, with a pause now and then: under gevent nothing else runs while we think."""
    for number, frame in enumerate(frames, 1):
        if number % BREATH == 0:
            sleep(0)
        yield frame
