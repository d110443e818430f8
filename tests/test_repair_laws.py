"""Laws of the stream repair, on streams broken at random: mended is mended, cuts do not count, the SDK never fails."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_reader import sdk_read

from proxy.chat.ask import Ask
from proxy.dialects.openai_repair import StreamMender
from proxy.errors import ProxyError
from proxy.framing.sse import read_sse

DONE = b"data: [DONE]\n\n"
MISSING = object()


def some(**keys: Any) -> st.SearchStrategy[Dict[str, Any]]:
    """Objects whose keys have one of the values listed, or are missing."""
    drawn = {
        key: st.sampled_from([MISSING, *values]) if isinstance(values, list) else values for key, values in keys.items()
    }
    return st.fixed_dictionaries(drawn).map(
        lambda said: {key: value for key, value in said.items() if value is not MISSING}
    )


FUNCTIONS = some(name=["f", "g", "", None], arguments=["", None, "{}", '{"x":', "1}", '{"x":1}', {"x": 1}])
ITEMS = some(
    index=[0, 0, 1, 2, None],
    id=["a", "b", "", None],
    type=["function", "", None],
    function=st.one_of(FUNCTIONS, FUNCTIONS, st.just(MISSING), st.none()),
    extra=["e"],
)
DELTAS = some(
    role=["assistant", "", None],
    content=["x", "", "yé", None],
    reasoning=["r"],
    tool_calls=st.one_of(st.just(MISSING), st.none(), st.lists(ITEMS, max_size=2)),
    function_call=[{"name": "f", "arguments": "{"}, {"arguments": {"x": 1}}, {}],
    annotations=[[{"type": "t"}], [], [{"index": 0, "type": "t"}]],
    unknown=["u"],
)
REASONS = ["stop", "", "null", "eos", "tool_calls", "length", None, None, None, None]
CHOICES = some(
    index=[0, 0, 0, 1, 3, "0", -1, None],
    delta=st.one_of(DELTAS, DELTAS, DELTAS, st.none(), st.just(MISSING)),
    message=st.one_of(st.just(MISSING), st.just(MISSING), st.just({"role": "assistant", "content": "xy"})),
    finish_reason=REASONS,
    logprobs=[None],
    unknown=["u"],
)
CHUNKS = some(
    id=["r1", "r1", "r1", "r2", "", None],
    object=["chat.completion.chunk", "chat.completion.chunk", "text_completion", ""],
    created=[7, 7, 7, 8, 0, 7.5, "7"],
    model=["m", "m", "m", "n", ""],
    choices=st.lists(CHOICES, max_size=3),
    usage=[None, {"total_tokens": 3}],
    unknown=["u"],
)
TALK = st.just(
    {
        "id": "r1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}],
    }
)
STREAMS = st.lists(st.one_of(CHUNKS, TALK), min_size=1, max_size=8).map(
    lambda chunks: b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + DONE
)


class CarefulMender(StreamMender):
    """Looks closely at every frame."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Ask("m", True, {}), fallback_id="f", fallback_created=9, **options)
        self._is_sound = lambda data, head, talking: False


def quick(**options: Any) -> StreamMender:
    return StreamMender(Ask("m", True, {}), fallback_id="f", fallback_created=9, **options)


OPTIONS = {"repair": True, "show_usage": True, "asked_usage": False}


def mend(pieces: List[bytes], mender: StreamMender) -> bytes:
    frames = [frame for group in read_sse(pieces) for frame in group]
    return b"".join([mender.mend(frame) for frame in frames]) + mender.end()


@given(STREAMS)
@settings(max_examples=60, deadline=None)
def test_mending_a_mended_stream_changes_nothing(wire: bytes) -> None:
    first, again = quick(**OPTIONS), quick(**OPTIONS)
    once = mend([wire], first)
    twice = mend([once], again)
    if "choice" in first.repairs:  # a choice opened for a later one's sake is one that began, to whoever comes next
        assert again.repairs.keys() <= {"finish_reason", "usage"}
    else:
        assert twice == once and not again.repairs


@given(STREAMS, st.fixed_dictionaries({key: st.booleans() for key in OPTIONS}))
@settings(max_examples=80, deadline=None)
def test_the_quick_check_lets_nothing_pass_that_a_close_look_would_mend(wire: bytes, options: Dict[str, bool]) -> None:
    one, other = quick(**options), CarefulMender(**options)
    assert mend([wire], one) == mend([wire], other)
    assert dict(one.repairs) == dict(other.repairs)


@given(STREAMS, st.lists(st.integers(0, 2000), max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_mended_stream_does_not_depend_on_how_bytes_are_cut(wire: bytes, cuts: List[int]) -> None:
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    pieces = [wire[start:end] for start, end in zip(edges, edges[1:])]
    assert mend(pieces, quick(**OPTIONS)) == mend([wire], quick(**OPTIONS))


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of a first frame that is left alone
@given(STREAMS)
@settings(max_examples=80, deadline=None)
def test_the_sdk_accepts_whatever_was_mended(wire: bytes) -> None:
    mender = quick(**OPTIONS)
    reply = sdk_read(mend([wire], mender), cut=1000)
    for number, choice in enumerate(reply["choices"]):
        assert choice["index"] == number and choice["message"]["role"] == "assistant"
        assert choice["finish_reason"] or "choice" in mender.repairs
        for call in choice["message"].get("tool_calls") or []:
            assert call["id"] in ("a", "b") or len(call["id"]) == len("call_") + 24
            assert call["type"] == "function" and isinstance(call["function"]["arguments"], str)


@given(STREAMS)
@settings(max_examples=60, deadline=None)
def test_no_text_and_no_unknown_field_is_lost(wire: bytes) -> None:
    came = [json.loads(line[6:]) for line in wire.split(b"\n\n") if line[:7] == b"data: {"]
    left = [json.loads(line[6:]) for line in mend([wire], quick(**OPTIONS)).split(b"\n\n") if line[:7] == b"data: {"]
    assert sum("unknown" in chunk for chunk in came) == sum("unknown" in chunk for chunk in left)
    for key in ("content", "reasoning", "unknown"):
        assert spoken(came, key) == spoken(left, key)


def spoken(chunks: List[Dict[str, Any]], key: str) -> str:
    """All that deltas say under a key, in order of arrival, whatever the choice."""
    deltas = [
        choice["delta"]
        for chunk in chunks
        for choice in chunk.get("choices", [])
        if "message" not in choice and choice.get("delta")
    ]
    return "".join(delta.get(key) or "" for delta in deltas)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.sampled_from(["", "0", "é", "\ud83d"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["index", "id", "name", "x"]), inner)
    ),
    max_leaves=4,
)
KEYS = ["id", "created", "model", "object", "choices", "usage", "type"]
CALL = st.dictionaries(st.sampled_from(["index", "id", "type", "function", "custom"]), JSON)
DELTA = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "function_call", "x"]), st.one_of(JSON, st.lists(CALL))
)
CHOICE = st.dictionaries(
    st.sampled_from(["index", "delta", "message", "finish_reason", "finish_details", "text"]), st.one_of(JSON, DELTA)
)
ANYTHING = st.one_of(JSON, st.dictionaries(st.sampled_from(KEYS), st.one_of(JSON, st.lists(st.one_of(JSON, CHOICE)))))


@given(st.lists(ANYTHING, max_size=4), st.booleans(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_whatever_json_comes_nothing_but_a_failure_is_raised(said: List[Any], repair: bool, completions: bool) -> None:
    wire = b"".join(b"data: %s\n\n" % json.dumps(value).encode() for value in said)
    mender = quick(repair=repair, show_usage=True, asked_usage=True, completions=completions)
    try:
        out = mend([wire + DONE], mender)
    except ProxyError as error:
        assert error.failed.status >= 400
        assert not mender.done
    else:
        assert out.endswith(DONE) and mender.done


def test_verbatim_relays_every_frame_as_it_came() -> None:
    wire = b"".join(
        b'data: {"choices":[{"index":0,"delta":{"role":null},"finish_reason":"%s"}]}\n\n' % word
        for word in (b"", b"eos")
    )
    assert mend([wire], quick(**{**OPTIONS, "repair": False})) == wire + DONE
