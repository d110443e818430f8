"""Recorded traffic of real providers: everything can be read, and nothing of a whole answer is lost on its way."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import pytest

from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS
from proxy.errors import ProxyError
from proxy.framing import Frame
from proxy.framing.sse import read_sse

FOLDER = os.environ.get("FORWARD_CORPUS")
WHOLES, STREAMS, REFUSED = 233, 186, 2  # committed; fewer read or more refused is a failure
pytestmark = pytest.mark.skipif(not FOLDER, reason="FORWARD_CORPUS names no folder with recorded traffic")

CHAT = DIALECTS["openai"]


def records() -> Iterator[dict[str, Any]]:
    with (Path(FOLDER or "") / "openai_chat.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def frames(data: bytes) -> list[Frame]:
    return [frame for batch in read_sse([data]) for frame in batch]


def frames_of(record: dict[str, Any]) -> list[Frame]:
    if record["format"] == "sse":
        return frames(record["body"].encode())
    return [Frame(line.encode(), b"") for line in record["body"].splitlines()] + [Frame(b"[DONE]", b"")]


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where something that was said is missing or other."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after[key], f"{path}.{key}") if key in after else [f"{path}.{key}"]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after):
            yield from lost(one, other, f"{path}[]")
    elif before != after:
        yield path


EXPECTED_LOSSES = {
    ".choices[].delta",
    ".choices[].message.tool_calls[].index",
    ".object",
}  # see wire_replies.EXCEPTIONS


def test_nothing_of_a_whole_answer_is_lost_on_its_way_through_a_stream() -> None:
    losses: Counter[str] = Counter()
    count = 0
    for record in records():
        whole = json.loads(record["body"]) if record["format"] == "json" else {}
        if "choices" in whole:
            wire = b"".join(CHAT.write_stream(unfold(CHAT.read_reply(whole)), show_usage=True))
            losses.update(lost(whole, CHAT.write_reply(fold(CHAT.read_stream(frames(wire), repair=False)))))
            count += 1
    print(f"{count} whole answers; lost on purpose: {dict(losses)}")
    assert set(losses) <= EXPECTED_LOSSES
    assert count >= WHOLES


@pytest.mark.parametrize("repair", [True, False])
def test_every_stream_can_be_read_and_told_again(repair: bool) -> None:
    refused, count = [], 0
    for record in records():
        if record["format"] == "json":
            continue
        count += 1
        try:
            events = list(CHAT.read_stream(frames_of(record), repair=repair))
        except ProxyError as error:
            refused.append(error.failed.code)
            continue
        again = b"".join(CHAT.write_stream(events, show_usage=True))
        said = CHAT.write_reply(fold(events))
        assert CHAT.write_reply(fold(CHAT.read_stream(frames(again), repair=False))) == said, record["source"]
    print(f"{count} streams; failures inside them: {refused}")
    assert count >= STREAMS
    assert refused == ["tool_use_failed"] * REFUSED
