"""A chunk that is told by its bytes says exactly what it says when it is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.alike import Alike, only_delta
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_chunks import Reading
from proxy.dialects.openai_stream import read_stream
from proxy.framing import Frame

ODD = ['"', "\\", "\n", "\u2028", "é", "other text", "", '","x":"', "content", '"content":"']
TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(ODD))
BESIDE = st.sampled_from(
    [
        {},
        {"logprobs": None},
        {"logprobs": {"content": []}},
        {"finish_reason": "stop"},
        {"content_filter_results": {"hate": 1}},
        {"delta": {"content": "x", "reasoning_content": "y"}},
    ]
)
CHUNKS = st.lists(st.tuples(TEXTS, st.integers(0, 1), BESIDE, st.integers(0, 2)), max_size=12)


def chunk_of(text, index, beside, spelling):
    choice = {"index": index, "delta": {"content": text}, "finish_reason": None, **beside}
    chunk = {"id": "c-1", "created": 1, "model": "content", "choices": [choice]}
    styles = [{"separators": (",", ":")}, {"ensure_ascii": False, "separators": (",", ":")}, {}]
    return json.dumps(chunk, **styles[spelling]).encode("utf-8", "replace")


@pytest.mark.parametrize("repair", [False, True])
@given(said=CHUNKS)
def test_a_stream_read_by_likeness_says_the_same_events(repair, said):
    chunks = [chunk_of(*one) for one in said for _ in range(2)]
    frames = [Frame(data, b"") for data in chunks] + [Frame(b"[DONE]", b"")]
    reading = Reading(Terms(repair, False, None))
    expected = [event for data in chunks for event in reading.read(json.loads(data))]
    if not reading.parsed:
        return
    assert list(read_stream(frames, repair=repair)) == expected + reading.end(done=True)


def test_only_the_text_may_differ():
    alike, first = Alike("content", only_delta), chunk_of("one", 1, {}, 0)
    alike.learn(first, json.loads(first), 1)
    assert alike.text_of(chunk_of("two", 1, {}, 0)) == "two"
    assert alike.choice == 1
    others = [("two", 0, {}, 0), ("", 1, {}, 0), ('"', 1, {}, 0), ("two", 1, {"finish_reason": "stop"}, 0)]
    assert [alike.text_of(chunk_of(*one)) for one in others] == [None] * 4
    assert alike.text_of(first[:30] + first[-30:]) is None


def test_a_key_of_that_name_elsewhere_is_no_place_for_a_text():
    alike = Alike("content", only_delta)
    chunk = {"content": "one", "choices": [{"index": 0, "delta": {"content": "two"}}]}
    alike.learn(json.dumps(chunk).encode(), chunk)
    assert alike.text_of(json.dumps({**chunk, "content": "three"}).encode()) is None
