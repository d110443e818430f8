"""The four lanes from what the provider sent to what the client wants: verbatim or converted, streamed or whole."""

from __future__ import annotations

from itertools import chain
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from msgspec.structs import replace

from proxy.agreement import Pair, Said
from proxy.chat.ask import Ask
from proxy.chat.events import Blank, Event, Noted, Opened, Started, Usage
from proxy.chat.fold import fold
from proxy.chat.reply import Reply, is_plain, name_calls
from proxy.chat.unfold import unfold
from proxy.deadlines import Deadlines
from proxy.dialects import Dialect, Mender, Stamp
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import needs_respelling, write_json
from proxy.errors import ProxyError, blame, failure
from proxy.framing import Frame
from proxy.journal.record import Record
from proxy.transcript import Transcript

Blocks = Iterator[bytes]
OPENING = (Started, Opened, Noted, Blank)


class Rules(NamedTuple):
    """What the settings and the agreement decide: is repair on, did we ask for usage, the most bytes of a whole."""

    repair: bool
    asked_usage: bool


class Lane:
    """One answer on its way; ``stamp`` is the id and time to use where the provider gave none."""

    def __init__(
        self,
        pair: Pair,
        ask: Ask,
        rules: Rules,
        stamp: Stamp,
        record: Record,
        transcript: Transcript,
        deadlines: Deadlines,
    ) -> None:
        self._pair = pair
        self._ask = ask
        self._rules = rules
        self._stamp = stamp
        self._record = record
        self._transcript = transcript
        self._deadlines = deadlines
        self._broken: Optional[ProxyError] = None
        self._reply: Optional[Reply] = None

    def stream_to_stream(self, said: Said) -> Blocks:
        """Frames leave as they came, mended where they must be; the first block leaves with the first meaning."""
        return self._mended(self._mender(), said) if self._pair.same else self._translated(said)

    def alone(self, reply: Reply) -> Blocks:
        """A reply that needed no provider, in the form that the client wants."""
        self._first()
        if self._ask.stream:
            yield self._said(b"".join(self._spoken(unfold(reply))))
            return
        body = write_json(self._pair.client.write_reply(reply, ask=self._ask, stamp=self._stamp))
        self._record.client_output = body
        yield body

    def _mended(self, mender: Mender, said: Said) -> Blocks:
        held: List[bytes] = []
        try:
            for batch in self._heard(said):
                if not batch:
                    yield b""  # nothing has come
                    continue
                block, error = mended(mender, batch)
                if error or mender.done:
                    said.answer.enough()
                if not (mender.meaningful or mender.done):
                    held.append(block)
                elif block or held:
                    self._first()
                    yield self._said(b"".join([*held, block]) if held else block)
                    held.clear()
                if error:
                    raise error
                if mender.done:
                    return
            if self._broken and not mender.finished:
                raise self._broken
            yield self._said(b"".join(held) + mender.end())
        finally:
            self._record.repairs = list(mender.repairs)

    def stream_to_whole(self, said: Said) -> Blocks:
        """Frames are folded into the reply they amount to."""
        events: Iterable[Event] = self._events(self._bounded(self._heard(said)))
        folded = fold(events if self._pair.same else self._pair.client.settle(events, self._ask))
        reply = self._pair.client.write_reply(folded, ask=self._ask, stamp=self._stamp)
        self._mend(self._pair.client, reply)
        body = write_json(reply)
        self._record.client_output = body
        yield body

    def whole_to_stream(self, said: Said) -> Blocks:
        """The reply is unfolded into a stream that says it."""
        self._heard_whole(said)
        reply = self._understood(said.reply)
        cost = [] if reply.usage is None else [Usage(reply.usage)]  # known from the first frame on
        block = b"".join(self._spoken(chain(cost, unfold(reply))))
        if self._pair.same and self._pair.client.lossless and is_plain(reply):  # nobody has to read it again
            self._transcript.told = reply if self._ask.show_usage else replace(reply, usage=None)
        yield self._said(block)

    def whole_to_whole(self, said: Said) -> Blocks:
        """The very bytes, unless something in them must be mended."""
        self._heard_whole(said)
        body = said.body
        if not self._pair.same:
            body = write_json(
                self._pair.client.write_reply(self._understood(said.reply), ask=self._ask, stamp=self._stamp)
            )
        elif self._rules.repair and not said.sound and needs_respelling(body):
            self._record.repairs.append("json")
        if self._pair.same and self._record.repairs:
            body = write_json(said.reply)
        self._record.client_output = body
        yield body

    def _translated(self, said: Said) -> Blocks:
        """From the provider's dialect into the client's, event by event; what only opens a stream waits for more."""
        held: List[bytes] = []
        events = self._pair.client.settle(self._events(self._heard(said)), self._ask)
        for block in self._spoken(events):
            held.append(block)
            if self._record.ttft_ms is not None:
                yield self._said(b"".join(held))
                held.clear()
        if held:
            yield self._said(b"".join(held))

    def _events(self, batches: Iterator[List[Frame]]) -> Iterator[Event]:
        """The provider's frames as events; a break of the connection that cut them short is told as what it was."""
        repairs: Dict[str, int] = {}
        frames = chain.from_iterable(batches)
        try:
            yield from self._timed(
                self._pair.provider.read_stream(
                    frames, ask=self._ask, repair=self._rules.repair, stamp=self._stamp, repairs=repairs
                )
            )
        except ProxyError as error:
            raise self._broken or error from None
        finally:
            self._record.repairs += list(repairs)

    def _understood(self, wire: Wire) -> Reply:
        if self._reply is not None:
            return self._reply
        with blame("invalid_upstream_response", "The provider's answer"):
            reply = self._reply = self._pair.provider.read_reply(wire, self._ask)
        if not self._pair.same:  # what the client's protocol tells of every answer, and the provider's may not
            events = unfold(reply)
            settled = self._pair.client.settle(events, self._ask)
            if settled is not events:
                reply = self._reply = fold(settled)
            name_calls(reply)
            reply.blank.clear()
            reply.created = reply.created or self._stamp.created
            reply.model = reply.model or self._ask.model
        return reply

    def _spoken(self, events: Iterable[Event]) -> Iterator[bytes]:
        return self._pair.client.write_stream(events, show_usage=self._ask.show_usage, ask=self._ask, stamp=self._stamp)

    def _heard_whole(self, said: Said) -> None:
        self._first()
        answered = said.reply.get("model")  # as it came: a missing one is mended
        self._record.answered_model = answered if isinstance(answered, str) and answered else None
        self._mend(self._pair.provider, said.reply)
        told = said.reply.get("usage") if self._pair.same else None
        self._record.usage = told if isinstance(told, dict) else self._understood(said.reply).usage

    def _mend(self, dialect: Dialect, reply: Wire) -> None:
        if self._rules.repair:
            self._record.repairs += dialect.mend_reply(reply, self._ask, self._stamp)

    def _mender(self) -> Mender:
        rules = self._rules
        return self._pair.client.mend_stream(
            self._ask, self._stamp, repair=rules.repair, show_usage=self._ask.show_usage, asked_usage=rules.asked_usage
        )

    def _heard(self, said: Said) -> Iterator[List[Frame]]:
        """The frames as they come. A connection that breaks is an end like any other: whether the answer was finished
        by then is for its reader to say (C33), who finds in ``_broken`` what happened.
        """
        try:
            for batch in said.batches:
                if batch:
                    self._transcript.hear(batch)
                yield batch
        except ProxyError as error:
            if error.failed.code == "client_left":
                raise
            self._broken = error

    def _bounded(self, batches: Iterator[List[Frame]]) -> Iterator[List[Frame]]:
        """What is folded is held in memory: there is a most of it (--max_aggregate_bytes)."""
        for batch in batches:
            if self._transcript.full:
                raise failure("upstream_too_large", "The provider's stream is too long to be made into one answer.")
            yield batch

    def _timed(self, events: Iterator[Event]) -> Iterator[Event]:
        """A tap for the time to the first token: what opens a stream says nothing yet."""
        for event in events:
            if not isinstance(event, OPENING):
                self._first()
                yield event
                break
            yield event
        yield from events

    def _first(self) -> None:
        if self._record.ttft_ms is None:
            self._record.ttft_ms = self._deadlines.elapsed_ms()

    def _said(self, block: bytes) -> bytes:
        self._transcript.say(block)
        return block


def mended(mender: Mender, batch: List[Frame]) -> Tuple[bytes, Optional[ProxyError]]:
    """What a batch becomes for the client, and the failure that ended it early, if any; nothing before it is lost."""
    if len(batch) == 1:
        try:
            return mender.mend(batch[0]), None
        except ProxyError as error:
            return b"", error
    blocks: List[bytes] = []
    for frame in batch:
        try:
            blocks.append(mender.mend(frame))
        except ProxyError as error:
            return b"".join(blocks), error
        if mender.done:
            break
    return b"".join(blocks), None


Walked = Callable[[Lane, Said], Blocks]

LANES: Dict[Tuple[bool, bool], Walked] = {  # (the provider streamed, the client wants a stream)
    (True, True): Lane.stream_to_stream,
    (True, False): Lane.stream_to_whole,
    (False, True): Lane.whole_to_stream,
    (False, False): Lane.whole_to_whole,
}
