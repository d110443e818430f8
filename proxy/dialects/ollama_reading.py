"""Ollama's answers, a line at a time: a whole answer is one line that says everything (spec 5.2, 5.3, 5.8, C67)."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from proxy.chat import events as ev
from proxy.chat.ask import Ask
from proxy.chat.fold import fold
from proxy.chat.reply import Reply
from proxy.chat.slots import word
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.failures import read_failure_frame
from proxy.dialects.json_text import read_object
from proxy.dialects.ollama_calls import items_of, read_call
from proxy.dialects.ollama_forms import CHAT, GENERATE, MESSAGE_KEYS, Form, among, besides, difference
from proxy.dialects.ollama_logprobs import read_logprobs
from proxy.dialects.ollama_times import read_time
from proxy.dialects.openai_choice import is_news
from proxy.dialects.openai_reasons import mended_reason, missing_reason
from proxy.dialects.openai_repair_notes import skip_unreadable
from proxy.errors import ProxyError, failure, truncated
from proxy.framing import Frame

NO_REASONS = ("", "null", "load", "unload")
COUNTS = {"prompt_eval_count": "prompt_tokens", "eval_count": "completion_tokens"}
SHOWN = 300


def read_reply(body: Wire, ask: Optional[Ask] = None) -> Reply:
    """Read a whole answer of either form; raises ProxyError ``invalid_upstream_response`` for what is none."""
    if not isinstance(body, dict) or not (isinstance(body.get("message"), dict) or "response" in body):
        raise failure("invalid_upstream_response", "The provider's answer has neither a message nor a response.")
    return fold(Reading().read({**body, "done": True}, body))


def read_stream(
    frames: Iterable[Frame],
    *,
    repair: bool,
    ask: Optional[Ask] = None,
    stamp: Optional[Stamp] = None,
    repairs: Optional[Dict[str, int]] = None,
) -> Iterator[ev.Event]:
    """Events of the lines up to the one that is ``done``; what is no JSON object is skipped and counted (spec 1.6(a)).

    Raises ProxyError for a line with an ``error``, ``stream_truncated`` where no line was done (C33), and
    ``invalid_upstream_response`` where nothing could be read (C43). There is nothing to repair but calls without ids,
    which always get one.
    """
    reading = Reading(ask, stamp)
    nonsense = b""
    for frame in frames:
        line = _line(frame)
        if line is None:
            nonsense = nonsense or frame.data
            skip_unreadable(frame.data, repairs)
            continue
        yield from reading.read(line, line)
        if reading.done:
            if reading.generated and repair and repairs is not None:
                repairs["tool_call_id"] = reading.generated
            return
    if reading.model is not None:
        raise truncated()
    shown = f" but {nonsense[:SHOWN].decode('utf-8', 'replace')!r}" if nonsense else ""
    raise failure("invalid_upstream_response", f"The provider's stream ended without saying anything{shown}.")


def is_end(frame: Frame) -> bool:
    """Whether this line ends the answer; costs nothing but a search for those that do not."""
    if b'"done"' not in frame.data or b"true" not in frame.data:
        return False
    line = read_object(frame.data)
    return line is not None and line.get("done") is True


def says(frame: Frame) -> bool:
    """Whether this line says anything of the answer itself."""
    line = read_object(frame.data)
    if line is None:
        return False
    said = _message_of(line, GENERATE)[0]
    return any(said.get(key) for key in ("content", "response", "thinking", "tool_calls")) or line.get("done") is True


class Reading:
    """One answer under way; ``model`` is None until it began, ``generated`` counts the ids that we gave to calls."""

    def __init__(self, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None) -> None:
        self.model: Optional[str] = None
        self.done = False
        self.generated = 0
        self._ask = ask
        self._stamp = stamp
        self._form = CHAT
        self._role = "assistant"
        self._seed = ""
        self._calls = 0
        self._said: Set[str] = set()
        self._known: Wire = {}

    def read(self, line: Wire, wire: Wire) -> List[ev.Event]:
        """What a line says; ``wire`` is the line itself where it is read as if it were done."""
        out: List[ev.Event] = []
        message, self._form = _message_of(line, self._form)
        news = {key: value for key, value in besides(line, self._form.keys).items() if self._is_news(key, value)}
        self._known.update(news)
        if self.model is None:
            self._begin(line, message, besides(news, ("created_at",)), out)
            news = among(news, ("created_at",))
        self._say(line, message, out)
        if line.get("done") is True:
            news.update(among(line, ("created_at",)) if isinstance(line.get("created_at"), str) else {})
            self._finish(wire, message, news, out)
        elif besides(news, ("created_at",)):
            out.append(ev.Noted("reply", besides(news, ("created_at",))))
        return out

    def _is_news(self, key: str, value: Any) -> bool:
        """Each line has a time of its own, of which the last one is the whole answer's."""
        return key != "created_at" and is_news(self._known, key, value)

    def _begin(self, line: Wire, message: Wire, extra: Wire, out: List[ev.Event]) -> None:
        stamp = self._stamp
        self.model = word(line, "model") or (self._ask.model if self._ask else "")
        self._role = (word(message, "role") if self._form.nested else "") or self._role
        self._seed = word(line, "created_at")
        created = read_time(line.get("created_at")) or (stamp.created if stamp else 0)
        out.append(ev.Started(stamp.id if stamp else "", self.model, created, extra))
        out.append(ev.Opened(0, self._role))

    def _say(self, line: Wire, message: Wire, out: List[ev.Event]) -> None:
        """Log probabilities come before their text, reasoning before text before calls."""
        logprobs = line.get("logprobs")
        if isinstance(logprobs, list) and logprobs:
            self._said.add("logprobs")
            out.append(ev.Logprobs(read_logprobs(logprobs)))
        for key, event in (("thinking", ev.Reasoning), (self._form.text, ev.Text)):
            text = message.get(key)
            if isinstance(text, str) and text:
                self._said.add(key)
                out.append(event(text))
        note = besides(message, MESSAGE_KEYS) if self._form.nested else {}
        if note:
            out.append(ev.Noted("message", note))
        for item in items_of(message.get("tool_calls")):
            self._call(item, out)

    def _call(self, item: Wire, out: List[ev.Event]) -> None:
        if self._form.text not in self._said and not self._calls:
            out.append(ev.Blank("content", None))  # What OpenAI says beside calls (spec 1.6(i)).
        self._said.add("tool_calls")
        call = read_call(item, self._calls, self._form.name, self._seed)
        self.generated += 0 if word(item, "id") else 1
        out.append(ev.ToolCall(self._calls, call.id, call.name, extra=call.extra, inner=call.inner))
        if call.arguments:
            out.append(ev.ToolArguments(self._calls, call.arguments))
        self._calls += 1

    def _finish(self, wire: Wire, message: Wire, news: Wire, out: List[ev.Event]) -> None:
        self.done = True
        form = self._form
        if not self._said & {form.text, "tool_calls"}:
            out.append(ev.Blank("content", ""))
        raw = wire.get("done_reason")
        calls = ["function"] * self._calls
        reason = missing_reason(calls) if not isinstance(raw, str) or raw in NO_REASONS else mended_reason(raw, calls)
        usage = read_usage(wire)
        told: Wire = {"model": self.model, "created_at": word(wire, "created_at"), "done": True}
        told.update({"done_reason": write_reason(reason), **write_usage(usage)})
        mark = self._mark({"role": self._role, "content": ""}, among(message, MESSAGE_KEYS)) if form.nested else {}
        if mark and isinstance(wire.get("message"), dict):
            out.append(ev.Noted("message", {form.name: mark}))
        if not form.nested:
            told["response"] = ""
        mark = self._mark(told, among(besides(wire, ("message",)), {*form.keys, "created_at"}))
        news.update({form.name: mark} if mark else {})
        out.extend([ev.Noted("reply", news)] if news else [])
        out.append(ev.Finished(reason))
        out.extend([ev.Usage(usage)] if usage else [])

    def _mark(self, told: Wire, said: Wire) -> Wire:
        """What of the last line we would write differently, but for what earlier lines said already."""
        if self._form.text in told and self._form.text in self._said:
            said = {**said, self._form.text: ""}
        return difference(told, besides(said, self._said - {self._form.text}))


def read_usage(line: Mapping[str, Any]) -> Wire:
    """OpenAI's usage of a line's counts, of which Ollama leaves out those that are 0; empty if it has none."""
    counts = {key: line[key] for key in COUNTS if _is_count(line.get(key))}
    if not counts:
        return {}
    usage = {name: counts.get(key, 0) for key, name in COUNTS.items()}
    return {**usage, "total_tokens": sum(usage.values())}


def write_usage(usage: Optional[Mapping[str, Any]]) -> Wire:
    """A line's counts of OpenAI's usage."""
    said = usage or {}
    return {key: said[name] for key, name in COUNTS.items() if _is_count(said.get(name)) and said[name]}


def write_reason(reason: Optional[str]) -> str:
    """Ollama knows two reasons; calls end with the first of them."""
    return "length" if reason == "length" else "stop"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _message_of(line: Wire, form: Form) -> Tuple[Wire, Form]:
    """Where a line speaks, and its form; a last line without a message has that of the lines before (old servers)."""
    message = line.get("message")
    if isinstance(message, dict):
        return message, CHAT
    return (line, GENERATE) if "response" in line or form is GENERATE else ({}, form)


def _line(frame: Frame) -> Optional[Wire]:
    failed = read_failure_frame(frame)
    if failed is not None:
        raise ProxyError(failed)
    return read_object(frame.data)
