"""The calls of one choice: pieces of them on the wire as events, whatever form they come in (spec 1.6(h), C13-C20)."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, Optional

from msgspec import Struct, field

from proxy.chat.events import Event, ToolArguments, ToolCall
from proxy.chat.slots import UNNUMBERED, Slot, Slots, call_id, inner_of, kinds_of, text_of
from proxy.dialects.openai_deltas import argument_key, object_key

CALL_KEYS = frozenset(("id", "type"))
PIECE_KEYS = CALL_KEYS | {"index"}
INNER_KEYS = frozenset(("name", "arguments", "input"))


class Terms(Struct):
    """What counts for all choices of one answer; ``repairs`` counts what was mended, by name."""

    repair: bool
    cumulative: bool = False
    named_tool: Optional[str] = None
    reply_id: str = ""
    repairs: Dict[str, int] = field(default_factory=dict)

    def mended(self, name: str) -> None:
        """Take down one more repair of that name."""
        self.repairs[name] = self.repairs.get(name, 0) + 1


class Calls:
    """The calls of one choice under way."""

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._slots = Slots()
        self._legacy = Slot(UNNUMBERED, kind="function_call")

    @property
    def kinds(self) -> List[str]:
        """The kinds of the calls made so far."""
        return kinds_of(self._slots, self._legacy)

    def read(self, key: str, value: Any, whole: bool, terms: Terms) -> Optional[List[Event]]:
        """The events of ``tool_calls`` or ``function_call``; None where the value says nothing at all.

        ``whole``: it stands in a whole message, where the place in the list tells the calls apart, and nothing else.
        """
        if key == "function_call":
            says = isinstance(value, dict) and (any(value.values()) or value.keys() - INNER_KEYS)
            return self._read_legacy(value) if says else None
        if not isinstance(value, list) or not value:
            return None
        events: List[Event] = []
        for place, item in enumerate(value):
            if isinstance(item, dict):
                slot = self._slots.at(place) if whole else self._slots.place(item)
                self._read_item(
                    slot, rest_of(item, slot) if whole else item, CALL_KEYS if whole else PIECE_KEYS, terms, events
                )
        return events

    def _read_item(
        self, slot: Slot, item: Mapping[str, Any], known: FrozenSet[str], terms: Terms, events: List[Event]
    ) -> None:
        piece = slot.take(item)
        own = object_key(slot.kind)
        extra = {key: value for key, value in item.items() if key not in known and key != own}
        inner = {key: value for key, value in inner_of(item).items() if key not in INNER_KEYS}
        if piece is None and not (extra or inner):
            return
        identity, name = (piece.id, piece.name) if piece else ("", "")
        if terms.repair and not slot.id:
            terms.mended("tool_call_id")
            identity = slot.id = call_id(terms.reply_id, self._choice, slot.number)
        if identity or name or extra or inner or (piece and piece.head):
            events.append(ToolCall(slot.number, identity, name, slot.kind, self._choice, extra, inner))
        if piece and piece.text:
            events.append(ToolArguments(slot.number, piece.text, self._choice))

    def _read_legacy(self, value: Mapping[str, Any]) -> List[Event]:
        slot = self._legacy
        piece = slot.take({"function": value})
        inner = {key: said for key, said in value.items() if key not in INNER_KEYS}
        events: List[Event] = []
        if inner or (piece and (piece.head or piece.name)):
            events.append(ToolCall(UNNUMBERED, "", piece.name if piece else "", slot.kind, self._choice, {}, inner))
        if piece and piece.text:
            events.append(ToolArguments(UNNUMBERED, piece.text, self._choice))
        return events


def rest_of(item: Mapping[str, Any], slot: Slot) -> Mapping[str, Any]:
    """A call of a whole message that was told in part already: the same call with the rest of its arguments."""
    key = object_key(slot.kind)
    text = text_of(inner_of(item).get(argument_key(slot.kind)))
    if not slot.size or not text.startswith(slot.arguments):
        return item
    return {**item, key: {**inner_of(item), argument_key(slot.kind): text[slot.size :]}}
