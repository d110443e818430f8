"""Whole replies and legacy completions: what is missing is added, nothing is dropped, sound bytes stay."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Dict, List, Tuple

import pytest

from proxy.chat.ask import Ask
from proxy.chat.slots import call_id
from proxy.chat.unfold import unfold
from proxy.dialects.completions import COMPLETIONS
from proxy.dialects.dialect import Stamp
from proxy.dialects.openai_repair import StreamMender, mend_reply_json
from proxy.dialects.openai_repair_reply import look_closer
from proxy.dialects.openai_reply import read_reply
from proxy.dialects.openai_sound import Head, is_sound_reply
from proxy.dialects.openai_spoken import write_stream
from proxy.errors import ProxyError
from proxy.framing.sse import read_sse

ASK = Ask("asked-model", False, {"model": "asked-model"})
STAMP = {"fallback_id": "fallback", "fallback_created": 99}
HEAD = {"id": "r1", "object": "chat.completion", "created": 7, "model": "m"}
HI = {"role": "assistant", "content": "hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MADE_UP = call_id("r1", 0, 0)


def reply(message: Any = HI, reason: Any = "stop", **top: Any) -> Dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": reason}], **top}


def calls(*items: Any, content: Any = None, **keys: Any) -> Dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(items), **keys}


def without(mapping: Dict[str, Any], *keys: str) -> Dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def choice(**keys: Any) -> Dict[str, Any]:
    return {**HEAD, "choices": [keys]}


FULL = calls(CALL, audio={"id": "x"}, refusal=None, annotations=[], reasoning="r")
DETAILS = {"type": "max_tokens"}
REPLIES: List[Tuple[str, Dict[str, Any], Dict[str, Any], List[str]]] = [
    ("a sound reply", reply(), reply(), []),
    ("a reply with everything", reply(FULL, "tool_calls", x=1, usage={}), reply(FULL, "tool_calls", x=1, usage={}), []),
    ("two choices", {**HEAD, "choices": [{**reply()["choices"][0], "index": n} for n in (1, 0)]}, {}, []),
    (
        "no id, created, model",
        without(reply(), "id", "created", "model"),
        {**reply(), "id": "fallback", "created": 99, "model": "asked-model"},
        ["id", "created", "model"],
    ),
    ("an empty id and a time of 0", reply(id="", created=0), reply(id="fallback", created=99), ["id", "created"]),
    ("another object", reply(object="text_completion"), reply(), ["object"]),
    ("a missing index", choice(message=HI, finish_reason="stop"), reply(), ["index"]),
    (
        "no message",
        choice(index=0, finish_reason="content_filter"),
        reply({"role": "assistant", "content": None}, "content_filter"),
        ["message", "role", "content"],
    ),
    (
        "a delta in its place",
        choice(index=0, delta=HI, finish_reason="stop"),
        choice(index=0, delta=HI, message=HI, finish_reason="stop"),
        ["message"],
    ),
    ("no role", reply({"content": "hi"}), reply(), ["role"]),
    ("a null role", reply({"content": "hi", "role": None}), reply(), ["role"]),
    ("no content", reply(without(calls(CALL), "content"), "tool_calls"), reply(calls(CALL), "tool_calls"), ["content"]),
    ("no finish reason", choice(index=0, message=HI), reply(), ["finish_reason"]),
    ("an empty finish reason", reply(HI, ""), reply(), ["finish_reason"]),
    ("a finish reason that is null", reply(HI, None), reply(), ["finish_reason"]),
    ("eos", reply(HI, "eos"), reply(), ["finish_reason"]),
    (
        "an end under another name",
        choice(index=0, message=HI, finish_details=DETAILS),
        choice(index=0, message=HI, finish_details=DETAILS, finish_reason="length"),
        ["finish_reason"],
    ),
    ('"stop" beside a call', reply(calls(CALL)), reply(calls(CALL), "tool_calls"), ["finish_reason"]),
    ("a call that ended without reason", reply(calls(CALL), None), reply(calls(CALL), "tool_calls"), ["finish_reason"]),
    (
        "a call without id and type",
        reply(calls(without(CALL, "id", "type")), "tool_calls"),
        reply(calls({**CALL, "id": MADE_UP}), "tool_calls"),
        ["tool_call_id", "tool_call_type"],
    ),
    (
        "arguments as an object",
        reply(calls({**CALL, "function": {"name": "f", "arguments": {"x": [1]}}}), "tool_calls"),
        reply(calls({**CALL, "function": {"name": "f", "arguments": '{"x":[1]}'}}), "tool_calls"),
        ["arguments"],
    ),
    (
        "no arguments",
        reply(calls({**CALL, "function": {"name": "f"}}), "tool_calls"),
        reply(calls({**CALL, "function": {"name": "f", "arguments": ""}}), "tool_calls"),
        ["arguments"],
    ),
    (
        "an empty function call",
        reply({**HI, "function_call": {"name": "", "arguments": ""}}),
        reply({**HI, "function_call": {"name": "", "arguments": ""}}),
        [],
    ),
    (
        "a function call's object",
        reply({**HI, "function_call": {"name": "f", "arguments": {}}}, "function_call"),
        reply({**HI, "function_call": {"name": "f", "arguments": "{}"}}, "function_call"),
        ["arguments"],
    ),
    ("an empty list of calls", reply({**HI, "tool_calls": []}), reply({**HI, "tool_calls": []}), []),
]


@pytest.mark.parametrize(("name", "came", "leaves", "repairs"), REPLIES, ids=[row[0] for row in REPLIES])
def test_a_reply_is_mended_or_left_alone(
    name: str, came: Dict[str, Any], leaves: Dict[str, Any], repairs: List[str]
) -> None:
    out = deepcopy(came)
    assert mend_reply_json(out, ASK, **STAMP) == repairs
    assert out == (leaves or came)
    assert bool(repairs) == (out != came)
    assert mend_reply_json(out, ASK, **STAMP) == []
    assert out == (leaves or came)


ODD: List[Any] = [None, "", "x", "\ud800", 0, 1, 1.0, -1, True, False, 10**16, [], {}, [{}], ["x"], {"a": "b"}]
PLACES = ["id", "object", "created", "model", "choices", "index", "message", "finish_reason", "finish_details"]
PLACES += ["role", "content", "tool_calls", "function_call", "x"]
REASONS = ["stop", "length", "content_filter", "tool_calls", "function_call", "eos", "null", "STOP"]


@pytest.mark.parametrize("place", PLACES)
def test_whatever_is_sound_at_a_glance_is_left_alone_by_a_closer_look(place: str) -> None:
    for value in [*ODD, *REASONS, "chat.completion", ...]:
        said = deepcopy(reply())
        one = said["choices"][0]
        where = (
            said
            if place in HEAD or place == "choices"
            else one
            if place in (*one, "finish_details")
            else one["message"]
        )
        where.update({place: value})
        if value is ...:
            del where[place]
        if is_sound_reply(said):
            mended = deepcopy(said)
            assert look_closer(mended, ASK, Head("", "f", 9, "m"), completions=False) == [] and mended == said


def test_the_common_reply_is_sound_at_a_glance_and_one_that_says_more_is_looked_at() -> None:
    assert is_sound_reply(reply(usage={"x": 1}, x=[1]))
    for odd in (reply(calls(CALL), "tool_calls"), choice(index=0, text="a", finish_reason="stop"), {"choices": []}, {}):
        assert not is_sound_reply(odd)


def test_a_stop_stays_where_the_ask_named_its_tool() -> None:
    assert mend_reply_json(reply(calls(CALL)), Ask("m", False, {}, named_tool="f"), **STAMP) == []


NO_REPLIES: List[Dict[str, Any]] = [{}, {"id": "x"}, {"choices": None}, {"choices": "x"}, {"choices": {"0": {}}}]


@pytest.mark.parametrize("came", NO_REPLIES)
@pytest.mark.parametrize("completions", [True, False])
def test_what_has_no_list_of_choices_is_refused_and_left_as_it_is(came: Dict[str, Any], completions: bool) -> None:
    tried = deepcopy(came)
    for read in (read_reply, lambda body: mend_reply_json(body, ASK, completions=completions, **STAMP)):
        with pytest.raises(ProxyError) as raised:
            read(tried)
        assert (raised.value.failed.status, raised.value.failed.code) == (502, "invalid_upstream_response")
        assert tried == came


def test_an_empty_list_of_choices_is_an_answer() -> None:
    assert mend_reply_json({**HEAD, "choices": []}, ASK, **STAMP) == []
    assert read_reply({**HEAD, "choices": []}).choices == []


def said_by(number: int, **keys: Any) -> Dict[str, Any]:
    return {"message": {"role": "assistant", "content": f"answer {number}"}, "finish_reason": "stop", **keys}


REPEATED = [[{"index": 0}, {"index": 0}], [{"index": 1}, {}], [{"index": 1}, {"index": 0}, {"index": 1}], [{}, {}]]


@pytest.mark.parametrize("indices", REPEATED)
def test_choices_that_repeat_their_index_are_numbered_by_their_places(indices: List[Dict[str, int]]) -> None:
    came = {**HEAD, "choices": [said_by(place, **index) for place, index in enumerate(indices)]}
    read = read_reply(deepcopy(came))
    assert [choice.text for choice in read.choices] == [f"answer {place}" for place in range(len(indices))]
    told = b"".join(write_stream(unfold(read), show_usage=False))
    assert all(b"answer %d" % place in told for place in range(len(indices)))
    assert mend_reply_json(came, ASK, **STAMP) == ["index"]
    assert came["choices"] == [said_by(place, index=place) for place in range(len(indices))]


TEXT = {"id": "c1", "object": "text_completion", "created": 7, "model": "m"}


def text(said: Any = "hi", reason: Any = None, **keys: Any) -> Dict[str, Any]:
    return {**TEXT, "choices": [{"index": 0, "text": said, "finish_reason": reason, **keys}]}


def bare(**keys: Any) -> Dict[str, Any]:
    return {**TEXT, "choices": [keys]}


LAST = text("", "stop")
STREAMS: List[Tuple[str, List[Dict[str, Any]], List[Dict[str, Any]], Dict[str, int]]] = [
    ("a sound stream", [text(), text(logprobs=None), LAST], [text(), text(logprobs=None), LAST], {}),
    ("another object", [{**text(), "object": "chat.completion.chunk"}, LAST], [text(), LAST], {"object": 1}),
    ("no reason and no index", [bare(text="hi"), LAST], [text(), LAST], {"index": 1, "finish_reason": 1}),
    ("no text", [text(), bare(index=0, finish_reason="stop")], [text(), LAST], {"text": 1}),
    ("eos", [text(), text("", "eos_token")], [text(), LAST], {"finish_reason": 1}),
    ("no reason at all", [text()], [text(), LAST], {"finish_reason": 1}),
    (
        "the third choice first",
        [text(index=2), text("", "stop", index=2)],
        [text(index=2), text("", "stop", index=2)],
        {},
    ),
]


@pytest.mark.parametrize(("name", "came", "leaves", "repairs"), STREAMS, ids=[row[0] for row in STREAMS])
def test_a_legacy_stream_is_mended_or_left_alone(
    name: str, came: List[Any], leaves: List[Any], repairs: Dict[str, int]
) -> None:
    wire = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in came) + b"data: [DONE]\n\n"
    mender = StreamMender(ASK, repair=True, show_usage=False, asked_usage=False, completions=True, **STAMP)
    out = b"".join([mender.mend(frame) for group in read_sse([wire]) for frame in group]) + mender.end()
    assert [json.loads(record[6:]) for record in out.split(b"\n\n") if record[:7] == b"data: {"] == leaves
    assert dict(mender.repairs) == repairs
    assert repairs or out == wire


@pytest.mark.parametrize(("name", "came", "leaves", "repairs"), STREAMS, ids=[row[0] for row in STREAMS])
def test_legacy_repairs_have_the_same_names_where_a_stream_is_folded(
    name: str, came: List[Any], leaves: List[Any], repairs: Dict[str, int]
) -> None:
    wire = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in came) + b"data: [DONE]\n\n"
    named: Dict[str, int] = {}
    frames = (frame for group in read_sse([wire]) for frame in group)
    assert list(COMPLETIONS.read_stream(frames, repair=True, ask=ASK, stamp=Stamp("fallback", 99), repairs=named))
    assert named == repairs


LEGACY = [
    ("a sound reply", text("hi", "stop"), text("hi", "stop"), []),
    (
        "nothing but text",
        {"choices": [{"text": "hi"}]},
        {},
        ["id", "object", "created", "model", "index", "finish_reason"],
    ),
    ("no text", bare(index=0, finish_reason="length"), text("", "length"), ["text"]),
]


@pytest.mark.parametrize(("name", "came", "leaves", "repairs"), LEGACY, ids=[row[0] for row in LEGACY])
def test_a_legacy_reply_is_mended_or_left_alone(name: str, came: Any, leaves: Any, repairs: List[str]) -> None:
    mended = mend_reply_json(came, ASK, completions=True, **STAMP)
    filled = {"id": "fallback", "object": "text_completion", "created": 99, "model": "asked-model"}
    assert mended == repairs
    assert came == (leaves or {**text("hi", "stop"), **filled})
