"""Events as a client's stream: each frame tells what is new, or everything so far, as the client asked (spec 4.11).

A choice's last frame waits for the end of all, where the usage is known; nothing else ever waits.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional

from msgspec import Struct, field

from proxy.chat import events as ev
from proxy.chat.ask import Ask
from proxy.chat.fold import Folding
from proxy.chat.merge import merge_into
from proxy.chat.reply import Choice
from proxy.chat.slots import UNNUMBERED, call_id
from proxy.dialects.dashscope_failures import write_failed_frame
from proxy.dialects.dashscope_forms import MARK, TEXT, mark_of, wanted_form
from proxy.dialects.dashscope_reply import (
    UNFINISHED,
    is_text,
    own,
    write_choice,
    write_id,
    write_message,
    write_others,
    write_plain,
)
from proxy.dialects.dashscope_usage import NOTHING, share, write_usage
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_deltas import write_arguments, write_head

Frames = List[bytes]


def write_stream(
    events: Iterable[ev.Event], *, show_usage: bool, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None
) -> Iterator[bytes]:
    """Frames for the client; there is no terminator. A ``Failed`` event becomes an error frame and ends the stream."""
    stream = _Stream(show_usage, ask, stamp)
    for event in events:
        if isinstance(event, ev.Failed):
            yield write_failed_frame(event, stream.count + 1, stream.request_id)
            return
        yield from _SPEAK.get(type(event), _Stream.tell)(stream, event)
    yield from stream.end()


class _Spoken(Struct):
    """One choice under way: what waits for its next frame, and everything so far where each frame repeats it."""

    waiting: Choice
    folding: Folding
    kinds: Dict[int, str] = field(default_factory=dict)
    reasoning: str = ""
    reason: Optional[str] = None


class _Stream:
    """The envelope of one stream and its choices; each method spells one kind of event as frames."""

    def __init__(self, show_usage: bool, ask: Optional[Ask], stamp: Optional[Stamp]) -> None:
        self.count = 0
        self._form = wanted_form(ask)
        self._show_usage = show_usage
        self._stamp = stamp
        self._id = ""
        self._inside: Wire = {}
        self._beside: Wire = {}
        self._usage: Optional[Wire] = None
        self._choices: Dict[int, _Spoken] = {}

    @property
    def request_id(self) -> str:
        """The id that each frame carries."""
        return write_id(self._id, self._stamp)

    def start(self, event: ev.Started) -> Frames:
        """The answer began: its id stands in every frame from now on."""
        self._id = self._id or event.id
        self._set_aside(event.extra)
        return []

    def cost(self, event: ev.Usage) -> Frames:
        """What it cost so far stands in every frame from now on."""
        self._usage = write_usage(event.counts)
        return []

    def open(self, event: ev.Opened) -> Frames:
        """A choice began; its role waits for its first frame."""
        spoken = self._at(event.choice)
        spoken.waiting.role = event.role
        spoken.folding.add(event)
        return []

    def blank(self, event: ev.Blank) -> Frames:
        """A field that says nothing waits for the next frame."""
        if event.field != "usage":
            spoken = self._at(event.choice)
            spoken.waiting.blank[event.field] = event.value
            spoken.folding.add(event)
        return []

    def note(self, event: ev.Noted) -> Frames:
        """Unknown keys, at the level where they belong."""
        if event.level == "reply":
            self._set_aside(event.extra)
        elif event.level == "message":
            return self._say(event, note=event.extra)
        else:
            spoken = self._at(event.choice)
            merge_into(spoken.waiting.extra, event.extra, grow=False)
            spoken.folding.add(event)
        return []

    def logprobs(self, event: ev.Logprobs) -> Frames:
        """Log probabilities wait for their text."""
        spoken = self._at(event.choice)
        frames = [] if spoken.waiting.logprobs is None or not self._form.incremental else [self._frame(spoken)]
        spoken.waiting.logprobs = event.logprobs
        spoken.folding.add(event)
        return frames

    def reasoning(self, event: ev.Reasoning) -> Frames:
        """Some tell it twice, under two names: the first name counts."""
        spoken = self._at(event.choice)
        spoken.reasoning = spoken.reasoning or event.name
        return self._say(event, reasoning={event.name: event.text}) if event.name == spoken.reasoning else []

    def call(self, event: ev.ToolCall) -> Frames:
        """The head of a tool call, or more of it."""
        spoken = self._at(event.choice)
        event = _numbered(event, spoken, self.request_id)
        first = event.slot not in spoken.kinds
        kind = spoken.kinds.setdefault(event.slot, event.kind)
        return self._piece(event, write_head(event, kind, first=first))

    def arguments(self, event: ev.ToolArguments) -> Frames:
        """A piece of a call's arguments."""
        slot = 0 if event.slot == UNNUMBERED else event.slot
        kind = self._at(event.choice).kinds.get(slot, "function")
        return self._piece(ev.ToolArguments(slot, event.text, event.choice), write_arguments(event, kind))

    def finish(self, event: ev.Finished) -> Frames:
        """Why the choice ended is told in its last frame."""
        spoken = self._at(event.choice)
        spoken.reason = event.reason
        spoken.folding.add(event)
        return []

    def tell(self, event: Any) -> Frames:
        """Text, parts, refusals and speech: pieces of the answer's content."""
        return self._say(event, **_CONTENT[type(event)](event))

    def end(self) -> Frames:
        """The last frame of each choice; what they tell of the usage adds up to the whole."""
        last = [self._choices[index] for index in sorted(self._choices)]
        frames = []
        for spoken in last:
            usage = {} if self._usage is None else share(self._usage, last=spoken is last[-1])
            frames.append(self._frame(spoken, usage=usage, reason=spoken.reason))
        if not last and (self._inside or self._beside or self._usage is not None):
            frames.append(self._chunk({"choices": []}, self._usage or {}))
        return frames

    def _say(self, event: Any, calls: Optional[List[Wire]] = None, **said: Any) -> Frames:
        spoken = self._at(event.choice)
        spoken.folding.add(event)
        for name, value in said.items():
            setattr(spoken.waiting, name, value)
        return [self._frame(spoken, calls)]

    def _piece(self, event: Any, said: Wire) -> Frames:
        """A piece of a call; from the second piece on its id is empty."""
        pieces = [{"id": "", "type": "function", **piece} for piece in said.get("tool_calls", [])]
        return self._say(event, pieces)

    def _frame(
        self,
        spoken: _Spoken,
        calls: Optional[List[Wire]] = None,
        usage: Optional[Wire] = None,
        reason: Optional[str] = None,
    ) -> bytes:
        """One frame of one choice: what waited for it, or everything so far."""
        choice = spoken.waiting
        spoken.waiting = Choice(choice.index, choice.role)
        if not self._form.incremental:
            choice, calls = spoken.folding.reply().choices[0], None
        choice.reason = reason
        if self._form.shape == TEXT and not calls and is_text(choice):
            output = write_plain(choice)
        else:
            wire = write_choice(choice, self._form.shape)
            if calls:
                wire["message"] = write_message(choice, self._form.shape, calls)
            output = {"choices": [wire]}
        if reason is None:
            unfinished = output if "choices" not in output else output["choices"][0]
            unfinished["finish_reason"] = UNFINISHED
        return self._chunk(output, (self._usage or NOTHING) if usage is None else usage)

    def _chunk(self, output: Wire, usage: Wire) -> bytes:
        self.count += 1
        body: Wire = {"output": write_others(output, self._inside)}
        if self._show_usage:
            body["usage"] = usage
        body.update({"request_id": self.request_id, **self._beside})
        self._inside, self._beside = {}, {}
        return b"id:%d\nevent:result\n:HTTP_STATUS/200\ndata:%s\n\n" % (self.count, write_json(body))

    def _set_aside(self, extra: ev.Extra) -> None:
        """Keys of the whole answer stand in the next frame."""
        mark = mark_of(extra)
        merge_into(self._inside, {key: value for key, value in extra.items() if key != MARK}, grow=False)
        merge_into(self._inside, own(mark, "output"), grow=False)
        merge_into(self._beside, own(mark, "beside"), grow=False)
        shape = mark.get("shape")
        if isinstance(shape, str) and shape != self._form.shape:
            if self.count or self._choices:
                self._beside[MARK] = {"shape": shape}  # Too late for this stream, but not lost.
            else:
                self._form = self._form._replace(shape=shape)

    def _at(self, choice: int) -> _Spoken:
        spoken = self._choices.get(choice)
        if spoken is None:
            spoken = self._choices[choice] = _Spoken(Choice(choice), Folding())
        return spoken


def _numbered(event: ev.ToolCall, spoken: _Spoken, request_id: str) -> ev.ToolCall:
    """The deprecated call, which has neither number nor id, becomes a tool's."""
    if event.slot != UNNUMBERED:
        return event
    identity = event.id or ("" if 0 in spoken.kinds else call_id(request_id, event.choice, 0))
    return ev.ToolCall(0, identity, event.name, "function", event.choice, event.extra, event.inner)


_CONTENT: Dict[type, Callable[[Any], ev.Extra]] = {
    ev.Text: lambda event: {"text": event.text},
    ev.Part: lambda event: {"content": event.part},
    ev.Refusal: lambda event: {"refusal": event.text},
    ev.Audio: lambda event: {"audio": _speech(event)},
}
_SPEAK: Dict[type, Callable[[_Stream, Any], Frames]] = {
    ev.Started: _Stream.start,
    ev.Opened: _Stream.open,
    ev.Reasoning: _Stream.reasoning,
    ev.ToolCall: _Stream.call,
    ev.ToolArguments: _Stream.arguments,
    ev.Logprobs: _Stream.logprobs,
    ev.Noted: _Stream.note,
    ev.Blank: _Stream.blank,
    ev.Finished: _Stream.finish,
    ev.Usage: _Stream.cost,
}


def _speech(event: ev.Audio) -> Wire:
    said = {"id": event.id, "data": event.data, "transcript": event.transcript, "expires_at": event.expires_at}
    return {**{name: value for name, value in said.items() if value is not None}, **event.extra}
