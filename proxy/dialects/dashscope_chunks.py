"""A provider's frames, respelled as OpenAI's chunks: what they mean is then read like any other (spec 4.5, 4.7)."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, Optional

from proxy.chat.ask import Ask
from proxy.chat.slots import index_of
from proxy.dialects.dashscope_forms import (
    INCREMENTAL,
    MARK,
    MESSAGE,
    PARTS,
    TEXT,
    heard_manner,
    is_native,
    mark_of,
)
from proxy.dialects.dashscope_news import Manner, News
from proxy.dialects.dashscope_parts import read_answer
from proxy.dialects.dashscope_usage import read_usage, told, total
from proxy.dialects.dialect import Stamp
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_reasons import said_reason

Wire = Dict[str, Any]

PREFIX = "chatcmpl-"
ENVELOPE = frozenset(("output", "usage", "request_id", MARK))
CHOICE = frozenset(("index", "message", "finish_reason", "logprobs"))
# Keys that mean something else in a chunk: they travel under the dialect's own.
_TAKEN = "choices text finish_reason message id object created model usage error detail code obfuscation p"
TAKEN_WHOLE = frozenset((*_TAKEN.split(), MARK))
TAKEN_CHOICE = frozenset(("delta", "text", "usage", "error", "finishReason", MARK))
TEXTS = ("content", "reasoning_content")
GROWING = frozenset((*TEXTS, "tool_calls", "reasoning", "thinking", "refusal", "audio"))  # role apart, all we know


class Respelling:
    """One answer under way; ``whole``: it comes in one piece, so that each key of it is news."""

    def __init__(self, terms: Terms, ask: Optional[Ask], stamp: Optional[Stamp], *, whole: bool = False) -> None:
        self._manner = Manner(INCREMENTAL if whole else heard_manner(ask), lambda: terms.mended("rewritten_text"))
        self._whole = whole
        self._model = ask.model if ask else ""
        self._stamp = stamp
        # Which shape an answer had is of use to clients of this dialect only.
        self._marks = ask is None or is_native(ask)
        self._plain = MESSAGE if ask is None else ""
        self._shape = ""  # as it was told, where the frames have another
        self._news: Dict[int, News] = {}
        self._costs: Dict[int, Wire] = {}

    def chunk(self, said: Mapping[str, Any]) -> Wire:
        """One frame as a chunk, or a whole answer as a whole answer; ``said["output"]`` is an object."""
        output = said["output"]
        chunk: Wire = {"id": self._id(said), "created": self._stamp.created if self._stamp else 0, "model": self._model}
        choices = choices_of(output)
        chunk["choices"] = [self._choice(choice, place) for place, choice in enumerate(choices)]
        self._cost(said, chunk)
        inside = {key: value for key, value in output.items() if key not in used_keys(output)}
        chunk.update((key, value) for key, value in inside.items() if key not in TAKEN_WHOLE)
        self._shape = mark_of(said).get("shape") or self._shape
        shape = shape_of(output)
        mark = {
            "shape": self._shape or (shape if shape != self._plain else ""),
            "output": {key: value for key, value in inside.items() if key in TAKEN_WHOLE},
            "beside": {key: value for key, value in said.items() if key not in ENVELOPE},
        }
        mark = {name: value for name, value in mark.items() if value}
        if mark and self._marks:
            chunk[MARK] = mark
        return chunk

    def _id(self, said: Mapping[str, Any]) -> str:
        identity = said.get("request_id") or (self._stamp.id if self._stamp else "")
        return f"{PREFIX}{identity}" if identity else ""

    def _choice(self, said: Wire, place: int) -> Wire:
        index = index_of(said, place)
        news = self._news.get(index)
        if news is None:
            news = self._news[index] = News(self._manner)
        raw = said.get("finish_reason")
        choice: Wire = {"index": index, "finish_reason": said_reason(raw)}
        message = said.get("message")
        if isinstance(message, dict):
            choice["message" if self._whole else "delta"] = self._message(message, news)
        if "logprobs" in said:
            choice["logprobs"] = _with_refusal(news.logprobs(said["logprobs"]))
        others = {key: value for key, value in said.items() if key not in CHOICE}
        choice.update((key, value) for key, value in others.items() if key not in TAKEN_CHOICE)
        own = {"beside": taken} if (taken := {key: others[key] for key in others if key in TAKEN_CHOICE}) else {}
        if self._whole and raw == "stop" and isinstance(message, dict) and message.get("tool_calls"):
            choice["finish_reason"] = "tool_calls"  # C29; the provider's own word is kept for clients of its own
            own["finish_reason"] = raw
        if own and self._marks:
            choice[MARK] = own
        return choice

    def _message(self, said: Wire, news: News) -> Wire:
        message: Wire = {}
        for key, value in said.items():
            if key == "content" and isinstance(value, list):
                self._read_parts(value, news, message)
            elif key in TEXTS and isinstance(value, str) and not self._whole:
                text = news.text(key, value)
                if text is not None:
                    message[key] = text
            elif key == "tool_calls" and isinstance(value, list):
                message[key] = [self._call(item) for item in news.calls(value)]
            elif self._whole or key in GROWING or news.is_other(key, value):
                message[key] = value
        return message

    def _read_parts(self, value: List[Any], news: News, message: Wire) -> None:
        content, audio = read_answer(value)
        if not self._whole:
            content = news.text("content", content) if isinstance(content, str) else news.parts(content)
        if content or (content == "" and not audio):
            message["content"] = content
        if audio:
            message["audio"] = audio if self._whole else news.audio(audio)

    def _call(self, item: Any) -> Any:
        """A whole answer's calls are told apart by their places; the number says nothing there."""
        if self._whole and isinstance(item, dict):
            return {key: value for key, value in item.items() if key != "index"}
        return item

    def _cost(self, said: Mapping[str, Any], chunk: Wire) -> None:
        """With several choices each frame tells of its own; a whole answer, and a frame of them all, of everything."""
        usage = said.get("usage")
        if self._whole:
            if "usage" in said:
                chunk["usage"] = read_usage(usage) if isinstance(usage, dict) and usage else usage
            return
        index = chunk["choices"][0]["index"] if len(chunk["choices"]) == 1 else None
        cost = self.cost(usage, index)
        if cost is not None:
            chunk["usage"] = cost

    def cost(self, usage: Any, index: Optional[int]) -> Optional[Wire]:
        """What the answer has cost so far, now that the frame of one choice, or of them all, has told its usage."""
        cost = told(usage)
        if cost is not None and index is not None:
            self._costs.pop(index, None)
            self._costs[index] = cost
            cost = total(list(self._costs.values()))
        return None if cost is None else read_usage(cost)

    def knows(self, index: int, role: str) -> bool:
        """Whether this role of a choice is no news."""
        return index in self._news and self._news[index].knows("role", role)

    def text(self, index: int, content: str) -> Optional[str]:
        """What of a choice's content is new."""
        return self._news[index].text("content", content)


def shape_of(output: Mapping[str, Any]) -> str:
    """The shape that an answer's output has, or nothing if it has none of the usual ones."""
    choices = output.get("choices")
    if isinstance(choices, list):
        messages = [choice.get("message") for choice in choices if isinstance(choice, dict)]
        listed = any(isinstance(message, dict) and isinstance(message.get("content"), list) for message in messages)
        return PARTS if listed else MESSAGE
    return TEXT if "text" in output or "finish_reason" in output else ""


def used_keys(output: Mapping[str, Any]) -> FrozenSet[str]:
    """The keys of an output that its choices are read from."""
    if isinstance(output.get("choices"), list):
        return frozenset(("choices",))
    return frozenset(("choices", *(("text", "finish_reason") if shape_of(output) else ("message",))))


def choices_of(output: Mapping[str, Any]) -> List[Wire]:
    """The choices of an answer, whatever its shape."""
    choices = output.get("choices")
    if isinstance(choices, list):
        return [choice for choice in choices if isinstance(choice, dict)]
    if "text" in output or "finish_reason" in output:
        message = {"role": "assistant", "content": output.get("text")}
        return [{"index": 0, "message": message, "finish_reason": output.get("finish_reason")}]
    phase = output.get("message")
    if isinstance(phase, dict):  # research models: phases of one answer (spec 4.5)
        done = phase.get("phase") == "answer" and phase.get("status") == "finished"
        return [{"index": 0, "message": phase, "finish_reason": "stop" if done else None}]
    return []


def _with_refusal(logprobs: Any) -> Any:
    """OpenAI's has two lists, of which one is null."""
    return {"refusal": None, **logprobs} if isinstance(logprobs, dict) and logprobs else logprobs
