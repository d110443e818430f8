"""One ask, from the client's bytes to the client's bytes. Read this first.

    read the ask -> agree with the provider -> one of four lanes -> blocks for the client

The lanes face each other across the event stream: did the provider send frames or a whole, does the client want frames
or a whole. Everything here is synchronous; who pulls the blocks, and when, is the routes' business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import Callable, Iterator, List, Optional

from config import Settings
from config.kinds import MODES
from proxy.agreement import Agreement, Limits, Pair
from proxy.archive import Archive
from proxy.chat.ask import Ask
from proxy.chat.events import Failed
from proxy.crew import Crew
from proxy.deadlines import Deadlines
from proxy.dialects import Family, Stamp
from proxy.dialects.dialect import Wire
from proxy.dialects.parameters import told_dropped
from proxy.errors import Headers
from proxy.headers import first, from_provider, identified
from proxy.journal import Journal, log, log_exchange
from proxy.journal.record import Record
from proxy.lanes import LANES, Lane, Rules
from proxy.models import Models
from proxy.plan import Plan
from proxy.tracing import Tracing
from proxy.transcript import Transcript
from proxy.upstream.answer import Source
from proxy.upstream.learned import Learned, key
from proxy.upstream.provider import Provider

CREDENTIALS = ("authorization", "x-api-key", "api-key")

Observer = Callable[[Record], None]


@dataclass(frozen=True)
class Parts:
    """What the application is made of, wired in create_app and handed down; ``family``: what the provider speaks."""

    settings: Settings
    provider: Provider
    journal: Journal
    learned: Learned
    family: Family
    models: Models
    crew: Crew
    archive: Archive
    tracing: Optional[Tracing] = None
    observers: List[Observer] = field(default_factory=list)  # told of each exchange that has ended, in this order


class Exchange:
    """A chat or completions ask under way; ``record`` gathers what the journal will say.

    ``headers`` are end-to-end ones for the provider, ``query`` is the client's, ``mode`` the one that counts here.
    """

    def __init__(
        self, parts: Parts, pair: Pair, ask: Ask, record: Record, *, headers: Headers, query: str, mode: str
    ) -> None:
        settings = parts.settings
        self.record = record
        self.deadlines = Deadlines(settings.total_timeout, settings.stall_timeout)
        self.headers: Headers = []
        self.status = 200
        self._parts = parts
        self._pair = pair
        self._ask = ask
        self._mode = MODES[mode]
        self._passes = False
        self._about = key(parts.provider.where, ask.model, credential_of(headers))
        self._transcript = Transcript(pair, ask, settings.max_aggregate_bytes)
        self._agreement = Agreement(
            pair,
            parts.provider,
            ask,
            headers=headers,
            query=query,
            record=record,
            deadlines=self.deadlines,
            limits=Limits(settings.max_frame_bytes, settings.max_aggregate_bytes),
            strict=settings.strict,
        )

    def blocks(self) -> Iterator[bytes]:
        """Blocks for the client; the first comes when its status is certain. Raises ProxyError."""
        alone = None if self._pair.same else self._pair.client.alone(self._ask)
        if alone is not None:
            yield from self._lane(False).alone(alone)
            return
        settings = self._parts.settings
        said = self._agreement.reach(
            self._plan(),
            self._parts.learned,
            self._about,
            fallback=settings.fallback,
            ask_usage=settings.ask_usage or not self._ask.stream,
        )
        self.headers = identified(from_provider(said.answer.headers, own_body=True), self._pair.client.request_id)
        if self.record.dropped:
            self.headers.append(("X-Forward-Dropped", told_dropped(self.record.dropped)))
        self._passes = self._pair.same and said.streamed and self._ask.stream
        lane = self._lane(self._agreement.asked_usage, first(self.headers, self._pair.client.request_id))
        yield from LANES[said.streamed, self._ask.stream](lane, said)

    def pull(self) -> Optional[Source]:
        """From now on an empty block says that nothing has come, and whoever wants the next one waits at what is given
        back. None where the blocks wait by themselves: each but those that pass as they come.
        """
        answer = self._agreement.answer
        return answer.pull() if self._passes and answer is not None else None

    def _lane(self, asked_usage: bool, request: str = "") -> Lane:
        rules = Rules(not self._parts.settings.verbatim, asked_usage)
        request = "" if self._pair.same else request  # the answer itself tells it
        stamp = Stamp(self.record.logging_id.replace("-", ""), int(time()), self.deadlines.elapsed, request)
        return Lane(self._pair, self._ask, rules, stamp, self.record, self._transcript, self.deadlines)

    def _plan(self) -> Plan:
        """The mode that was set, or the client's own; what a refusal has taught beats both."""
        learned = self._parts.learned.recall(self._about)
        planned = self._ask.stream if self._mode is None else self._mode
        return Plan(planned if learned.stream is None else learned.stream, learned.options, learned.amended)

    @property
    def chunks(self) -> int:
        """How many frames with something in them the provider has sent so far."""
        return self._transcript.chunks

    @property
    def content_type(self) -> str:
        """What a stream of the client's dialect is."""
        return self._pair.client.content_type

    def status_of(self, failed: Failed) -> int:
        """The status that the client's protocol has for a failure."""
        return self._pair.client.status(failed)

    def envelope(self, failed: Failed) -> Wire:
        """A failure as the client's dialect spells it where nothing has been sent yet."""
        return self._pair.client.write_failed(failed)

    @property
    def heartbeat(self) -> bytes:
        """What keeps an idle stream alive.

        After a frame that carried ``id:`` it is a comment line without a blank line: the openai SDK would take a blank
        line there for an event without data, and fail.
        """
        beat = self._pair.client.heartbeat
        return beat.rstrip(b"\n") + b"\n" if self._transcript.numbered and beat.startswith(b":") else beat

    def spell(self, failed: Failed) -> bytes:
        """A failure inside the stream, in the client's dialect, with the stream's own end."""
        block = self._pair.client.write_failed_stream(failed, self._transcript.last)
        self._transcript.say(block)
        return block

    def hang_up(self, linger: float = 0.0) -> None:
        """Let go of the provider's connection; ``linger``: seconds to wait for its end, so that it can be reused."""
        self._agreement.hang_up(linger)

    def close(self) -> None:
        """The client has its bytes, or has left: understand what passed by, and write it down."""
        self._transcript.fill(self.record, self.deadlines.started)
        conclude(self._parts, self.record, self.deadlines)


def conclude(parts: Parts, record: Record, deadlines: Deadlines) -> None:
    """An exchange is over: one record in each journal, one line in the log, and whoever else wants to know of it."""
    record.duration_ms = deadlines.elapsed_ms()
    parts.journal.write(record)
    for observe in parts.observers:
        try:
            observe(record)
        except Exception as exc:  # what is only counted must cost nobody an answer
            log("an observer failed", level="error", logging_id=record.logging_id, why=type(exc).__name__)
    log_exchange(record)


def credential_of(headers: Headers) -> str:
    """The client's credential, if it shows one in a header."""
    return next(filter(None, (first(headers, name) for name in CREDENTIALS)), "")
