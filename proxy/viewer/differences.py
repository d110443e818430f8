"""What differs between two JSON values, by place. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any, Dict, List, Tuple

import msgspec

# Lists that are longer are compared item by item: finding what moved costs the product of both lengths
LONGEST = 400
DEEPEST = 100

Marks = Dict[str, str]
Pair = Tuple[Any, Any]
Places = Tuple[str, str]


def differences(before: Any, after: Any) -> Tuple[Marks, Marks]:
    """JSON pointers into ``before`` (``removed``, ``changed``) and into ``after`` (``added``, ``changed``)."""
    gone: Marks = {}
    come: Marks = {}
    _compare((before, after), ("", ""), (gone, come), DEEPEST)
    return gone, come


def pointer(top: str, key: Any) -> str:
    """A place below another (RFC 6901)."""
    return f"{top}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _compare(values: Pair, at: Places, marks: Tuple[Marks, Marks], depth: int) -> None:
    before, after = values
    if depth and isinstance(before, dict) and isinstance(after, dict):
        _compare_objects(before, after, at, marks, depth)
    elif depth and isinstance(before, list) and isinstance(after, list):
        _compare_lists(before, after, at, marks, depth)
    elif type(before) is not type(after) or before != after:  # True is 1, and 1.0 is spelled otherwise
        marks[0][at[0]] = marks[1][at[1]] = "changed"


def _compare_objects(
    before: Dict[str, Any], after: Dict[str, Any], at: Places, marks: Tuple[Marks, Marks], depth: int
) -> None:
    for key in before:
        if key in after:
            places = pointer(at[0], key), pointer(at[1], key)
            _compare((before[key], after[key]), places, marks, depth - 1)
        else:
            marks[0][pointer(at[0], key)] = "removed"
    for key in after:
        if key not in before:
            marks[1][pointer(at[1], key)] = "added"


def _compare_lists(before: List[Any], after: List[Any], at: Places, marks: Tuple[Marks, Marks], depth: int) -> None:
    for left, right in _aligned(before, after):
        if left is None:
            marks[1][pointer(at[1], right)] = "added"
        elif right is None:
            marks[0][pointer(at[0], left)] = "removed"
        else:
            places = pointer(at[0], left), pointer(at[1], right)
            _compare((before[left], after[right]), places, marks, depth - 1)


def _aligned(before: List[Any], after: List[Any]) -> List[Tuple[Any, Any]]:
    """Which item stands where another stood; None where there is none."""
    if max(len(before), len(after)) > LONGEST:
        return _side_by_side(range(len(before)), range(len(after)))
    texts = [[msgspec.json.encode(item) for item in side] for side in (before, after)]
    pairs: List[Tuple[Any, Any]] = []
    for _, first, last, start, end in SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_opcodes():
        pairs += _side_by_side(range(first, last), range(start, end))
    return pairs


def _side_by_side(left: range, right: range) -> List[Tuple[Any, Any]]:
    longest = max(len(left), len(right))
    filled = [[*side, *[None] * (longest - len(side))] for side in (left, right)]
    return list(zip(*filled))
