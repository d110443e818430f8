"""One choice of a provider's answer: what each chunk of it says, as events (spec 1.6(d) to (i))."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Set

from proxy.chat import events as ev
from proxy.chat.merge import ALWAYS_GROWING, news_of
from proxy.chat.unfold import AUDIO_FIELDS
from proxy.dialects.openai_calls import Calls, Terms
from proxy.dialects.openai_logprobs import own_tokens
from proxy.dialects.openai_reasons import mended_reason, missing_reason, said_reason

REASONING = ("reasoning_content", "reasoning", "thinking")
TEXTS = frozenset((*REASONING, "content", "refusal"))
CHOICE_KEYS = frozenset(("index", "delta", "message", "logprobs", "finish_reason"))
GROWING = ("tool_calls", "function_call")
BARE_KEYS = CHOICE_KEYS | {"text"}  # the older completions have their text where others have a delta
_NEVER = object()

Wire = Mapping[str, Any]


class ChoiceReading:
    """One choice under way: what was said already, so that only news become events.

    ``lengths``: of its texts so far, by their keys.
    """

    def __init__(self, index: int, terms: Terms) -> None:
        self.index = index
        self.opened = False
        self.reason: Optional[str] = None
        self._terms = terms
        self._calls = Calls(index)
        self._blanks: Dict[str, Any] = {}
        self._notes: Set[str] = set()
        self._extra: Dict[str, Any] = {}
        self.lengths: Dict[str, int] = {}
        self._texts: Dict[str, str] = {}
        self._held = False

    def read(self, choice: Wire, out: List[ev.Event]) -> None:
        """Add to ``out`` what one chunk says about this choice; log probabilities come before their text."""
        delta, message = choice.get("delta"), choice.get("message")
        whole = isinstance(message, dict) and not (isinstance(delta, dict) and delta)
        bare = not whole and "text" in choice and "delta" not in choice
        body: Any = self._fresh(message or {}) if whole else {"content": choice["text"]} if bare else delta
        said = body if isinstance(body, dict) else {}
        if not self.opened and not self._open(choice, said, out):
            return
        self._beside(choice, BARE_KEYS if bare else CHOICE_KEYS, out)
        if said:
            self._read_delta(said, whole, out)
        if choice.get("finish_reason") is not None or (self._terms.repair and "finishReason" in choice):
            self._finish(choice, out)

    def close(self, out: List[ev.Event]) -> None:
        """The provider ended the answer: a choice without a reason gets the likely one, where repair is on."""
        if self.opened and self.reason is None and self._terms.repair:
            self._terms.mended("finish_reason")
            self._end(missing_reason(self._calls.kinds), out)

    def _open(self, choice: Wire, said: Wire, out: List[ev.Event]) -> bool:
        """A choice begins with the first chunk that says anything about it."""
        begins = said or isinstance(choice.get("message"), dict)
        if not (begins or choice.get("finish_reason") or choice.keys() - CHOICE_KEYS or choice.get("logprobs")):
            return False
        role = said.get("role")
        out.append(ev.Opened(self.index, role if isinstance(role, str) and role else "assistant"))
        self.opened = True
        return True

    def _beside(self, choice: Wire, known: FrozenSet[str], out: List[ev.Event]) -> None:
        """What stands beside the delta: log probabilities, and keys that nobody knows."""
        extra = {}
        for key, value in choice.items():
            if key not in known:
                if key in ALWAYS_GROWING and value is not None:
                    extra[key] = value
                elif is_news(self._extra, key, value):
                    extra[key] = self._extra[key] = value
        if "logprobs" in choice:
            value = own_tokens(choice["logprobs"]) if known is BARE_KEYS else choice["logprobs"]
            if isinstance(value, dict) and value:
                out.append(ev.Logprobs(value, self.index))
            else:
                self._blank("logprobs", value, out)
        if extra:
            out.append(ev.Noted("choice", extra, self.index))

    def _read_delta(self, delta: Wire, whole: bool, out: List[ev.Event]) -> None:
        note = {}
        for key, value in delta.items():
            if key == "content":
                self._read_content(value, out)
            elif key in REASONING or key == "refusal":
                self._read_text(key, value, out)
            elif key == "tool_calls" or key == "function_call":
                self._read_calls(key, value, whole, out)
            elif key == "audio":
                self._read_audio(value, out)
            elif key != "role" and (value is not None or key not in self._notes):
                self._notes.add(key)
                note[key] = value
        if note:
            out.append(ev.Noted("message", note, self.index))

    def _read_content(self, value: Any, out: List[ev.Event]) -> None:
        if isinstance(value, list) and value and self._terms.repair and all(map(_is_plain, value)):
            value = "".join(part["text"] for part in value)
        if value is None or value == "" or value == []:
            self._read_blank_content(value, out)
        elif not isinstance(value, str):
            self._held = False
            self._notes.add("content")
            out.append(ev.Part(value, self.index))
        else:
            text = self._new_part("content", value)
            if text:
                self._held = False
                out.append(ev.Text(text, self.index))

    def _read_blank_content(self, value: Any, out: List[ev.Event]) -> None:
        """An empty text waits, where repair is on: beside a call it is null, for strict clients (spec 1.6(i))."""
        if self._terms.repair and value is not None:
            self._held = "content" not in self.lengths
        else:
            self._held = False
            self._blank("content", value, out)

    def _settle(self, value: Any, out: List[ev.Event]) -> None:
        """Nothing but an empty content came until now; say it as it shall be."""
        if self._held:
            self._held = False
            self._blank("content", value, out)

    def _read_text(self, key: str, value: Any, out: List[ev.Event]) -> None:
        if not (isinstance(value, str) and value):
            self._blank(key, value, out)
            return
        text = self._new_part(key, value)
        if text and key == "refusal":
            self._settle(None, out)
            out.append(ev.Refusal(text, self.index))
        elif text:
            out.append(ev.Reasoning(text, self.index, key))

    def _read_calls(self, key: str, value: Any, whole: bool, out: List[ev.Event]) -> None:
        events = self._calls.read(key, value, whole, self._terms)
        if events is None:
            if value != [] or not self._terms.repair:
                self._blank(key, value, out)
        elif events:
            self._settle(None, out)
            out.extend(events)

    def _read_audio(self, value: Any, out: List[ev.Event]) -> None:
        if not isinstance(value, dict) or not (any(value.values()) or "audio" in self._notes):
            self._blank("audio", value, out)
            return
        self._settle(None, out)
        self._notes.add("audio")
        fields = {name: value[name] for name, kind in AUDIO_FIELDS.items() if isinstance(value.get(name), kind)}
        silent = {name for name in AUDIO_FIELDS if value.get(name) is None}
        extra = {name: said for name, said in value.items() if name not in fields and name not in silent}
        out.append(ev.Audio(choice=self.index, extra=extra, **fields))

    def _finish(self, choice: Wire, out: List[ev.Event]) -> None:
        raw = choice.get("finish_reason")
        reason = said_reason(raw)
        if reason is None and self._terms.repair:
            reason = said_reason(choice.get("finishReason"))
        if reason is None:
            if not self._terms.repair:
                self._blank("finish_reason", raw, out)
            return
        if self._terms.repair:
            mended = mended_reason(reason, self._calls.kinds, self._terms.named_tool)
            if mended != raw:
                self._terms.mended("finish_reason")
            reason = mended
        self._end(reason, out)

    def _end(self, reason: str, out: List[ev.Event]) -> None:
        self._settle("", out)
        if reason != self.reason:
            self.reason = reason
            out.append(ev.Finished(reason, self.index))

    def _blank(self, name: str, value: Any, out: List[ev.Event]) -> None:
        if is_news(self._blanks, name, value):
            self._blanks[name] = value
            out.append(ev.Blank(name, value, self.index))

    def _new_part(self, key: str, text: str) -> str:
        """What of this text is new: all of it, unless this provider repeats everything with every chunk (C25)."""
        if self._terms.cumulative:
            before, self._texts[key] = self._texts.get(key, ""), text
            text = news_of(text, before)
        self.lengths[key] = self.lengths.get(key, 0) + len(text)
        return text

    def _fresh(self, message: Wire) -> Wire:
        """What is new of a whole message that stands where a delta should: the rest of its texts, other keys once."""
        fresh: Dict[str, Any] = {}
        for key, value in message.items():
            length = self.lengths.get(key, 0)
            if key in TEXTS and isinstance(value, str) and length:
                fresh[key] = value if self._terms.cumulative else value[length:]
            elif key in GROWING or key in TEXTS or key not in self._notes:
                fresh[key] = value
        return {key: value for key, value in fresh.items() if value != "" or key not in self.lengths}


def is_news(known: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether a value is another than the last one under that key; null is none beside any other."""
    last = known.get(key, _NEVER)
    return last is _NEVER or (value is not None and (value != last or type(value) is not type(last)))


def _is_plain(part: Any) -> bool:
    """Whether a content part is text and nothing else."""
    if not isinstance(part, dict) or part.keys() != {"type", "text"}:
        return False
    return part["type"] == "text" and isinstance(part["text"], str)
