"""One exchange as the page shows it: four panes, what differs between them, the stream's times, and recipes."""

from __future__ import annotations

from itertools import accumulate, takewhile
from typing import Any, Dict, List, Optional

import msgspec
from flask import Response

from proxy.archive.aside import aside
from proxy.archive.lines import read_line
from proxy.routes.archived import lines_of, readable
from proxy.routes.crewed import under_way
from proxy.routes.visit import Visit, refused, told
from proxy.viewer.differences import differences
from proxy.viewer.recipes import Recorded, curl, python
from proxy.viewer.repeat import why_not
from proxy.viewer.talk import answered, asked, dialect_of

# Bytes of one pane; what is longer is shown in part, and whole in the recording
LARGEST = 1 << 20
HEAD = 100_000
MOST_BATCHES = 20_000

Line = Dict[str, Any]
Lines = Dict[str, Optional[bytes]]
NOT_FACTS = ("input", "output", "headers", "clock", "frames")


NULL = msgspec.Raw(b"null")


class Sides(msgspec.Struct):
    """The two values of a line that are shown as they are written."""

    input: msgspec.Raw = NULL
    output: msgspec.Raw = NULL


_READ_SIDES = msgspec.json.Decoder(Sides)


@readable
def view(visit: Visit) -> Response:
    """All that there is to show of an exchange; of one that has not ended, ``under_way``: its row."""
    lines = lines_of(visit)
    if not lines:
        running = [row for row in under_way(visit.parts.crew)[0] if row["logging_id"] == visit.words[0]]
        if running:
            return told({"logging_id": visit.words[0], "under_way": running[0]})
        return refused(404, "not_found", "There is no such exchange.")
    base = visit.request.url_root.rstrip("/")
    other = visit.query.get("with", "")
    beside = lines_of(visit._replace(words=(other,))) if other else {}
    return Response(aside(lambda: msgspec.json.encode(shown(lines, base, beside))), content_type="application/json")


def shown(lines: Lines, base: str, beside: Lines) -> Line:
    """The same as a value; a side whose line is missing is null. ``beside``: an exchange to compare its answer with."""
    read = {side: read_line(line) if line else None for side, line in lines.items()}
    sides = {side: _READ_SIDES.decode(line) if line else Sides() for side, line in lines.items()}
    client, provider = read.get("client"), read.get("provider")
    facts = client or provider or {}
    panes = {side: _panes(side, line, sides[side]) if line else None for side, line in read.items()}
    small = all(len(bytes(raw)) <= LARGEST for side in sides.values() for raw in (side.input, side.output))
    both = client is not None and provider is not None and small
    return {
        "logging_id": facts.get("logging_id"),
        "facts": {name: value for name, value in facts.items() if name not in NOT_FACTS},
        "client": panes.get("client"),
        "provider": panes.get("provider"),
        "asked": _marks(client, provider, "input") if both else None,
        "answered": _marks(provider, client, "output") if both else None,
        "compared": _compared(client, beside.get("client")) if small else None,
        "stream": _stream(provider or {}),
        **_recipes(client, base, short=_size(sides.get("client", Sides()).input) <= LARGEST),
    }


def _panes(side: str, line: Line, raw: Sides) -> Line:
    dialect = dialect_of(line.get(f"{side}_dialect"), line.get("path"))
    return {
        "ask": {**_raw(raw.input), "chat": _unless_large(raw.input, lambda: asked(dialect, line.get("input")))},
        "answer": {
            **_raw(raw.output),
            "chat": _unless_large(raw.output, lambda: answered(dialect, line.get("output"))),
        },
        "headers": line.get("headers"),
    }


def _unless_large(raw: Optional[msgspec.Raw], made: Any) -> Any:
    return made() if _size(raw) <= LARGEST else None


def _raw(raw: Optional[msgspec.Raw]) -> Line:
    text = b"null" if raw is None else bytes(raw)
    if len(text) <= LARGEST:
        return {"raw": text.decode("utf-8", "replace"), "bytes": len(text), "cut": False}
    return {"raw": text[:HEAD].decode("utf-8", "ignore"), "bytes": len(text), "cut": True}


def _size(raw: Optional[msgspec.Raw]) -> int:
    return 0 if raw is None else len(bytes(raw))


def _marks(before: Optional[Line], after: Optional[Line], name: str) -> Line:
    gone, come = differences((before or {}).get(name), (after or {}).get(name))
    return {"before": gone, "after": come}


def _compared(client: Optional[Line], other: Optional[bytes]) -> Optional[Line]:
    if client is None or not other or len(other) > LARGEST:
        return None
    return _marks(client, read_line(other), "output")


def _stream(line: Line) -> Optional[Line]:
    """When the provider's frames came: the moment of each batch (ms after arrival) and how many frames it had."""
    clock, frames = line.get("clock"), line.get("frames")
    if not isinstance(clock, dict) or not isinstance(clock.get("start"), (int, float)):
        return None
    gaps = _unpacked(clock.get("gaps"))
    moments: List[float] = [clock["start"]]
    for gap in gaps:
        moments.append(moments[-1] + gap)
    counts = (_unpacked(clock.get("frames")) + [1] * len(moments))[: len(moments)]
    return {"at": moments, "frames": counts, "texts": _texts(frames) if isinstance(frames, list) else None}


def _texts(frames: List[Any]) -> List[Any]:
    """What the first frames said, as far as a pane goes; the recording has all."""
    sizes = accumulate(len(str(frame)) for frame in frames)
    return frames[: sum(1 for _ in takewhile(lambda size: size <= LARGEST, sizes))]


def _unpacked(runs: Any) -> List[float]:
    """Numbers, of which runs are written as [value, times]; a foreign line may have anything there."""
    values: List[float] = []
    for run in runs if isinstance(runs, list) else []:
        value, times = run if isinstance(run, list) and len(run) == 2 else (run, 1)
        if not isinstance(value, (int, float)) or not isinstance(times, int):
            break
        values += [value] * min(times, MOST_BATCHES - len(values))
    return values


def _recipes(client: Optional[Line], base: str, *, short: bool) -> Line:
    if client is None:
        return {"recipes": None, "repeat": {"why_not": "The client's line is missing."}}
    ask = Recorded.of(client)
    reason = why_not(ask)
    recipes = {"curl": curl(ask, base), "python": python(ask, base)} if short and not reason else None
    other = {"stream": "non_stream", "non_stream": "stream"}.get(str(client.get("send_mode")))
    return {"recipes": recipes, "repeat": {"why_not": reason, "mode": client.get("send_mode"), "other": other}}
