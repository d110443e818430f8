"""A common frame that is read in short says exactly what it says when it is read in full."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.chat.ask import Ask
from proxy.dialects.dashscope_chunks import Respelling
from proxy.dialects.dashscope_common import Common
from proxy.dialects.dashscope_stream import read_stream
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_chunks import Reading
from proxy.errors import ProxyError
from proxy.framing import Frame

TEXTS = st.sampled_from(["", "a", "a b", "a b c", 'na\u00efve "q"', "x" * 20])
ROLES = st.sampled_from(["assistant", "assistant", "assistant", "tool"])
REASONS = st.sampled_from(["null", "null", "null", None, "stop", "length"])
COSTS = st.one_of(
    st.none(),
    st.fixed_dictionaries({"input_tokens": st.integers(0, 2), "output_tokens": st.integers(0, 3)}),
    st.fixed_dictionaries({"total_tokens": st.integers(0, 9), "output_tokens": st.just(1), "input_tokens": st.just(1)}),
    st.just({"output_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}),
)
BESIDE = st.sampled_from([{}] * 8 + [{"search_info": {"a": 1}}, {"code": "x"}, {"text": "t"}])
INDEX = st.sampled_from([None, None, None, 0, 1])
EVENTS = st.sampled_from(["result", "result", "", "other"])
SAID = st.lists(st.tuples(TEXTS, ROLES, REASONS, COSTS, BESIDE, INDEX, EVENTS), max_size=12)
PLAIN = {"messages": [{"role": "user", "content": "?"}]}
NATIVE = {"input": PLAIN, "parameters": {}}


def frame_of(text, role, reason, cost, beside, index, event):
    choice = {"message": {"content": text, "role": role}, "finish_reason": reason}
    choice.update({} if index is None else {"index": index})
    said = {"output": {"choices": [choice], **beside}, "request_id": "r"}
    said.update({} if cost is None else {"usage": cost})
    return Frame(json.dumps(said).encode(), b"", event)


def asks():
    return [None, Ask("qwen-plus", True, PLAIN), Ask("qwen-mt-plus", True, PLAIN), Ask("qwen-plus", True, NATIVE)]


def read_in_full(frames, repair, ask):
    terms = Terms(repair, False, None)
    reading, respelling = Reading(terms, ask), Respelling(terms, ask, None)
    for frame in frames:
        yield from reading.read(respelling.chunk(json.loads(frame.data)))


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("ask", asks())
@settings(max_examples=60)
@given(said=SAID)
def test_a_stream_read_in_short_says_the_same_events(repair, ask, said):
    frames = [frame_of(*one) for one in said for _ in range(2)]
    expected = list(read_in_full(frames, repair, ask))
    got, events = [], read_stream(iter(frames), repair=repair, ask=ask)
    with suppress(ProxyError):  # its end is none
        got += events
    assert got[: len(expected)] == expected


def test_most_frames_are_read_in_short():
    terms = Terms(True, False, None)
    reading, respelling = Reading(terms), Respelling(terms, PLAIN_ASK, None)
    common = Common(respelling, reading)
    short = 0
    for number in range(10):
        cost = {"input_tokens": 9, "output_tokens": number, "total_tokens": 9 + number}
        frame = frame_of(f"{number} ", "assistant", "null", cost, {}, None, "result")
        if common.read(frame) is None:
            reading.read(respelling.chunk(json.loads(frame.data)))
        else:
            short += 1
    assert short >= 7


PLAIN_ASK = Ask("qwen-plus", True, PLAIN)
