"""The checker of Anthropic's streams rejects what breaks clients; and what every dialect's recordings become passes."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from anthropic_checker import check_stream, said_in

from proxy.chat.events import Finished, Reasoning, Started, Text, ToolArguments, ToolCall
from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS
from proxy.dialects.anthropic import ANTHROPIC
from proxy.dialects.anthropic_failures import write_frame

WIRE = Path(__file__).parent / "wire"
STREAMS = sorted(path for name in DIALECTS for path in (WIRE / name).glob("*") if path.suffix in (".sse", ".ndjson"))
EVENTS: Any = [Started("i", "m"), Reasoning("r"), Text("t"), ToolCall(0, "a", "f"), ToolArguments(0, '{"x":1}')]
SOUND = b"".join(ANTHROPIC.write_stream([*EVENTS, Finished("tool_calls")], show_usage=True))
START, BEGIN, THINK, SIGN, STOP = range(5)  # places of the events in it


def renumbered(events: Any) -> Any:
    return [{**event, "index": 0} if "index" in event else event for event in events]


DEFECTS: Dict[str, Callable[[Any], Any]] = {
    "no begin": lambda events: events[1:],
    "no end": lambda events: events[:-1],
    "no delta of the message": lambda events: events[:-2] + events[-1:],
    "two deltas of the message": lambda events: events[:-1] + events[-2:],
    "a block that is not closed": lambda events: events[:STOP] + events[STOP + 1 :],
    "a delta before its block": lambda events: [events[0], events[THINK], events[BEGIN], *events[SIGN:]],
    "a block numbered twice": renumbered,
    "a delta of another kind": lambda events: [
        *events[:THINK],
        {**events[THINK], "delta": {"type": "text_delta"}},
        *events[3:],
    ],
    "no usage": lambda events: [*events[:-2], {**events[-2], "usage": {}}, events[-1]],
    "no reason": lambda events: [*events[:-2], {**events[-2], "delta": {"stop_reason": None}}, events[-1]],
    "another reason than the call's": lambda events: [
        *events[:-2],
        {**events[-2], "delta": {"stop_reason": "end_turn"}},
        events[-1],
    ],
    "arguments that are cut": lambda events: json.loads(json.dumps(events).replace(':1}"', ':1"')),
}


def test_a_sound_stream_is_sound() -> None:
    assert len(check_stream(SOUND)) == 13


@pytest.mark.parametrize("name", DEFECTS)
def test_the_checker_rejects(name: str) -> None:
    data = b"".join(map(write_frame, DEFECTS[name](said_in(SOUND))))
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_stream(data)


@pytest.mark.parametrize(
    "data",
    [
        SOUND + b"data: [DONE]\n\n",
        SOUND.replace(b"event: content_block_stop\n", b"", 1),
        SOUND.replace(b"event: message_stop", b"event: message_end"),
        SOUND.replace(b"\n\n", b"\n", 1),
    ],
)
def test_the_checker_rejects_frames_that_the_sdk_does_not_see(data: bytes) -> None:
    with pytest.raises((AssertionError, ValueError, KeyError)):
        check_stream(data)


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recordings_of_every_dialect_become_sound_streams(path: Path) -> None:
    dialect = DIALECTS[path.parent.name]
    heard = chain.from_iterable(dialect.read_frames([path.read_bytes()]))
    events = list(dialect.read_stream(heard, repair=True))
    foreign = dialect is not ANTHROPIC
    check_stream(b"".join(ANTHROPIC.write_stream(events, show_usage=True)), foreign=foreign)
    check_stream(b"".join(ANTHROPIC.write_stream(unfold(fold(events)), show_usage=True)), foreign=foreign)


def test_there_are_recordings_of_every_dialect() -> None:
    assert {path.parent.name for path in STREAMS} == set(DIALECTS)
    assert len(STREAMS) >= 60
