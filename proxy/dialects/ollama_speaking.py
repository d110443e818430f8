"""Answers for clients that speak Ollama: lines of increments, and a last one that tells what it was (spec 5.9)."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from msgspec import Struct, field

from proxy.chat import events as ev
from proxy.chat.ask import Ask
from proxy.chat.merge import join_text, merge_into
from proxy.chat.reply import Call, Reply, kept
from proxy.chat.slots import call_id, is_object
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.ollama_calls import write_call
from proxy.dialects.ollama_failures import write_failed_stream
from proxy.dialects.ollama_forms import CHAT, Form, besides, patched
from proxy.dialects.ollama_logprobs import write_logprobs
from proxy.dialects.ollama_reading import write_reason, write_usage
from proxy.dialects.ollama_times import SECOND, write_time
from proxy.dialects.openai_logprobs import read_tokens
from proxy.dialects.openai_reply import with_others

Frames = List[bytes]


def write_reply(reply: Reply, *, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None, form: Form = CHAT) -> Wire:
    """The first choice of the answer as one line. Raises ProxyError for a call whose arguments are no JSON object."""
    speaking = Speaking(form, ask, stamp)
    speaking.start(ev.Started(reply.id, reply.model, reply.created, reply.extra))
    speaking.usage = reply.usage
    for choice in reply.choices[:1]:
        speaking.role, speaking.reason, speaking.note = (
            choice.role,
            choice.reason,
            {**kept(choice.blank), **choice.note},
        )
        merge_into(speaking.beside, choice.extra, grow=False)
        content = {"thinking": next(iter(choice.reasoning.values()), ""), "content": choice.text or ""}
        for key, text in spoken_parts(choice.content):
            content[key] += text
        content["content"] += choice.refusal or str((choice.audio or {}).get("transcript") or "")
        calls = [write_call(call, place, form.name) for place, call in enumerate(choice.calls)]
        return speaking.last(content["content"], content["thinking"], calls, read_tokens(choice.logprobs))
    return speaking.last()


def write_stream(
    events: Iterable[ev.Event],
    *,
    show_usage: bool,
    ask: Optional[Ask] = None,
    stamp: Optional[Stamp] = None,
    form: Form = CHAT,
) -> Iterator[bytes]:
    """Lines for the client, up to the one that is done; it waits for the usage, which is always shown.

    Of several choices the first is told. A ``Failed`` event ends the stream. Raises ProxyError for a call whose
    arguments are no JSON object.
    """
    speaking = Speaking(form, ask, stamp)
    for event in events:
        if isinstance(event, ev.Failed):
            yield write_failed_stream(event)
            return
        speak = _SPEAK.get(type(event))
        if speak is not None and not getattr(event, "choice", 0):
            yield from speak(speaking, event)
    yield from speaking.flush(rest=True)
    yield write_json(speaking.last(logprobs=speaking.logprobs)) + b"\n"


class _Held(Struct):
    """A call that is not complete yet."""

    call: Call
    pieces: List[str] = field(default_factory=list)

    def whole(self) -> Call:
        """The call so far."""
        self.call.arguments = join_text(self.pieces)
        return self.call


class Speaking:
    """One answer under way: what every line repeats, what waits for the next line, and what waits for the last."""

    def __init__(self, form: Form, ask: Optional[Ask], stamp: Optional[Stamp]) -> None:
        self.role = "assistant"
        self.reason: Optional[str] = None
        self.usage: Optional[Mapping[str, Any]] = None
        self.note: Wire = {}
        self.beside: Wire = {}
        self.logprobs: List[Any] = []
        self._form = form
        self._model = ask.model if ask else ""
        self._stamp = stamp
        self._created = 0.0
        self._identity = stamp.id if stamp else ""
        self._began = stamp.elapsed() if stamp else 0.0
        self._first: Optional[float] = None
        self._extra: Wire = {}
        self._reasoning = ""
        self._held: Dict[int, _Held] = {}
        self._calls = 0

    def start(self, event: ev.Started) -> Frames:
        """The answer began: its model stands in every line from now on."""
        self._identity = self._identity or event.id
        self._model, self._created = event.model or self._model, event.created or self._created
        merge_into(self._extra, event.extra, grow=False)
        return []

    def open(self, event: ev.Opened) -> Frames:
        """The role of every line's message."""
        self.role = event.role or self.role
        return []

    def text(self, event: ev.Text) -> Frames:
        """A piece of the visible answer."""
        return self._say(event.text)

    def part(self, event: ev.Part) -> Frames:
        """Content that is no string, as texts."""
        return [
            self._line(thinking=text) if key == "thinking" else self._line(text)
            for key, text in spoken_parts(event.part)
        ]

    def reasoning(self, event: ev.Reasoning) -> Frames:
        """Some providers say the same under two names."""
        self._reasoning = self._reasoning or event.name
        return [self._line(thinking=event.text)] if event.text and event.name == self._reasoning else []

    def refusal(self, event: ev.Refusal) -> Frames:
        """A refusal has no place of its own, but it has to be read."""
        return self._say(event.text)

    def audio(self, event: ev.Audio) -> Frames:
        """What was spoken, as text: there is no other way."""
        return self._say(event.transcript or "")

    def call(self, event: ev.ToolCall) -> Frames:
        """The head of a tool call, which waits until it is whole."""
        held = self._held.get(event.slot)
        if held is None:
            lines = self.flush()
            identity = event.id or call_id(self._identity, 0, max(event.slot, 0))
            call = Call(identity, event.name, event.kind, "", dict(event.extra), dict(event.inner))
            self._held[event.slot] = _Held(call)
            return lines
        held.call.id, held.call.name = held.call.id or event.id, held.call.name + event.name
        merge_into(held.call.extra, event.extra, grow=False)
        merge_into(held.call.inner, event.inner, grow=False)
        return []

    def arguments(self, event: ev.ToolArguments) -> Frames:
        """A piece of a call's arguments."""
        held = self._held.get(event.slot)
        if held is not None:
            held.pieces.append(event.text)
        return []

    def weigh(self, event: ev.Logprobs) -> Frames:
        """Log probabilities wait for their text."""
        self.logprobs = self.logprobs + read_tokens(event.logprobs)
        return []

    def take_note(self, event: ev.Noted) -> Frames:
        """Unknown keys wait for the last line."""
        bag = {"reply": self._extra, "choice": self.beside}.get(event.level, self.note)
        merge_into(bag, event.extra, grow=event.level == "message")
        return []

    def leave_blank(self, event: ev.Blank) -> Frames:
        """What the provider wants back (signed thinking) waits for the last line."""
        self.note.update(kept({event.field: event.value}))
        return []

    def finish(self, event: ev.Finished) -> Frames:
        """Why it ended is told in the last line; no call can grow any more."""
        self.reason = event.reason
        return self.flush(rest=True)

    def cost(self, event: ev.Usage) -> Frames:
        """What it cost is told in the last line."""
        self.usage = event.counts
        return []

    def flush(self, *, rest: bool = False) -> Frames:
        """Lines for the calls that are complete, in their order; ``rest``: nothing more will come."""
        lines: Frames = []
        for slot, held in list(self._held.items()):
            call = held.whole()
            if not (rest or is_object(call.arguments)):
                break
            lines.append(self._line(tool_calls=[write_call(call, self._calls, self._form.name)]))
            del self._held[slot]
            self._calls += 1
        return lines

    def last(
        self,
        text: str = "",
        thinking: str = "",
        calls: Optional[List[Wire]] = None,
        logprobs: Optional[List[Any]] = None,
    ) -> Wire:
        """The line that is done, with all that is still to be told."""
        form, extra = self._form, self._extra
        created_at = extra["created_at"] if isinstance(extra.get("created_at"), str) else self._now()
        told: Wire = {"model": self._model, "created_at": created_at}
        if form.nested:
            others = besides(self.note, (form.name,))
            message = with_others({"role": self.role, **self._spoken(text, thinking, calls)}, others)
            told["message"] = patched(message, self.note.get(form.name))
        else:
            told = with_others({**told, **self._spoken(text, thinking, calls)}, self.note)
        told.update(write_logprobs(logprobs))
        told.update({"done": True, "done_reason": write_reason(self.reason), **self._durations()})
        told.update(write_usage(self.usage))
        return patched(with_others(told, {**self.beside, **besides(extra, (form.name,))}), extra.get(form.name))

    def _say(self, text: str) -> Frames:
        return [self._line(content=text)] if text else []

    def _line(self, content: str = "", thinking: str = "", tool_calls: Optional[List[Wire]] = None) -> bytes:
        if self._first is None and self._stamp:
            self._first = self._stamp.elapsed()
        line: Wire = {"model": self._model, "created_at": self._now()}
        said = self._spoken(content, thinking, tool_calls)
        line.update({"message": {"role": self.role, **said}} if self._form.nested else said)
        line["done"] = False
        line.update(write_logprobs(self.logprobs))
        self.logprobs = []
        return write_json(line) + b"\n"

    def _spoken(self, text: str, thinking: str, calls: Optional[List[Wire]]) -> Wire:
        said: Wire = {self._form.text: text}
        said.update({"thinking": thinking} if thinking else {})
        said.update({"tool_calls": calls} if calls else {})
        return said

    def _now(self) -> str:
        """The time of this line; without a stamp the time that the answer began at."""
        if self._stamp is None:
            return write_time(int(self._created) * SECOND + int(self._created % 1 * SECOND))
        return write_time(self._stamp.created * SECOND + int((self._stamp.elapsed() - self._began) * SECOND))

    def _durations(self) -> Wire:
        """What took how long, in nanoseconds, as far as we can tell; a provider of this kind tells it itself."""
        if self._stamp is None or "created_at" in self._extra or self._form.name in self._extra:
            return {}
        total = max(int(self._stamp.elapsed() * SECOND), 1)
        first = None if self._first is None else min(int(self._first * SECOND), total)
        prompt = first or 0  # of a whole answer nobody can tell
        told = {"total_duration": total, "load_duration": 0, "prompt_eval_duration": prompt}
        return {**told, "eval_duration": total - prompt}


def spoken_parts(content: Any) -> Iterator[Tuple[str, str]]:
    """Content that is no string as texts, each with the name of what it is here; a JSON value is told as JSON."""
    if content is not None and not isinstance(content, list):
        yield "content", content if isinstance(content, str) else write_json(content).decode()
        return
    for part in content or []:
        if isinstance(part, dict) and isinstance(part.get("thinking"), (str, list)):
            yield "thinking", "".join(text for _, text in spoken_parts(_listed(part["thinking"])))
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield "content", part["text"]
        elif isinstance(part, str):
            yield "content", part


def _listed(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value]


_SPEAK: Dict[type, Callable[[Speaking, Any], Frames]] = {
    ev.Started: Speaking.start,
    ev.Opened: Speaking.open,
    ev.Noted: Speaking.take_note,
    ev.Blank: Speaking.leave_blank,
    ev.Text: Speaking.text,
    ev.Part: Speaking.part,
    ev.Reasoning: Speaking.reasoning,
    ev.Refusal: Speaking.refusal,
    ev.ToolCall: Speaking.call,
    ev.ToolArguments: Speaking.arguments,
    ev.Audio: Speaking.audio,
    ev.Logprobs: Speaking.weigh,
    ev.Finished: Speaking.finish,
    ev.Usage: Speaking.cost,
}
