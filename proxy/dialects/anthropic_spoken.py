"""Events as a client's stream: a message begins, its blocks one after the other, its end with what it cost.

One block is open at a time (reference 4.5). A call whose arguments are not complete stays open: whatever else comes
meanwhile is said after it, for the protocol has no other way; nothing else ever waits.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set

from proxy.chat import events as ev
from proxy.chat.ask import Ask
from proxy.chat.fold import Folding
from proxy.chat.merge import merge_into
from proxy.chat.reply import Choice
from proxy.dialects.anthropic_blocks import (
    DETAILS,
    SIGNED,
    Ids,
    own_of,
    read_details,
    said_text,
    signed_thinking,
    thinking_of,
    write_content,
)
from proxy.dialects.anthropic_ends import Made, derive_end, matched_stop
from proxy.dialects.anthropic_failures import write_failed_stream, write_frame
from proxy.dialects.anthropic_frames import CallBlock, PlainBlock, write_block
from proxy.dialects.anthropic_names import given_names
from proxy.dialects.anthropic_reply import write_head
from proxy.dialects.anthropic_tables import CALL, OWN
from proxy.dialects.anthropic_tokens import count_tokens, weight
from proxy.dialects.anthropic_usage import write_usage
from proxy.dialects.dialect import Stamp, Wire
from proxy.errors import ProxyError

Frames = Iterator[bytes]
BESIDE = ("context_management",)  # stands beside the last delta, not in it


def write_stream(
    events: Iterable[ev.Event], *, show_usage: bool, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None
) -> Iterator[bytes]:
    """Frames for the client, up to and with ``message_stop``; usage is always told, the protocol wants it.

    A failure closes the open block first: a ``Failed`` event becomes an ``error`` event and ends the stream; a
    ProxyError of the events goes on to whoever asked for the frames.
    """
    stream = _Stream(ask, stamp)
    try:
        for event in events:
            if isinstance(event, ev.Failed):
                yield from stream.abandon()
                yield write_failed_stream(event)
                return
            yield from stream.say(event)
    except ProxyError:
        yield from stream.abandon()
        raise
    yield from stream.end()


class _Stream:
    """One message under way."""

    def __init__(self, ask: Optional[Ask], stamp: Optional[Stamp]) -> None:
        self._ask, self._stamp = ask, stamp
        self._names = given_names(ask)
        self._ids = Ids()
        self._started = ev.Started()
        self._usage: Optional[Wire] = None
        self._own: Wire = {}
        self._beside: Wire = {}
        self._reason: Optional[str] = None
        self._made = Made(False)
        self._tokens = 0.0
        self._reasoning = ""
        self._begun = False
        self._index = 0
        self._open: Any = None  # a PlainBlock, a CallBlock, or None
        self._past: Set[int] = set()
        self._later: List[ev.Event] = []
        self._gathered: Optional[Folding] = None

    def say(self, event: ev.Event) -> Frames:
        """The frames of one event; other choices than the first have no place in a message."""
        if getattr(event, "choice", 0) == 0:
            if self._gathered is not None and isinstance(event, CONTENT):
                self._gathered.add(event)
            else:
                yield from _SAY.get(type(event), _Stream._silence)(self, event)

    def end(self) -> Frames:
        """What waits, the end of the last block, and the end of the message."""
        while self._open is not None or self._later:
            yield from self._close()
            yield from self._catch_up()
        if self._gathered is not None:
            yield from self._lay_out(self._gathered.reply().choices[0])
        yield from self._begin()
        delta = derive_end(self._reason, self._made)
        delta.update((key, value) for key, value in self._own.items() if key not in BESIDE)
        said: Wire = {"type": "message_delta", "delta": delta, "usage": self._cost()}
        said.update((key, self._own[key]) for key in BESIDE if key in self._own)
        yield write_frame(said)
        yield write_frame({"type": "message_stop"})

    def abandon(self) -> Frames:
        """Close the open block, if the client knows of it: what was said of it stays, nothing is added."""
        block, self._open = self._open, None
        if block is not None and block.shown:
            yield write_frame({"type": "content_block_stop", "index": self._index})

    def _silence(self, event: ev.Event) -> Frames:
        yield from ()

    def _start(self, event: ev.Started) -> Frames:
        old = self._started
        self._started = ev.Started(old.id or event.id, old.model or event.model)
        merge_into(self._own, own_of(event.extra), grow=False)
        yield from ()

    def _count(self, event: ev.Usage) -> Frames:
        self._usage = event.counts
        yield from ()

    def _finish(self, event: ev.Finished) -> Frames:
        self._reason = event.reason
        yield from ()

    def _note(self, event: ev.Noted) -> Frames:
        if event.level == "reply":
            merge_into(self._own, own_of(event.extra), grow=False)
        elif event.level == "choice":
            self._made = self._made._replace(matched=matched_stop(event.extra) or self._made.matched)
        elif DETAILS in event.extra:
            yield from self._think(ev.Reasoning(read_details(event.extra), 0, DETAILS))
        elif isinstance(self._open, PlainBlock):
            for block in signed_thinking(event.extra.get(SIGNED)):
                self._open.signature = block.get("signature") or self._open.signature
        yield from ()

    def _lay_down(self, event: ev.Blank) -> Frames:
        """How a whole answer lay: it is gathered, to be said in its own order. After the fact it says nothing."""
        if event.field in (SIGNED, OWN) and not self._begun and self._open is None:
            self._gathered = Folding()
            self._gathered.add(event)
        yield from ()

    def _text(self, event: ev.Text) -> Frames:
        yield from self._flow("text", event.text, event)

    def _refuse(self, event: ev.Refusal) -> Frames:
        self._made = self._made._replace(refused=True)
        yield from self._flow("text", event.text, event)

    def _speak(self, event: ev.Audio) -> Frames:
        yield from self._flow("text", event.transcript or "", event)

    def _think(self, event: ev.Reasoning) -> Frames:
        """Some tell their reasoning under two names at once: the first one counts."""
        self._reasoning = self._reasoning or event.name
        if event.name == self._reasoning:
            yield from self._flow("thinking", event.text, event)

    def _part(self, event: ev.Part) -> Frames:
        choice = Choice(content=event.part)
        for block in thinking_of(choice):
            yield from self._flow("thinking", block["thinking"], ev.Reasoning(block["thinking"]))
        text = said_text(choice)
        yield from self._flow("text", text, ev.Text(text))

    def _flow(self, kind: str, text: str, event: ev.Event) -> Frames:
        """A piece of text or thinking: in the open block if it is of that kind, else in a new one."""
        if not text:
            return
        block = self._open
        if not isinstance(block, PlainBlock) or block.kind != kind:
            if self._busy():
                self._later.append(event)
                return
            yield from self._close()
            yield from self._begin()
            block = self._open = PlainBlock(kind, self._index)
            yield block.start()
        self._tokens += weight(text)
        yield block.delta(text)

    def _call(self, event: ev.ToolCall) -> Frames:
        block = self._open
        if isinstance(block, CallBlock) and block.slot == event.slot:
            block.head(event)
        elif self._busy():
            self._later.append(event)
        elif event.slot not in self._past:
            yield from self._close()
            yield from self._begin()
            self._open = CallBlock(self._index, event, self._ids, self._names)

    def _argue(self, event: ev.ToolArguments) -> Frames:
        block = self._open
        if not (isinstance(block, CallBlock) and block.slot == event.slot):
            if event.slot in self._past:
                return
            if self._busy():
                self._later.append(event)
                return
            yield from self._call(ev.ToolCall(event.slot, "", ""))
            block = self._open
        self._tokens += weight(event.text)
        yield from block.add(event.text)
        if self._later and block.whole:
            yield from self._close()
            yield from self._catch_up()

    def _busy(self) -> bool:
        """Whether a call is open that may still get arguments."""
        return isinstance(self._open, CallBlock) and not self._open.whole

    def _catch_up(self) -> Frames:
        """Say what waited, as if it came now."""
        events, self._later = self._later, []
        for event in events:
            yield from self.say(event)

    def _close(self) -> Frames:
        block, self._open = self._open, None
        if block is None:
            return
        if isinstance(block, CallBlock):
            self._past.add(block.slot)
            self._made = self._made._replace(calls=True)
        yield from block.stop()
        self._index += 1

    def _lay_out(self, choice: Choice) -> Frames:
        """A gathered answer, block by block in the order in which it came."""
        yield from self._begin()
        for block in write_content(choice, self._names, self._ids):
            yield from write_block(self._index, block)
            self._index += 1
            self._made = self._made._replace(calls=self._made.calls or block.get("type") == CALL)

    def _begin(self) -> Frames:
        if self._begun:
            return
        self._begun = True
        head = write_head(self._started.id, self._started.model, self._ask, self._stamp)
        self._ids.reply_id = head["id"]
        usage = {"input_tokens": count_tokens(self._ask) if self._ask else 0, "output_tokens": 0}
        if self._usage is not None:
            usage.update(write_usage(self._usage))
        end = {"stop_reason": None, "stop_sequence": None}
        yield write_frame({"type": "message_start", "message": {**head, "content": [], **end, "usage": usage}})

    def _cost(self) -> Wire:
        """What it cost; where nobody knows, an estimate of the output and no input, which would replace the first."""
        return {"output_tokens": ceil(self._tokens), **({} if self._usage is None else write_usage(self._usage))}


CONTENT = (ev.Text, ev.Reasoning, ev.Refusal, ev.Part, ev.Audio, ev.ToolCall, ev.ToolArguments, ev.Blank)
_SAY: Dict[type, Callable[[_Stream, Any], Frames]] = {
    ev.Started: _Stream._start,
    ev.Usage: _Stream._count,
    ev.Finished: _Stream._finish,
    ev.Noted: _Stream._note,
    ev.Blank: _Stream._lay_down,
    ev.Text: _Stream._text,
    ev.Refusal: _Stream._refuse,
    ev.Audio: _Stream._speak,
    ev.Reasoning: _Stream._think,
    ev.Part: _Stream._part,
    ev.ToolCall: _Stream._call,
    ev.ToolArguments: _Stream._argue,
}
