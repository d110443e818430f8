"""Events as a client's stream: one frame a happening, the envelope on each of them (spec 1.4, 1.7, C54)."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional

from msgspec import Struct, field
from msgspec.structs import replace

from proxy.chat import events as ev
from proxy.chat.ask import Ask
from proxy.chat.merge import merge_into
from proxy.chat.unfold import EVERYWHERE
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.failures import envelope
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_ask import MOST_CHOICES
from proxy.dialects.openai_deltas import write_arguments, write_audio, write_head
from proxy.dialects.openai_logprobs import write_lists
from proxy.dialects.spelling import CHAT, Spelling

DONE = b"data: [DONE]\n\n"
BESIDE = ("logprobs", "finish_reason")

Frames = List[bytes]


def write_stream(
    events: Iterable[ev.Event],
    *,
    show_usage: bool,
    spelling: Spelling = CHAT,
    ask: Optional[Ask] = None,
    stamp: Optional[Stamp] = None,
) -> Iterator[bytes]:
    """Frames for the client, up to and with ``[DONE]``; a ``Failed`` event becomes an error frame and ends the stream.

    With ``show_usage`` every chunk has ``usage: null``, and the last one has the usage and no choices; without it no
    chunk has the key (C53).
    """
    stream = _Stream(spelling, show_usage)
    for event in events:
        if stamp is not None and isinstance(event, ev.Started) and event.id in ("", stamp.id):
            event = replace(event, id=f"{spelling.prefix}{stamp.id}")
        if isinstance(event, ev.Failed):
            yield write_failed_stream(event)
            return
        yield from _SPEAK[type(event)](stream, event)
    yield from stream.end()
    yield DONE


def write_failed_stream(failed: ev.Failed, before: bytes = b"") -> bytes:
    """A failure inside the stream, and the stream's end (C37, C55)."""
    return b"data: " + write_json(envelope(failed)) + b"\n\n" + DONE


class _Spoken(Struct):
    """One choice under way: what waits for company, the kinds of its calls, and how its text frames begin."""

    index: int
    opening: Optional[Wire] = None
    beside: Wire = field(default_factory=dict)
    kinds: Dict[int, str] = field(default_factory=dict)
    opened: bool = False
    before: bytes = b""
    weighed: int = 0


class _Stream:
    """The envelope of one stream and its choices; each method spells one kind of event as frames.

    What says nothing by itself (a role, blanks, log probabilities, unknown keys of a choice or of the whole) waits for
    the next frame of its choice, so that it stands where OpenAI has it.
    """

    def __init__(self, spelling: Spelling, show_usage: bool) -> None:
        self._spelling = spelling
        self._show_usage = show_usage
        self._started = ev.Started()
        self._everywhere: Wire = {}
        self._aside: Wire = {}
        self._usage: Optional[Wire] = None
        self._choices: Dict[int, _Spoken] = {}
        closed = b"}" if spelling.messages else b""
        self._after = closed + b',"finish_reason":null}]' + (b',"usage":null}\n\n' if show_usage else b"}\n\n")

    def start(self, event: ev.Started) -> Frames:
        """The answer began: its envelope stands on every frame from now on."""
        old = self._started
        self._started = ev.Started(old.id or event.id, old.model or event.model, old.created or event.created)
        return self._set_aside(event.extra)

    def open(self, event: ev.Opened) -> Frames:
        """A role waits for what comes with it. Lower choices are introduced first: clients count on the order."""
        lower = [index for index in range(min(event.choice, MOST_CHOICES)) if index not in self._choices]
        frames = [self._frame(self._choices.setdefault(index, _Spoken(index)), {}) for index in lower]
        spoken = self._choices.setdefault(event.choice, _Spoken(event.choice))
        if not spoken.opened:
            spoken.opened, spoken.opening = True, {"role": event.role}
        return frames if self._spelling.messages else []

    def text(self, event: ev.Text) -> Frames:
        """A piece of the visible answer."""
        return self._say(event.choice, "content", event.text)

    def part(self, event: ev.Part) -> Frames:
        """Content that is no string, as it is."""
        return self._speak(event.choice, {"content": event.part})

    def reasoning(self, event: ev.Reasoning) -> Frames:
        """A piece of the reasoning, under the field's own name."""
        return self._say(event.choice, event.name, event.text)

    def refusal(self, event: ev.Refusal) -> Frames:
        """A piece of the refusal."""
        return self._say(event.choice, "refusal", event.text)

    def call(self, event: ev.ToolCall) -> Frames:
        """The head of a tool call, or more of it."""
        kinds = self._at(event.choice).kinds
        first = event.slot not in kinds
        return self._speak(event.choice, write_head(event, kinds.setdefault(event.slot, event.kind), first=first))

    def arguments(self, event: ev.ToolArguments) -> Frames:
        """A piece of a call's arguments."""
        kind = self._at(event.choice).kinds.get(event.slot, "function")
        return self._speak(event.choice, write_arguments(event, kind))

    def audio(self, event: ev.Audio) -> Frames:
        """A piece of spoken answer."""
        return self._speak(event.choice, write_audio(event))

    def logprobs(self, event: ev.Logprobs) -> Frames:
        """Log probabilities stand beside the text that follows."""
        spoken = self._at(event.choice)
        frames = self._introduce(spoken)
        if "logprobs" in spoken.beside:
            frames.append(self._frame(spoken, {}))
        spoken.beside["logprobs"] = self._weighed(spoken, event.logprobs)
        return frames

    def note(self, event: ev.Noted) -> Frames:
        """Unknown keys, at the level where they belong."""
        if event.level == "reply":
            return self._set_aside(event.extra)
        if event.level == "message":
            return self._speak(event.choice, dict(event.extra))
        merge_into(self._at(event.choice).beside, event.extra, grow=False)
        return []

    def blank(self, event: ev.Blank) -> Frames:
        """A field that says nothing waits with the role, where it is among what opens a choice."""
        if event.field == "usage":
            return []
        spoken = self._at(event.choice)
        if event.field in BESIDE:
            spoken.beside[event.field] = event.value
        elif spoken.opening is None:
            return self._speak(event.choice, {event.field: event.value})
        else:
            spoken.opening[event.field] = event.value
        return []

    def finish(self, event: ev.Finished) -> Frames:
        """Why the choice ended."""
        spoken = self._at(event.choice)
        return [*self._introduce(spoken), self._frame(spoken, {}, event.reason)]

    def cost(self, event: ev.Usage) -> Frames:
        """What it cost is told last."""
        self._usage = event.counts
        return []

    def end(self) -> Frames:
        """What still waits for company, and last of all the usage, for those who asked for it."""
        frames = []
        for spoken in self._choices.values():
            silent = spoken.opening is not None and not self._spelling.messages
            frames += self._introduce(spoken)
            if spoken.beside or silent:
                frames.append(self._frame(spoken, {}))
        usage = self._usage if self._show_usage else None
        if self._aside and usage is None:
            # A choice that says nothing: clients that look at choices[0] survive it.
            frames.append(self._frame(next(iter(self._choices.values()), None), {}))
        if usage is not None:
            frames.append(self._chunk([], usage))
        return frames

    def _say(self, choice: int, key: str, text: str) -> Frames:
        """The common case, without building a chunk: only the text is new."""
        spoken = self._choices.get(choice)
        if spoken is None or spoken.opening is not None or spoken.beside or self._aside or not self._has(key):
            return self._speak(choice, {key: text})
        if not spoken.before:
            spoken.before = self._before(choice)
        name = write_json(key) + b":" if self._spelling.messages else b'"text":'
        return [spoken.before + name + write_json(text) + self._after]

    def _before(self, choice: int) -> bytes:
        head = write_json({**self._head(), "choices": [{"index": choice}]})
        return b"data: " + head[: -len(b"}]}")] + (b',"delta":{' if self._spelling.messages else b",")

    def _weighed(self, spoken: _Spoken, logprobs: ev.Extra) -> ev.Extra:
        """The older completions have lists, and say at which character of the answer each token begins."""
        if self._spelling.messages:
            return logprobs
        lists = write_lists(logprobs, spoken.weighed)
        spoken.weighed += sum(len(text) for text in lists.get("tokens") or () if isinstance(text, str))
        return lists

    def _has(self, key: str) -> bool:
        """The older completions have text and nothing else."""
        return self._spelling.messages or key == "content"

    def _speak(self, choice: int, delta: Wire) -> Frames:
        if not any(map(self._has, delta)):
            return []
        spoken = self._at(choice)
        frames = self._introduce(spoken, isinstance(delta.get("content"), str))
        frames.append(self._frame(spoken, delta))
        return frames

    def _at(self, choice: int) -> _Spoken:
        spoken = self._choices.get(choice)
        if spoken is None:
            spoken = self._choices[choice] = _Spoken(choice, {"role": "assistant"}, opened=True)
        return spoken

    def _introduce(self, spoken: _Spoken, text: bool = False) -> Frames:
        """The role and the blanks that waited; a text begins with an empty one, as OpenAI's does.

        The older completions have neither, and begin with what there is to say.
        """
        opening, spoken.opening = spoken.opening, None
        if opening is None or not self._spelling.messages:
            return []
        if text:
            opening.setdefault("content", "")
        return [self._frame(spoken, opening)]

    def _frame(self, spoken: Optional[_Spoken], delta: Wire, reason: Optional[str] = None) -> bytes:
        """One frame of one choice, in company of all that waited for it."""
        if spoken is None:
            return self._chunk([], None)
        choice: Wire = {"index": spoken.index}
        if self._spelling.messages:
            choice["delta"] = delta
        else:
            choice["text"] = delta.get("content", "")
        choice.update(spoken.beside)
        choice["finish_reason"] = spoken.beside.get("finish_reason") if reason is None else reason
        spoken.beside = {}
        return self._chunk([choice], None)

    def _chunk(self, choices: List[Wire], usage: Optional[Wire]) -> bytes:
        chunk: Wire = {**self._head(), **self._aside, "choices": choices}
        if self._show_usage:
            chunk["usage"] = usage
        self._aside = {}
        return b"data: " + write_json(chunk) + b"\n\n"

    def _head(self) -> Wire:
        said = self._started
        head: Wire = {"id": said.id, "object": self._spelling.chunk, "created": said.created, "model": said.model}
        head.update(self._everywhere)
        return head

    def _set_aside(self, extra: ev.Extra) -> Frames:
        """Keys of the whole answer: some stand on every chunk, the others on the next one."""
        self._everywhere.update((key, value) for key, value in extra.items() if key in EVERYWHERE)
        merge_into(self._aside, {key: value for key, value in extra.items() if key not in EVERYWHERE}, grow=False)
        for spoken in self._choices.values():
            spoken.before = b""
        return []


_SPEAK: Dict[type, Callable[[_Stream, Any], Frames]] = {
    ev.Started: _Stream.start,
    ev.Opened: _Stream.open,
    ev.Text: _Stream.text,
    ev.Part: _Stream.part,
    ev.Reasoning: _Stream.reasoning,
    ev.Refusal: _Stream.refusal,
    ev.ToolCall: _Stream.call,
    ev.ToolArguments: _Stream.arguments,
    ev.Audio: _Stream.audio,
    ev.Logprobs: _Stream.logprobs,
    ev.Noted: _Stream.note,
    ev.Blank: _Stream.blank,
    ev.Finished: _Stream.finish,
    ev.Usage: _Stream.cost,
}
