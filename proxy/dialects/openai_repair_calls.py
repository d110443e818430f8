"""Tool calls as strict clients need them: heads whole and said once, later pieces numbered and bare (C13-C20)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Set

from proxy.chat.slots import UNNUMBERED, Piece, Slot, Slots, call_id, inner_of, kinds_of, text_of, word
from proxy.dialects.openai_repair_notes import Notes

# What a wire item and the object in it may hold that is understood here; anything else has to reach the client.
ITEM_KEYS = frozenset({"index", "id", "type", "function", "custom"})
INNER_KEYS = frozenset({"name", "arguments", "input"})


class Calls:
    """The calls of one choice of a stream, as far as the client has been told of them."""

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._slots = Slots()
        self._told: Set[int] = set()
        self._legacy = Slot(UNNUMBERED, kind="function_call")

    def kinds(self) -> List[str]:
        """The kinds of the calls made so far: what a finish reason depends on."""
        return kinds_of(self._slots, self._legacy)

    def mend(self, delta: Dict[str, Any], reply_id: str, notes: Notes) -> None:
        """Mend a delta's ``tool_calls`` in place: items that say nothing new go, and so does an empty list (C19)."""
        found = delta["tool_calls"]
        items = found if isinstance(found, list) else [found]
        kept = [item for item in items if isinstance(item, dict) and self._mend_item(item, reply_id, notes)]
        if len({item["index"] for item in kept}) < len(kept):
            kept = _joined(kept)
            notes.mended("tool_call_pieces")
        if not kept:
            del delta["tool_calls"]
            notes.mended("tool_calls")
        elif kept != found:
            delta["tool_calls"] = kept
            notes.touched = True

    def mend_function(self, delta: Dict[str, Any], notes: Notes) -> None:
        """Mend a delta's deprecated ``function_call`` in place: name and arguments once, the latter as text (C18)."""
        call = delta["function_call"]
        piece = self._legacy.take({"function": call})
        says = bool(call.get("name") or call.get("arguments"))
        if piece is None and says and INNER_KEYS.issuperset(call):
            _drop(delta, "function_call", "tool_call_repeat", notes)
            return
        _mend_name(call, piece, notes)
        text = piece.text if piece else ""
        if call.get("arguments") is not None and call["arguments"] != text:
            call["arguments"] = text
            notes.mended("arguments")

    def _mend_item(self, item: Dict[str, Any], reply_id: str, notes: Notes) -> bool:
        """Mend one item in place; False if it has nothing to say."""
        slot = self._slots.place(item)
        piece = slot.take(item)
        silent = piece is None or not (piece.head or piece.name or piece.text)
        if silent and not _says_more(item):
            if slot.number in self._told and _is_bare(item, slot):
                return True
            notes.mended("tool_call_repeat")
            return False
        first = slot.number not in self._told
        inner = _mend_inner(item, slot, first, notes)
        if not first:
            _mend_later(item, inner, piece, notes)
        else:
            # Told of now, even if only unknown keys were said: a slot that is not opened would be given out again.
            slot.opened = True
            self._told.add(slot.number)
            _mend_first(item, inner, slot, call_id(reply_id, self._choice, slot.number), notes)
        _mend_arguments(inner, slot, piece, notes)
        if item.get("index") != slot.number or isinstance(item["index"], bool):
            item["index"] = slot.number
            notes.mended("tool_call_index")
        return True


def mend_text(inner: Dict[str, Any], key: str, notes: Notes) -> None:
    """Arguments that came as an object become the text they should have been (C29)."""
    if inner.get(key) is not None and not isinstance(inner[key], str):
        inner[key] = text_of(inner[key])
        notes.mended("arguments")


def mend_call(item: Dict[str, Any], kind: str, fallback_id: str, notes: Notes) -> None:
    """Give a call its id and type (C20); ``kind`` and ``fallback_id`` are for one that has none."""
    if not word(item, "id"):
        item["id"] = fallback_id
        notes.mended("tool_call_id")
    if not word(item, "type"):
        item["type"] = kind
        notes.mended("tool_call_type")


def _mend_first(item: Dict[str, Any], inner: Dict[str, Any], slot: Slot, fallback_id: str, notes: Notes) -> None:
    """The first a client hears of a call has id, type, name and arguments, be they empty (the SDK reads all four)."""
    mend_call(item, slot.kind, fallback_id, notes)
    key = "input" if slot.kind == "custom" else "arguments"
    for name, repair in (("name", "tool_call_name"), (key, "arguments")):
        if inner.get(name) is None:
            inner[name] = ""
            notes.mended(repair)


def _mend_later(item: Dict[str, Any], inner: Dict[str, Any], piece: Optional[Piece], notes: Notes) -> None:
    """Nothing is said twice of a call, for clients append what they are told (C17); only a name may come late."""
    _drop(item, "id", "tool_call_id", notes)
    _drop(item, "type", "tool_call_type", notes)
    if piece is None or not piece.name:
        _drop(inner, "name", "tool_call_name", notes)
    else:
        _mend_name(inner, piece, notes)


def _mend_name(inner: Dict[str, Any], piece: Optional[Piece], notes: Notes) -> None:
    """Of a name that is said again, only what is new of it."""
    name = piece.name if piece else ""
    if not word(inner, "name") or inner["name"] == name:
        return
    if name:
        inner["name"] = name
        notes.mended("tool_call_name")
    else:
        _drop(inner, "name", "tool_call_name", notes)


def _mend_inner(item: Dict[str, Any], slot: Slot, first: bool, notes: Notes) -> Dict[str, Any]:
    """The item's ``function`` or ``custom`` object, put there if missing, but not for foreign kinds of calls."""
    if slot.kind not in ("function", "custom") and not inner_of(item):
        return {"name": "", "arguments": ""} if first else {}
    name = "custom" if slot.kind == "custom" else "function"
    if not isinstance(item.get(name), dict):
        item[name] = {}
        notes.mended("tool_call_" + name)
    inner: Dict[str, Any] = item[name]
    return inner


def _mend_arguments(inner: Dict[str, Any], slot: Slot, piece: Optional[Piece], notes: Notes) -> None:
    """Argument text, and only what is new of it (C18, C29)."""
    key = "input" if slot.kind == "custom" else "arguments"
    text = piece.text if piece else ""
    if (inner.get(key) or "") != text:
        inner[key] = text
        notes.mended("arguments")


def _joined(items: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """One item for each call: the SDK (2.2) takes two pieces of one call in a first delta for two calls."""
    joined: Dict[int, Dict[str, Any]] = {}
    for item in items:
        first = joined.setdefault(item["index"], item)
        for key, value in item.items() if first is not item else ():
            if isinstance(value, dict) and isinstance(first.get(key), dict):
                _append(first[key], value)
            else:
                first[key] = value
    return list(joined.values())


def _append(inner: Dict[str, Any], piece: Dict[str, Any]) -> None:
    """Text is added to text, anything else takes the place of what was there."""
    for name, said in piece.items():
        if said is not None:
            inner[name] = (word(inner, name) + said) if isinstance(said, str) else said


def _is_bare(item: Dict[str, Any], slot: Slot) -> bool:
    """An empty piece as sound streams have it: no harm in it."""
    bare = {"custom": {"input": ""}} if slot.kind == "custom" else {"function": {"arguments": ""}}
    return item == {"index": slot.number, **bare}


def _says_more(item: Dict[str, Any]) -> bool:
    return not (ITEM_KEYS.issuperset(item) and INNER_KEYS.issuperset(inner_of(item)))


def _drop(mapping: Dict[str, Any], key: str, name: str, notes: Notes) -> None:
    if key in mapping:
        del mapping[key]
        notes.mended(name)
