"""One choice of a stream, as far as the client has been told of it: what its next piece has to look like."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

from proxy.chat.merge import news_of
from proxy.chat.slots import word
from proxy.dialects.openai_choice import TEXTS
from proxy.dialects.openai_reasons import mended_reason, missing_reason, said_reason
from proxy.dialects.openai_repair_calls import Calls
from proxy.dialects.openai_repair_notes import Notes, reason_of

# A delta that brings one of these says something to a person or a program; a role or an unknown key alone does not.
SAYING = (
    "content",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking",
    "refusal",
    "tool_calls",
    "function_call",
    "audio",
    "annotations",
    "images",
)


class Told:
    """What was said in one choice: by the provider (``begun``), to the client (``role``), in words, and to its end.

    ``cumulative``: the provider repeats all text so far with every piece (C25).
    """

    def __init__(self, index: int, named_tool: Optional[str] = None) -> None:
        self.index = index
        self.cumulative = False
        self.begun = False
        self.role = False
        self.talking = False
        self.finished = False
        self._named_tool = named_tool
        self._calls = Calls(index)
        self._listed: Dict[str, int] = {}
        self._message: Dict[str, str] = {}
        self._texts: Dict[str, str] = {}

    def observe(self, choice: Dict[str, Any]) -> None:
        """Take note of a piece that leaves as it is."""
        self.begun = True
        self.talking = self.talking or says_something(choice)
        self.finished = self.finished or said_reason(choice.get("finish_reason")) is not None

    def mend(self, choice: Dict[str, Any], reply_id: str, notes: Notes) -> None:
        """Mend a chat choice in place."""
        delta = self._mend_delta(choice, notes)
        if delta.get("tool_calls") is not None:
            self._calls.mend(delta, reply_id, notes)
        if isinstance(delta.get("function_call"), dict):
            self._calls.mend_function(delta, notes)
        self._mend_lists(delta, notes)
        choice["delta"] = self._mend_role(delta, notes)
        self.mend_reason(choice, notes)
        self.observe(choice)

    def mend_text(self, choice: Dict[str, Any], notes: Notes) -> None:
        """Mend a choice of legacy completions in place."""
        if not isinstance(choice.get("text"), str):
            choice["text"] = ""
            notes.mended("text")
        self._mend_texts(choice, ("text",), notes)
        self.mend_reason(choice, notes)
        self.observe(choice)

    def mend_reason(self, choice: Dict[str, Any], notes: Notes) -> None:
        """The finish reason is always there: null, or OpenAI's word for what the provider said (C28, C29)."""
        said = reason_of(choice)
        due = mended_reason(said, self._calls.kinds(), self._named_tool) if said else None
        if "finish_reason" not in choice or choice["finish_reason"] != due:
            choice["finish_reason"] = due
            notes.mended("finish_reason")

    def missing_reason(self) -> str:
        """What to say where the provider ended this choice without a reason."""
        return missing_reason(self._calls.kinds())

    def _mend_delta(self, choice: Dict[str, Any], notes: Notes) -> Dict[str, Any]:
        """The delta, put there if it is missing (C27): empty, or what a message in its place says that is new."""
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._mend_texts(delta, TEXTS, notes)
            return delta
        notes.mended("empty_delta")
        message = choice.get("message")
        return self._unsaid(message) if isinstance(message, dict) else {}

    def _mend_texts(self, said: Dict[str, Any], keys: Iterable[str], notes: Notes) -> None:
        """Of texts that repeat what came before, only what is new (C25)."""
        for key in keys if self.cumulative else ():
            text = word(said, key)
            if text:
                before, self._texts[key] = self._texts.get(key, ""), text
                news = news_of(text, before)
                if news != text:
                    said[key] = news
                    notes.mended("cumulative")

    def _unsaid(self, message: Dict[str, Any]) -> Dict[str, Any]:
        """What of a message, sent where deltas belong, is new: it may hold all the text so far (spec 1.6(g)).

        One that comes after deltas only sums them up.
        """
        if self.talking and not self._message:
            return {}
        delta = {}
        for key, value in message.items():
            told = self._message.get(key, "")
            if not isinstance(value, str):
                delta[key] = value
            elif value.startswith(told):
                delta[key], self._message[key] = value[len(told) :], value
        return delta

    def _mend_role(self, delta: Dict[str, Any], notes: Notes) -> Dict[str, Any]:
        """The role comes with the first delta and never again, for clients append it to itself (C17, C54)."""
        if not self.role:
            self.role = True
            if word(delta, "role"):
                return delta
            notes.mended("role")
            return {**delta, "role": "assistant"}
        if "role" in delta:
            del delta["role"]
            notes.mended("role")
        return delta

    def _mend_lists(self, delta: Dict[str, Any], notes: Notes) -> None:
        """Number the entries of a list that goes on: the SDK joins lists by ``index`` and fails where it is missing."""
        for key, value in delta.items():
            if not isinstance(value, list) or key == "tool_calls":
                if value is not None:
                    self._listed.setdefault(key, -1)
                continue
            count = self._listed.setdefault(key, 0)
            if count > 0:
                self._number(value, count, notes)
            if count >= 0:
                self._listed[key] = max([count + len(value), *_indices(value)])

    @staticmethod
    def _number(entries: List[Any], count: int, notes: Notes) -> None:
        for position, entry in enumerate(entries):
            if isinstance(entry, dict) and not isinstance(entry.get("index"), int):
                entry["index"] = count + position
                notes.mended("list_index")


def says_something(choice: Dict[str, Any]) -> bool:
    """Whether a piece brings words, a call, sound or an end: what a status line may wait for."""
    said = choice.get("delta") or choice.get("message")
    if isinstance(said, dict) and any(said.get(key) for key in SAYING):
        return True
    return bool(choice.get("text")) or said_reason(choice.get("finish_reason")) is not None


def _indices(entries: List[Any]) -> List[int]:
    return [entry["index"] + 1 for entry in entries if isinstance(entry, dict) and isinstance(entry.get("index"), int)]
