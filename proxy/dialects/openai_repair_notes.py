"""What every repair needs: a note of what was mended, JSON that is read leniently and written strictly, and the head.

It knows what whole replies and chunks have in common; nothing of choices.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import msgspec

from proxy.chat.slots import index_of, word
from proxy.dialects.openai_reasons import said_reason
from proxy.dialects.openai_sound import UNREADABLE, Head
from proxy.framing import Frame
from proxy.framing.sse import LINE_END

NOT_JSON = "not_json"  # the name of a repair: data that nobody can read is left out


class Notes:
    """Which repairs were made, by name, in the order of their first appearance, and how often."""

    def __init__(self, counts: Optional[Dict[str, int]] = None) -> None:
        self.counts: Dict[str, int] = {} if counts is None else counts
        self.touched = False

    def mended(self, name: str) -> None:
        """Note one repair; what is being read now leaves in other bytes than it came in."""
        self.counts[name] = self.counts.get(name, 0) + 1
        self.touched = True


def read_object(data: bytes, notes: Notes) -> Optional[Dict[str, Any]]:
    """The JSON object in ``data``, None if there is none.

    What only lenient readers accept is read too: half a surrogate pair in an escape, and NaN, which becomes null.
    """
    try:
        value = msgspec.json.decode(data)
    except UNREADABLE:
        value = _read_leniently(data, notes)
    return value if isinstance(value, dict) else None


def _read_leniently(data: bytes, notes: Notes) -> Any:
    odd: List[str] = []
    try:
        value = json.loads(data, parse_constant=odd.append)
    except (ValueError, RecursionError):
        return None
    if odd and isinstance(value, dict):
        notes.mended("json")
    return value


def skip_unreadable(data: bytes, counts: Optional[Dict[str, int]]) -> None:
    """Count data that cannot be read and is left out for that (spec 1.6(a)); to say ``[DONE]`` says something."""
    if counts is not None and data and not data.startswith(b"[DONE]"):
        counts[NOT_JSON] = counts.get(NOT_JSON, 0) + 1


def write_data(data: bytes) -> bytes:
    """A frame that says ``data`` and nothing else."""
    return b"data: " + data + b"\n\n"


def respell(frame: Frame, data: bytes) -> bytes:
    """The frame with other data: its event name, its comments and its id stay."""
    if not (frame.event or frame.comment or frame.id):
        return write_data(data)
    kept = [line for line in LINE_END.split(frame.raw) if line and line.partition(b":")[0] != b"data"]
    return b"\n".join([*kept, write_data(data)])


def mend_head(said: Dict[str, Any], head: Head, fallback: Head, notes: Notes) -> None:
    """Give a chunk or a reply its id, object, created and model (C54): the first that said something, ever after.

    ``head`` learns what it does not know yet; where nothing is said at all, ``fallback`` is.
    """
    head.id = head.id or word(said, "id") or fallback.id
    head.created = head.created or seconds(said.get("created")) or fallback.created
    head.model = head.model or word(said, "model") or fallback.model
    for name in ("id", "object", "created", "model"):
        due, found = getattr(head, name), said.get(name)
        if found != due or type(found) is not type(due):
            said[name] = due
            notes.mended(name)


def seconds(value: Any) -> int:
    """Whole Unix seconds from a number or its text; 0 for anything else."""
    if isinstance(value, str) and value.isdecimal():
        return int(value) if len(value) < 16 else 0
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e15
    return int(value) if known else 0


def reason_of(choice: Dict[str, Any]) -> Optional[str]:
    """What a choice says of its end, under any of the names in use (C28)."""
    details = choice.get("finish_details")
    named = (
        choice.get("finish_reason"),
        choice.get("finishReason"),
        details.get("type") if isinstance(details, dict) else None,
    )
    return next((said for said in map(said_reason, named) if said), None)


def place_of(choice: Dict[str, Any], position: int, notes: Notes) -> int:
    """A choice's index, which is written where it is missing, or no number from 0 (C54)."""
    index, said = index_of(choice, position), choice.get("index")
    if said != index or type(said) is not int:
        choice["index"] = index
        notes.mended("index")
    return index
