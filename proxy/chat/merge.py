"""How values of which nothing is known grow together (spec 1.6(c), (f)): nothing is lost, nothing is invented (C31).

No value that was handed in is ever changed; events stay what they were.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Dict, List, Mapping, Sequence

CUMULATIVE_LENGTH, CUMULATIVE_TIMES = 16, 3
FIRST = {"id", "type", "name", "object", "status", "phase", "format", "signature", "tool_call_id"}
LAST = {"channel", "expires_at"}  # repeated with every token by those who send it; a time, be it text
ALWAYS_GROWING = {"token_ids"}
DETAILS = "reasoning_details"
DETAIL_TEXTS = ("text", "summary", "data")


def merge_into(bag: Dict[str, Any], extra: Mapping[str, Any], *, grow: bool) -> None:
    """Add unknown keys to ``bag``. ``grow``: strings append and lists extend (deltas); else the last one counts."""
    for key, value in extra.items():
        bag[key] = _merged(key, bag[key], value, grow) if key in bag else value


def _merged(key: str, old: Any, new: Any, grow: bool) -> Any:
    if new is None or old is None:
        return old if new is None else new
    if isinstance(old, dict) and isinstance(new, dict):
        both = dict(old)
        merge_into(both, new, grow=grow)
        return both
    if not (grow or key in ALWAYS_GROWING) or key in LAST:
        return new
    if isinstance(old, list) and isinstance(new, list):
        return join_details(old, new) if key == DETAILS else old + new
    if isinstance(old, str) and isinstance(new, str):
        return (old or new) if key in FIRST else old + new
    return new


def join_details(old: List[Any], new: List[Any]) -> List[Any]:
    """Reasoning details: a first item that goes on with the last one (same index, type and id) joins its texts."""
    if not (old and new and _goes_on(old[-1], new[0])):
        return old + new
    joined = dict(old[-1])
    for key, value in new[0].items():
        text = key in DETAIL_TEXTS and isinstance(value, str) and isinstance(joined.get(key), str)
        joined[key] = joined[key] + value if text else joined.get(key) if value is None else value
    return [*old[:-1], joined, *new[1:]]


def _goes_on(last: Any, first: Any) -> bool:
    if not (isinstance(last, dict) and isinstance(first, dict)):
        return False
    same = last.get("index") == first.get("index") and last.get("type") == first.get("type")
    return same and (not last.get("id") or not first.get("id") or last["id"] == first["id"])


def join_parts(old: List[Any], new: List[Any]) -> List[Any]:
    """Content parts: where one list goes on with the same kind of part as the other ended with, the two become one."""
    if old and new and isinstance(old[-1], dict) and isinstance(new[0], dict):
        kind = old[-1].get("type")
        one, other = old[-1].get(kind), new[0].get(kind)
        if isinstance(kind, str) and {**old[-1], kind: None} == {**new[0], kind: None}:
            if isinstance(one, str) and isinstance(other, str):
                return [*old[:-1], {**old[-1], kind: one + other}, *new[1:]]
            if isinstance(one, list) and isinstance(other, list):
                return [*old[:-1], {**old[-1], kind: join_parts(one, other)}, *new[1:]]
    return old + new


def join_text(pieces: Sequence[str]) -> str:
    """One text of its pieces; two halves of a surrogate pair that came in different pieces become one character."""
    text = "".join(pieces)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def join_cumulative(pieces: Sequence[str]) -> str:
    """One text of its pieces, also where each piece repeats all text so far and adds to it (C25).

    That is believed only if every piece is longer than the one before and begins with it, at least three times with 16
    characters or more before: ordinary text never does that.
    """
    if len(pieces) <= CUMULATIVE_TIMES or len(pieces[-1]) <= max(len(pieces[-2]), CUMULATIVE_LENGTH):
        return join_text(pieces)
    long = sum(len(piece) >= CUMULATIVE_LENGTH for piece in pieces[:-1])
    pairs = zip(pieces, pieces[1:])
    if long >= CUMULATIVE_TIMES and all(len(new) > len(old) and new.startswith(old) for old, new in pairs):
        return pieces[-1]
    return join_text(pieces)


def news_of(text: str, before: str) -> str:
    """What of a text is new that repeats all that was said before (C25); all of it if it does not."""
    return text[len(before) :] if text.startswith(before) else text


def join_base64(pieces: Sequence[str]) -> str:
    """One base64 text of its pieces, be they one text cut anywhere or texts with their own padding (C30)."""
    if not any(piece.endswith("=") for piece in pieces[:-1]):
        return "".join(pieces)
    data, rest = bytearray(), ""
    try:
        for piece in pieces:
            rest += piece
            whole = len(rest) - len(rest) % 4
            data += b64decode(rest[:whole], validate=True)
            rest = rest[whole:]
        data += b64decode(rest + "=" * (-len(rest) % 4), validate=True)
    except ValueError:
        return "".join(pieces)
    return b64encode(data).decode()
