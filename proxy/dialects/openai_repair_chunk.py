"""The chunks of one stream: what all of them say alike, and the choices they open, continue and finish."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from proxy.chat.ask import Ask
from proxy.chat.slots import index_of, word
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_ask import MOST_CHOICES, asked_choices
from proxy.dialects.openai_chunks import is_cumulative
from proxy.dialects.openai_repair_choice import Told
from proxy.dialects.openai_repair_notes import Notes, mend_head, place_of, write_data
from proxy.dialects.openai_sound import Head


class Chunks:
    """What the client has been told so far, and how the next chunk continues it.

    ``talking`` are the choices that have said something: what they say next is most likely sound. ``cumulative``: it is
    not, for the provider repeats all text so far with every chunk (C25); a switch, or known of the model.
    """

    def __init__(self, fallback: Head, ask: Ask, completions: bool, notes: Notes, cumulative: bool = False) -> None:
        self.head = Head(fallback.object)
        self.talking: Dict[int, Told] = {}
        self._fallback = fallback
        self.cumulative = cumulative
        self._named_tool = ask.named_tool
        self._due = asked_choices(ask)
        self._completions = completions
        self._notes = notes
        self._told: Dict[int, Told] = {}

    @property
    def finished(self) -> bool:
        """Whether as many choices as were asked for began, and each that did has its finish reason."""
        begun = [told for told in self._told.values() if told.begun]
        return len(begun) >= self._due and all(told.finished for told in begun)

    def observe(self, chunk: Dict[str, Any]) -> None:
        """Take note of a chunk that leaves as it is."""
        head = self.head
        head.id, head.model = word(chunk, "id"), word(chunk, "model")
        head.object, head.created = word(chunk, "object"), chunk.get("created", 0)
        for position, choice in enumerate(_choices(chunk)):
            told = self._of(index_of(choice, position))
            told.observe(choice)
            self._hear(told)

    def mend(self, chunk: Dict[str, Any]) -> bytes:
        """Mend a chunk in place; the bytes are frames that have to leave before it."""
        choices = self._mend_choices(chunk)
        # The first of some streams only brings filter results, under an empty id: nothing begins there (C27).
        if choices or self.head.id or word(chunk, "id"):
            mend_head(chunk, self.head, self._fallback, self._notes)
        self.cumulative = self.cumulative or is_cumulative(self.head.model)
        indices = [place_of(choice, position, self._notes) for position, choice in enumerate(choices)]
        opening = b"" if self._told.keys() >= set(indices) else self._lead_up(indices)
        for index, choice in zip(indices, choices):
            told = self._of(index)
            told.cumulative = self.cumulative
            if self._completions:
                told.mend_text(choice, self._notes)
            else:
                told.mend(choice, self.head.id, self._notes)
            self._hear(told)
        return opening

    def finish(self) -> bytes:
        """Frames that finish the choices which the provider began and left open (C28)."""
        return b"".join(self._finish(told) for told in self._told.values() if told.begun and not told.finished)

    def _hear(self, told: Told) -> None:
        if told.talking:
            self.talking[told.index] = told

    def _of(self, index: int) -> Told:
        told = self._told.get(index)
        if told is None:
            told = self._told[index] = Told(index, self._named_tool)
        return told

    def _mend_choices(self, chunk: Dict[str, Any]) -> List[Dict[str, Any]]:
        kept = _choices(chunk)
        if kept != chunk.get("choices"):
            chunk["choices"] = kept
            self._notes.mended("choices")
        return kept

    def _lead_up(self, indices: List[int]) -> bytes:
        """Open choices so that none comes before a lower one: the SDK appends a new choice, whatever its index."""
        top = max(indices)
        if self._completions or top > MOST_CHOICES:
            return b""
        fresh = [index for index in range(top + 1) if index not in self._told]
        if [index for index in indices if index not in self._told] == fresh and len(set(indices)) == len(indices):
            return b""
        return b"".join(self._open(index) for index in (fresh if len(indices) > 1 else fresh[:-1]))

    def _open(self, index: int) -> bytes:
        self._of(index).role = True
        self._notes.counts["choice"] = self._notes.counts.get("choice", 0) + 1
        return self._frame(index, {"delta": {"role": "assistant", "content": ""}}, None)

    def _finish(self, told: Told) -> bytes:
        told.finished = True
        reason = told.missing_reason()
        self._notes.mended("finish_reason")
        return self._frame(told.index, {"text": ""} if self._completions else {"delta": {}}, reason)

    def _frame(self, index: int, saying: Dict[str, Any], reason: Optional[str]) -> bytes:
        head = self.head
        choice = {"index": index, **saying, "finish_reason": reason}
        said = {"id": head.id, "object": head.object, "created": head.created, "model": head.model, "choices": [choice]}
        return write_data(write_json(said))


def _choices(chunk: Dict[str, Any]) -> List[Dict[str, Any]]:
    found = chunk.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []
