"""What is new in a frame: a provider tells either only that, or everything so far in each frame (spec 4.5, C25).

Which of the two is known from the ask, or seen in the second frame: where the first one's text is told again and goes
on, everything is. Empty texts, which stand in every frame, are news only once.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

from proxy.chat.slots import index_of, inner_of, text_of, word
from proxy.dialects.dashscope_forms import CUMULATIVE, INCREMENTAL, UNKNOWN

Wire = Dict[str, Any]

SPEECH = ("data", "transcript")  # what grows of it


class Manner:
    """How one stream is told; ``rewritten`` is called where a text is not what it was before (nothing is told then)."""

    def __init__(self, word: str, rewritten: Callable[[], None]) -> None:
        self.word = word
        self.rewritten = rewritten

    @property
    def repeats(self) -> bool:
        """Whether each frame may tell everything so far."""
        return self.word != INCREMENTAL


class News:
    """What was told of one choice so far."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._seen: Set[str] = set()
        self._texts: Dict[str, str] = {}
        self._parts: List[Any] = []
        self._others: Wire = {}
        self._arguments: Dict[Any, str] = {}
        self._logprobs: Dict[str, List[Any]] = {}

    def text(self, key: str, value: str) -> Optional[str]:
        """The new part of a text; None if there is none."""
        first = key not in self._seen
        self._seen.add(key)
        if not value:
            return "" if first else None
        if not self._manner.repeats:
            return value
        return self._rest(self._texts, key, value)

    def parts(self, value: List[Any]) -> Optional[List[Any]]:
        """The new ones of a list of parts; None if there are none."""
        before = self._parts
        if self._manner.repeats and not before and self._texts.get("content"):
            self._parts = value
            return self._after_text(value, self._texts["content"])
        if self._manner.repeats and before and value[: len(before)] == before:
            value = value[len(before) :]
            self._parts = before + value
            return value or None
        self._parts = value
        return value

    @staticmethod
    def _after_text(value: List[Any], told: str) -> List[Any]:
        """A list that begins with the text that was told before there was a list."""
        text = value[0].get("text") if value and isinstance(value[0], dict) else None
        if not (isinstance(text, str) and text.startswith(told)):
            return value
        rest = text[len(told) :]
        return [{**value[0], "text": rest}, *value[1:]] if rest else value[1:]

    def audio(self, said: Wire) -> Wire:
        """Speech without what was heard before; what names it may come again."""
        if not self._manner.repeats:
            return said
        texts = {key: said[key] for key in SPEECH if isinstance(said.get(key), str)}
        fresh = {key: self._rest(self._texts, f"audio.{key}", text) for key, text in texts.items()}
        return {**said, **{key: text or "" for key, text in fresh.items()}}

    def knows(self, key: str, value: Any) -> bool:
        """Whether this is the value that nobody knows which was there before."""
        return key in self._others and bool(self._others[key] == value)

    def is_other(self, key: str, value: Any) -> bool:
        """Whether a value that nobody knows is another than before: whatever is constant stands in every frame."""
        if self.knows(key, value):
            return False
        self._others[key] = value
        return True

    def calls(self, items: List[Any]) -> List[Any]:
        """The calls with what is new of their arguments."""
        if not self._manner.repeats:
            return items
        return [self._call(item) if isinstance(item, dict) else item for item in items]

    def logprobs(self, said: Any) -> Any:
        """Log probabilities of what is new."""
        if not isinstance(said, dict) or not self._manner.repeats:
            return said
        fresh = {}
        for name, values in said.items():
            if isinstance(values, list):
                before, self._logprobs[name] = self._logprobs.get(name, []), values
                values = values[len(before) :] if values[: len(before)] == before else values
            fresh[name] = values
        return fresh

    def _call(self, item: Wire) -> Wire:
        key: Any = word(item, "id") or index_of(item, 0)
        text = text_of(inner_of(item).get("arguments"))
        if not text:
            return item
        if self._manner.word == UNKNOWN and not word(item, "id"):
            self._manner.word = INCREMENTAL  # A piece without its call's id is no repetition of the call.
            return item
        rest = self._rest(self._arguments, key, text)
        return {**item, "function": {**inner_of(item), "arguments": rest or ""}}

    def _rest(self, known: Dict[Any, str], key: Any, value: str) -> Optional[str]:
        before = known.get(key, "")
        if value.startswith(before):
            if before and len(value) > len(before):
                self._manner.word = CUMULATIVE
            known[key] = value
            return value[len(before) :] or None
        if self._manner.word == UNKNOWN:
            self._manner.word = INCREMENTAL
            return value
        self._manner.rewritten()
        return None
