"""In what two JSON values differ, said so that one finds the place."""

from __future__ import annotations

import json
from typing import Any, Iterator, List, NamedTuple

SHOWN = 60  # characters of a value
NAMED = 4  # further places that are named
_NOTHING = object()


class Difference(NamedTuple):
    """One place (a JSON path) and what stands there on either side."""

    path: str
    asked: Any
    recorded: Any


def differences(asked: Any, recorded: Any, path: str = "") -> Iterator[Difference]:
    """The innermost places at which the values differ, in the order of what was asked."""
    if isinstance(asked, dict) and isinstance(recorded, dict):
        for name in [*asked, *(name for name in recorded if name not in asked)]:
            where = f"{path}.{name}" if path else name
            yield from differences(asked.get(name, _NOTHING), recorded.get(name, _NOTHING), where)
    elif isinstance(asked, list) and isinstance(recorded, list):
        for number in range(max(len(asked), len(recorded))):
            yield from differences(_at(asked, number), _at(recorded, number), f"{path}[{number}]")
    elif asked != recorded or isinstance(asked, bool) != isinstance(recorded, bool):
        yield Difference(path or "the body", asked, recorded)


def told(found: List[Difference]) -> str:
    """The first difference at length, the next ones by their places."""
    one, more = found[0], [other.path for other in found[1:]]
    start = 0
    if isinstance(one.asked, str) and isinstance(one.recorded, str):
        same = next((n for n, (a, b) in enumerate(zip(one.asked, one.recorded)) if a != b), 0)
        start = max(0, same - SHOWN // 3) if same > SHOWN // 2 else 0
    text = f"{one.path}: asked {_shown(one.asked, start)}, recorded {_shown(one.recorded, start)}"
    if more:
        rest = f" and {len(more) - NAMED} more" if len(more) > NAMED else ""
        text += f"; also in {', '.join(more[:NAMED])}{rest}"
    return text


def _at(values: List[Any], number: int) -> Any:
    return values[number] if number < len(values) else _NOTHING


def _shown(value: Any, start: int) -> str:
    if value is _NOTHING:
        return "nothing"
    begin = ""
    if start:
        value, begin = value[start:], "..."
    text = json.dumps(value, ensure_ascii=False)
    return begin + (text if len(text) <= SHOWN else text[:SHOWN] + "...")
