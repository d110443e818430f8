"""Which tool call does a piece belong to, and what of it is new? For one choice of one stream (C13-C20)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Dict, List, Mapping, Optional

import msgspec
from msgspec import Struct, field

UNNUMBERED = -1  # the slot of the deprecated function_call
RESPELLED = 8  # how much longer the same JSON may get by escapes and blanks


class Piece(Struct, frozen=True):
    """What one wire item adds to its call: an id and a name to set now (empty: nothing new), text to append.

    ``head`` marks the first piece of a call; a later piece may still bring an id or a name that the head did not have.
    """

    head: bool
    id: str
    name: str
    kind: str
    text: str


class Slot(Struct, eq=False):
    """One tool call as far as it is known; ``number`` is its place in the order of creation, from 0."""

    number: int
    id: str = ""
    name: str = ""
    kind: str = ""
    opened: bool = False
    pieces: List[str] = field(default_factory=list)
    size: int = 0

    @property
    def arguments(self) -> str:
        """The argument text so far."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    @property
    def whole(self) -> bool:
        """Whether the arguments are a complete JSON object, so that nothing can follow."""
        return bool(self.pieces) and self.pieces[-1].rstrip().endswith("}") and is_object(self.arguments)

    def take(self, call: Mapping[str, Any]) -> Optional[Piece]:
        """Record a wire item that ``place`` gave this slot; None if it says nothing new (C17-C19)."""
        inner = inner_of(call)
        head, self.kind = not self.opened, self.kind or kind_of(call)
        identity, name, text = self._new_id(call), self._new_name(inner), self._new_text(inner)
        if not (identity or name or text):
            return None
        self.opened = True
        self.id, self.name = self.id or identity, self.name + name
        if text:
            self.pieces.append(text)
            self.size += len(text)
        return Piece(head, identity, name, self.kind, text)

    def _new_id(self, call: Mapping[str, Any]) -> str:
        return "" if self.id else word(call, "id")

    def _new_name(self, inner: Mapping[str, Any]) -> str:
        """The name if there is none, or its next part: a name may be split as long as no arguments came."""
        name = word(inner, "name")
        if self.name and (self.size or name == self.name):
            return ""
        return name[len(self.name) :] if name.startswith(self.name) else name

    def _new_text(self, inner: Mapping[str, Any]) -> str:
        """Argument text to append; all of it sent once more at the end is nothing new (C18)."""
        text = text_of(inner.get("input" if self.kind == "custom" else "arguments"))
        # A repeat is about as long as what it repeats: asking this first keeps many small pieces cheap.
        likely = self.kind != "custom" and len(text) * RESPELLED >= self.size and text.lstrip().startswith("{")
        return "" if likely and self.whole and same_object(text, self.arguments) else text


class Slots:
    """The tool calls of one choice, in the order in which they were opened."""

    def __init__(self) -> None:
        self.all: List[Slot] = []
        self._by_index: Dict[int, Slot] = {}
        self._by_id: Dict[str, Slot] = {}

    def place(self, call: Mapping[str, Any]) -> Slot:
        """The slot a wire item belongs to (spec 1.6(h) rules 1-3); it is opened if there is none, and nothing else."""
        identity, name, index = word(call, "id"), word(inner_of(call), "name"), call.get("index")
        known = self._by_id.get(identity) if identity else None
        if isinstance(index, int):
            slot = self._indexed(index, known, identity, name, call)
            self._by_index[index] = slot
        else:
            slot = known or self._unnumbered(identity, name)
        if identity and not slot.id:
            self._by_id.setdefault(identity, slot)
        return slot

    def at(self, place: int) -> Slot:
        """The slot of a call in a whole message, where its place in the list is what counts."""
        while len(self.all) <= place:
            self.all.append(Slot(len(self.all)))
        return self.all[place]

    def _indexed(self, index: int, known: Optional[Slot], identity: str, name: str, call: Mapping[str, Any]) -> Slot:
        """A known id beats the index (C15); an id and a name on an occupied index are another call."""
        slot = self._by_index.get(index)
        if known:
            if slot is not None:
                return slot if slot.id == identity else known
            return known if name in ("", known.name) else self._open()
        if slot is None:  # a piece that names nothing goes on with the newest call (C15: its index was wrong)
            return self._open() if identity or name or not self.all else self.all[-1]
        return self._open() if self._another(slot, identity, name, call) else slot

    @staticmethod
    def _another(slot: Slot, identity: str, name: str, call: Mapping[str, Any]) -> bool:
        """Whether an item on an occupied index is the head of another call, not a repeated one (C17, C18)."""
        if not (name and slot.name):
            return False
        if identity:
            return bool(slot.id) or name != slot.name or slot.whole
        text = text_of(inner_of(call).get("arguments"))
        return slot.whole and (name != slot.name or (bool(text.strip()) and not same_object(text, slot.arguments)))

    def _unnumbered(self, identity: str, name: str) -> Slot:
        """Neither index nor known id: a new id opens a call, and so does a name once the last call is whole."""
        if not self.all or identity:
            return self._open()
        last = self.all[-1]
        return self._open() if name and last.name and last.whole else last

    def _open(self) -> Slot:
        """A new slot, or the last one if nothing was ever said in it (C19)."""
        if self.all and not self.all[-1].opened:
            return self.all[-1]
        self.all.append(Slot(len(self.all)))
        return self.all[-1]


def call_id(reply_id: str, choice: int, slot: int) -> str:
    """An id for a tool call that came without one (C20): the same for the same place in the same reply."""
    return "call_" + sha256(f"{reply_id}/{choice}/{slot}".encode("utf-8", "replace")).hexdigest()[:24]


def inner_of(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``function`` or ``custom`` object of a wire item, empty if there is none."""
    inner = call.get("custom" if kind_of(call) == "custom" else "function")
    return inner if isinstance(inner, dict) else {}


def kind_of(call: Mapping[str, Any]) -> str:
    """A call's ``type``: as said, else by the object it carries, else function."""
    custom = isinstance(call.get("custom"), dict) and not isinstance(call.get("function"), dict)
    return word(call, "type") or ("custom" if custom else "function")


def word(mapping: Mapping[str, Any], key: str) -> str:
    """The value if it is a string, else an empty one."""
    value = mapping.get(key)
    return value if isinstance(value, str) else ""


def index_of(choice: Mapping[str, Any], place: int) -> int:
    """Which choice this is: its ``index``, also where that is spelled as text, else its place (C54).

    True and numbers below 0 are no index, in a stream that is mended as in one that is folded.
    """
    index = choice.get("index")
    if isinstance(index, int) and not isinstance(index, bool) and index >= 0:
        return index
    text = index if isinstance(index, str) and len(index) < 5 else ""
    return int(text) if text.isdecimal() else place


def is_number(value: Any) -> bool:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kinds_of(slots: Slots, legacy: Slot) -> List[str]:
    """The kinds of the calls made so far, the deprecated one last: what a finish reason depends on."""
    return [slot.kind for slot in [*slots.all, legacy] if slot.opened]


def text_of(value: Any) -> str:
    """Argument text as the wire should have had it: objects are serialised compactly (C29), null is nothing."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def is_object(text: str) -> bool:
    """Whether a text is one complete JSON object."""
    return _decoded(text) is not None


def same_object(one: str, other: str) -> bool:
    """Whether two texts are the same JSON object, however it is spelled."""
    return one == other or ((said := _decoded(one)) is not None and said == _decoded(other))


def _decoded(text: str) -> Optional[Dict[str, Any]]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
