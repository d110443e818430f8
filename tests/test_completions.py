"""The older completions: the same envelope and ends; text where chat has messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxy.chat.events import Finished, Opened, Reasoning, Refusal, Started, Text, ToolCall, Usage
from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS
from proxy.framing import Frame
from proxy.framing.sse import read_sse

TEXT = DIALECTS["completions"]
WIRE = Path(__file__).parent / "wire" / "completions"
STREAM = (WIRE / "two_texts.sse").read_bytes()
WHOLE = json.loads((WIRE / "two_texts.json").read_text())


def frames(data: bytes) -> list[Frame]:
    return [frame for batch in read_sse([data]) for frame in batch]


def told(events: Any, show_usage: bool = False) -> list[Any]:
    *chunks, done = frames(b"".join(TEXT.write_stream(events, show_usage=show_usage)))
    assert done.data == b"[DONE]"
    return [json.loads(chunk.data) for chunk in chunks]


def test_a_stream_folds_to_texts_and_lists_of_log_probabilities() -> None:
    assert TEXT.write_reply(fold(TEXT.read_stream(frames(STREAM), repair=True))) == WHOLE


def test_a_whole_becomes_texts_and_ends_and_the_usage_last() -> None:
    chunks = told(unfold(TEXT.read_reply(WHOLE)), show_usage=True)
    said = [(one["index"], one["text"], one["finish_reason"]) for chunk in chunks for one in chunk["choices"]]
    assert said == [(0, "Hello", None), (0, "", "stop"), (1, "Other!", None), (1, "", "length")]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert [chunk["usage"] for chunk in chunks] == [None] * 4 + [{"total_tokens": 9}]
    assert chunks[0]["choices"][0]["logprobs"] == WHOLE["choices"][0]["logprobs"]


def test_what_has_no_place_in_a_text_completion_is_left_out() -> None:
    events = [
        Started("i", "m", 1),
        Opened(),
        Reasoning("hm"),
        Refusal("no"),
        ToolCall(0, "a", "f"),
        Text("a"),
        Finished("stop"),
    ]
    chunks = told([*events, Usage({"a": 1})])
    assert [chunk["choices"][0].get("text") for chunk in chunks] == ["a", ""]
    assert not [chunk for chunk in chunks if "usage" in chunk]
