"""A stream of events into the reply it amounts to."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional

from msgspec import Struct, field

from proxy.chat import events as ev
from proxy.chat.merge import join_base64, join_cumulative, join_parts, join_text, merge_into
from proxy.chat.reply import Call, Choice, Reply
from proxy.chat.slots import word
from proxy.errors import ProxyError


def fold(events: Iterable[ev.Event]) -> Reply:
    """The reply that ``events`` amount to; raises ProxyError when one of them says that the answer failed."""
    folding = Folding()
    for event in events:
        folding.add(event)
    return folding.reply()


class Folding:
    """Events gathered so far; ``reply`` can be asked at any time, so that a broken answer has its part of one too."""

    def __init__(self) -> None:
        self._started = ev.Started()
        self._usage: Optional[ev.Extra] = None
        self._blank: ev.Extra = {}
        self._extra: ev.Extra = {}
        self._drafts: Dict[int, _Draft] = {}

    def add(self, event: ev.Event) -> None:
        """Take the next event; raises ProxyError for ``Failed``."""
        if type(event) is ev.Text:  # nearly all events are
            draft = self._drafts.get(event.choice)
            if draft is not None and draft.texts is not None:
                draft.texts.append(event.text)
                return
        if isinstance(event, ev.Failed):
            raise ProxyError(event)
        _WHOLE.get(type(event), Folding._tell)(self, event)

    def reply(self) -> Reply:
        """The reply so far."""
        start = self._started
        return Reply(
            id=start.id,
            model=start.model,
            created=start.created,
            choices=[self._drafts[index].choice(index) for index in sorted(self._drafts)],
            usage=self._usage,
            blank={} if self._usage is not None else dict(self._blank),
            extra=dict(self._extra),
        )

    def _start(self, event: ev.Started) -> None:
        old = self._started
        self._started = ev.Started(old.id or event.id, old.model or event.model, old.created or event.created)
        merge_into(self._extra, event.extra, grow=False)

    def _cost(self, event: ev.Usage) -> None:
        self._usage = event.counts

    def _note(self, event: ev.Noted) -> None:
        if event.level == "reply":
            merge_into(self._extra, event.extra, grow=False)
        else:
            self._tell(event)

    def _leave_blank(self, event: ev.Blank) -> None:
        if event.field == "usage":
            self._blank["usage"] = event.value
        else:
            self._tell(event)

    def _tell(self, event: Any) -> None:
        draft = self._drafts.get(event.choice)
        if draft is None:
            draft = self._drafts[event.choice] = _Draft()
        _CHOICE[type(event)](draft, event)


class _CallDraft(Struct):
    id: str
    name: str
    kind: str
    extra: ev.Extra
    inner: ev.Extra
    pieces: List[str] = field(default_factory=list)

    def call(self) -> Call:
        """The call so far."""
        return Call(self.id, self.name, self.kind, join_text(self.pieces), dict(self.extra), dict(self.inner))


class _Draft(Struct):
    """One choice under way: texts are lists of pieces until somebody asks."""

    role: str = ""
    texts: Optional[List[str]] = None
    content: Any = None
    reasoning: Dict[str, List[str]] = field(default_factory=dict)
    refusals: Optional[List[str]] = None
    calls: Dict[int, _CallDraft] = field(default_factory=dict)
    audio: Optional[ev.Extra] = None
    spoken: Optional[List[str]] = None
    logprobs: Optional[ev.Extra] = None
    reason: Optional[str] = None
    blank: ev.Extra = field(default_factory=dict)
    note: ev.Extra = field(default_factory=dict)
    extra: ev.Extra = field(default_factory=dict)

    def choice(self, index: int) -> Choice:
        """The choice so far, without the blanks that something has been said about since."""
        parts = isinstance(self.content, list)
        choice = Choice(
            index=index,
            role=self.role or "assistant",
            text=None if parts or self.texts is None else join_cumulative(self.texts),
            content=join_parts(self.content, self._tail()) if parts else self.content,
            reasoning={name: join_text(texts) for name, texts in self.reasoning.items()},
            refusal=None if self.refusals is None else join_text(self.refusals),
            calls=[self.calls[slot].call() for slot in sorted(self.calls, key=_place)],
            audio=self._audio(),
            logprobs=self._logprobs(),
            reason=self.reason,
            note=dict(self.note),
            extra=dict(self.extra),
        )
        said = _said(choice)
        choice.blank = {name: value for name, value in self.blank.items() if name not in said}
        return choice

    def _tail(self) -> List[Any]:
        """Text beside a list of parts is a part too."""
        return [{"type": "text", "text": join_text(self.texts)}] if self.texts else []

    def _audio(self) -> Optional[ev.Extra]:
        if self.audio is None:
            return None
        return dict(self.audio) if self.spoken is None else {**self.audio, "data": join_base64(self.spoken)}

    def _logprobs(self) -> Optional[ev.Extra]:
        """A copy: the lists in ours go on growing."""
        if self.logprobs is None:
            return None
        return {name: list(value) if isinstance(value, list) else value for name, value in self.logprobs.items()}

    def open(self, event: ev.Opened) -> None:
        """The role is the first one that was told."""
        self.role = self.role or event.role

    def note_down(self, event: ev.Noted) -> None:
        """Unknown keys: a message's grow, a choice's are replaced."""
        grow = event.level == "message"
        merge_into(self.note if grow else self.extra, event.extra, grow=grow)

    def leave_blank(self, event: ev.Blank) -> None:
        """A field that says nothing; the last word counts."""
        self.blank[event.field] = event.value

    def write(self, event: ev.Text) -> None:
        """A piece of text."""
        if self.texts is None:
            self.texts = []
        self.texts.append(event.text)

    def add_part(self, event: ev.Part) -> None:
        """Content that is no string; text before it becomes a part."""
        if not isinstance(event.part, list):
            self.content = event.part
            return
        before = join_parts(self.content, self._tail()) if isinstance(self.content, list) else self._tail()
        self.content, self.texts = join_parts(before, event.part), None

    def reason_on(self, event: ev.Reasoning) -> None:
        """A piece of the reasoning, each name by itself."""
        self.reasoning.setdefault(event.name, []).append(event.text)

    def refuse(self, event: ev.Refusal) -> None:
        """A piece of the refusal."""
        if self.refusals is None:
            self.refusals = []
        self.refusals.append(event.text)

    def call(self, event: ev.ToolCall) -> None:
        """The head of a tool call, or what it did not have yet."""
        call = self.calls.get(event.slot)
        if call is None:
            self.calls[event.slot] = _CallDraft(event.id, event.name, event.kind, dict(event.extra), dict(event.inner))
            return
        call.id, call.name = call.id or event.id, call.name + event.name
        merge_into(call.extra, event.extra, grow=False)
        merge_into(call.inner, event.inner, grow=False)

    def argue(self, event: ev.ToolArguments) -> None:
        """A piece of a call's arguments."""
        call = self.calls.get(event.slot)
        if call is None:
            call = self.calls[event.slot] = _CallDraft("", "", "function", {}, {})
        call.pieces.append(event.text)

    def speak(self, event: ev.Audio) -> None:
        """A piece of spoken answer."""
        audio = self.audio = self.audio or {}
        if event.id is not None:
            audio["id"] = audio.get("id") or event.id
        if event.transcript is not None:
            audio["transcript"] = word(audio, "transcript") + event.transcript
        if event.expires_at is not None:
            audio["expires_at"] = event.expires_at
        if event.data is not None:
            if self.spoken is None:
                self.spoken = []
            self.spoken.append(event.data)
        merge_into(audio, event.extra, grow=True)

    def weigh(self, event: ev.Logprobs) -> None:
        """Log probabilities: lists grow."""
        logprobs = self.logprobs = self.logprobs or {}
        for name, values in event.logprobs.items():
            old = logprobs.get(name)
            if isinstance(old, list) and isinstance(values, list):
                old.extend(values)
            elif values is not None or name not in logprobs:
                logprobs[name] = list(values) if isinstance(values, list) else values  # an event never changes

    def finish(self, event: ev.Finished) -> None:
        """Why it ended; the last word counts."""
        self.reason = event.reason


def _place(slot: int) -> float:
    """Calls in the order of their numbers; the deprecated one, which has none, last."""
    return slot if slot >= 0 else float("inf")


def _said(choice: Choice) -> Dict[str, bool]:
    """The wire names of the fields in which this choice says something."""
    legacy = [call.kind == "function_call" for call in choice.calls]
    said = {
        "content": choice.text is not None or choice.content is not None,
        "refusal": choice.refusal is not None,
        "audio": choice.audio is not None,
        "tool_calls": not all(legacy),
        "function_call": any(legacy),
        "logprobs": choice.logprobs is not None,
        "finish_reason": choice.reason is not None,
    }
    said.update(dict.fromkeys(choice.reasoning, True))
    return {name: value for name, value in said.items() if value}


_WHOLE: Dict[type, Callable[[Folding, Any], None]] = {
    ev.Started: Folding._start,
    ev.Usage: Folding._cost,
    ev.Noted: Folding._note,
    ev.Blank: Folding._leave_blank,
}
_CHOICE: Dict[type, Callable[[_Draft, Any], None]] = {
    ev.Opened: _Draft.open,
    ev.Noted: _Draft.note_down,
    ev.Blank: _Draft.leave_blank,
    ev.Text: _Draft.write,
    ev.Part: _Draft.add_part,
    ev.Reasoning: _Draft.reason_on,
    ev.Refusal: _Draft.refuse,
    ev.ToolCall: _Draft.call,
    ev.ToolArguments: _Draft.argue,
    ev.Audio: _Draft.speak,
    ev.Logprobs: _Draft.weigh,
    ev.Finished: _Draft.finish,
}
