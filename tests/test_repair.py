"""The verbatim lane's repair: sound bytes stay, broken ones are mended, and the SDK accepts what leaves."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Dict, List, Tuple

import pytest
from sdk_reader import sdk_read

from proxy.chat.ask import Ask
from proxy.chat.fold import fold
from proxy.chat.slots import call_id
from proxy.dialects.dialect import Stamp
from proxy.dialects.openai_repair import StreamMender
from proxy.dialects.openai_stream import read_stream
from proxy.errors import ProxyError
from proxy.framing.sse import read_sse

ASK = Ask("asked-model", True, {"model": "asked-model"})
DONE = b"data: [DONE]\n\n"
HEAD = {"id": "r1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
FALLBACK = {"id": "fallback", "object": "chat.completion.chunk", "created": 99, "model": "asked-model"}
BARE_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def mender_of(ask: Ask = ASK, **options: Any) -> StreamMender:
    options = {"repair": True, "show_usage": True, "asked_usage": False, **options}
    return StreamMender(ask, fallback_id="fallback", fallback_created=99, **options)


def mend(wire: bytes, mender: StreamMender) -> bytes:
    frames = [frame for group in read_sse([wire]) for frame in group]
    return b"".join([mender.mend(frame) for frame in frames]) + mender.end()


def spell(chunk: Any) -> bytes:
    # Spaces after the separators: a frame that was decoded and written again would show.
    return chunk if isinstance(chunk, bytes) else b"data: " + json.dumps(chunk).encode() + b"\n\n"


def said(wire: bytes) -> List[Any]:
    return [
        json.loads(record[6:]) for record in wire.split(b"\n\n") if record[:6] == b"data: " and b"[DONE]" not in record
    ]


def chunk(delta: Any = None, reason: Any = None, index: int = 0, **top: Any) -> Dict[str, Any]:
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": reason}
    return {**HEAD, "choices": [choice], **top}


def bare(choice: Dict[str, Any], **top: Any) -> Dict[str, Any]:
    return {**HEAD, "choices": [choice], **top}


def call(index: Any = 0, **keys: Any) -> Dict[str, Any]:
    """A delta with one tool call item; None for ``index`` leaves it out."""
    function = {key: keys.pop(key) for key in ("name", "arguments") if key in keys}
    item = {**({} if index is None else {"index": index}), **keys, **({"function": function} if function else {})}
    return {"tool_calls": [item]}


def head(index: Any = 0, id: str = "a", name: str = "f", arguments: Any = "", **keys: Any) -> Dict[str, Any]:
    return call(index, id=id, type="function", name=name, arguments=arguments, **keys)


ROLE = chunk({"role": "assistant", "content": ""})
HI = chunk({"content": "hi"})
STOP = chunk({}, "stop")
CALLED = chunk({}, "tool_calls")
USAGE = {**HEAD, "choices": [], "usage": BARE_USAGE}
FILTERS = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [],
    "prompt_filter_results": [{"prompt_index": 0}],
}
MADE_UP = call_id("r1", 0, 0)
MT = {"model": "qwen-mt-plus"}


def without(mapping: Dict[str, Any], *keys: str) -> Dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


Row = Tuple[str, List[Any], List[Any], Dict[str, int]]

# Name, what came, what leaves, what was mended. A chunk that stands on both sides has to leave as the very same bytes.
TEXT: List[Row] = [
    ("a sound stream", [ROLE, HI, STOP, USAGE], [ROLE, HI, STOP, USAGE], {}),
    (
        "a missing id and created",
        [without(ROLE, "id", "created"), without(HI, "id"), {**STOP, "id": "late", "created": 7}],
        [{**ROLE, "id": "fallback", "created": 99}, {**HI, "id": "fallback", "created": 99}]
        + [{**STOP, "id": "fallback", "created": 99}],
        {"id": 3, "created": 3},
    ),
    (
        "an empty id and a model that changes",
        [{**ROLE, "id": ""}, {**HI, "model": "n"}, {**STOP, "model": ""}],
        [{**ROLE, "id": "fallback"}, {**HI, "id": "fallback"}, {**STOP, "id": "fallback"}],
        {"id": 3, "model": 2},
    ),
    ("an id that changes", [ROLE, {**HI, "id": "r2"}, STOP], [ROLE, HI, STOP], {"id": 1}),
    (
        "a model that is missing",
        [without(ROLE, "model"), HI, STOP],
        [{**c, "model": "asked-model"} for c in (ROLE, HI, STOP)],
        {"model": 3},
    ),
    ("an object of another name", [ROLE, {**HI, "object": "text_completion"}, STOP], [ROLE, HI, STOP], {"object": 1}),
    (
        "a time that changes or is a float",
        [ROLE, {**HI, "created": 8}, {**STOP, "created": 7.5}],
        [ROLE, HI, STOP],
        {"created": 2},
    ),
    ("filter results first (C27)", [FILTERS, ROLE, HI, STOP], [FILTERS, ROLE, HI, STOP], {}),
    (
        "choices without a delta (C27)",
        [ROLE, HI, bare({"index": 0, "finish_reason": None, "content_filter_results": {}}), STOP],
        [ROLE, HI, bare({"index": 0, "finish_reason": None, "content_filter_results": {}, "delta": {}}), STOP],
        {"empty_delta": 1},
    ),
    (
        "a null delta",
        [ROLE, HI, bare({"index": 0, "delta": None, "finish_reason": "stop"})],
        [ROLE, HI, STOP],
        {"empty_delta": 1, "done": 1},
    ),
    (
        "a missing index",
        [ROLE, bare({"delta": {"content": "hi"}, "finish_reason": None}), STOP],
        [ROLE, HI, STOP],
        {"index": 1},
    ),
    (
        "an index that is text",
        [ROLE, bare({"index": "0", "delta": {"content": "hi"}, "finish_reason": None}), STOP],
        [ROLE, HI, STOP],
        {"index": 1},
    ),
    ("a missing role", [HI, STOP], [chunk({"content": "hi", "role": "assistant"}), STOP], {"role": 1}),
    (
        "a null role",
        [chunk({"role": None, "content": "hi"}), STOP],
        [chunk({"role": "assistant", "content": "hi"}), STOP],
        {"role": 1},
    ),
    (
        "a role in every chunk (C17)",
        [ROLE, chunk({"role": "assistant", "content": "hi"}), chunk({"role": None}, "stop")],
        [ROLE, HI, STOP],
        {"role": 2},
    ),
    (
        "no finish reason yet (C54)",
        [ROLE, bare({"index": 0, "delta": {"content": "hi"}}), STOP],
        [ROLE, HI, STOP],
        {"finish_reason": 1},
    ),
    (
        "an empty finish reason (C28)",
        [ROLE, chunk({"content": "hi"}, ""), STOP],
        [ROLE, HI, STOP],
        {"finish_reason": 1},
    ),
    (
        'a finish reason of "null" (C28)',
        [ROLE, chunk({"content": "hi"}, "null"), STOP],
        [ROLE, HI, STOP],
        {"finish_reason": 1},
    ),
    ("eos", [ROLE, HI, chunk({}, "eos")], [ROLE, HI, STOP], {"finish_reason": 1, "done": 1}),
    (
        "max_tokens",
        [ROLE, HI, chunk({}, "max_tokens")],
        [ROLE, HI, chunk({}, "length")],
        {"finish_reason": 1, "done": 1},
    ),
    ("a reason nobody knows", [ROLE, HI, chunk({}, "abort")], [ROLE, HI, chunk({}, "abort")], {"done": 1}),
    (
        "a finish reason under another name (C28)",
        [ROLE, HI, bare({"index": 0, "delta": {}, "finishReason": "eos_token"})],
        [ROLE, HI, bare({"index": 0, "delta": {}, "finishReason": "eos_token", "finish_reason": "stop"})],
        {"finish_reason": 1, "done": 1},
    ),
    (
        "null choices beside usage",
        [ROLE, HI, STOP, {**USAGE, "choices": None}],
        [ROLE, HI, STOP, USAGE],
        {"choices": 1},
    ),
    ("no finish reason at all", [ROLE, HI], [ROLE, HI, STOP], {"finish_reason": 1}),
    ("no finish reason before the usage", [ROLE, HI, USAGE], [ROLE, HI, STOP, USAGE], {"finish_reason": 1}),
    ("usage in the middle", [ROLE, USAGE, HI, STOP], [ROLE, HI, STOP, USAGE], {"usage": 1}),
    ("usage before anything", [USAGE, ROLE, HI, STOP], [ROLE, HI, STOP, USAGE], {"usage": 1}),
    (
        "usage before anybody knows who answers",
        [{"choices": [], "usage": BARE_USAGE}, ROLE, HI, STOP],
        [ROLE, HI, STOP, USAGE],
        {"usage": 1, "id": 1, "object": 1, "created": 1, "model": 1},
    ),
    ("usage twice", [ROLE, USAGE, HI, STOP, USAGE], [ROLE, HI, STOP, USAGE, USAGE], {"usage": 1}),
    (
        "usage in the middle, and no finish",
        [ROLE, USAGE, HI],
        [ROLE, HI, STOP, USAGE],
        {"usage": 1, "finish_reason": 1},
    ),
    (
        "usage between the ends of two choices",
        [ROLE, chunk({"role": "assistant", "content": "b"}, index=1), STOP, USAGE, chunk({}, "stop", 1)],
        [ROLE, chunk({"role": "assistant", "content": "b"}, index=1), STOP, chunk({}, "stop", 1), USAGE],
        {"usage": 1},
    ),
    (
        "a finish reason said twice",
        [ROLE, HI, STOP, {**STOP, "usage": BARE_USAGE}],
        [ROLE, HI, STOP, {**STOP, "usage": BARE_USAGE}],
        {},
    ),
    (
        "unknown fields everywhere (C31)",
        [
            ROLE,
            {**HI, "x": 1},
            bare({"index": 0, "delta": {"content": "hi", "y": [2]}, "finish_reason": None, "z": {}}),
            STOP,
        ],
        [
            ROLE,
            {**HI, "x": 1},
            bare({"index": 0, "delta": {"content": "hi", "y": [2]}, "finish_reason": None, "z": {}}),
            STOP,
        ],
        {},
    ),
    (
        "the whole message beside the delta",
        [
            ROLE,
            bare({"index": 0, "message": {"content": "hi"}, "delta": {"content": "hi"}, "finish_reason": None}),
            STOP,
        ],
        [
            ROLE,
            bare({"index": 0, "message": {"content": "hi"}, "delta": {"content": "hi"}, "finish_reason": None}),
            STOP,
        ],
        {},
    ),
    (
        "entries of a list that goes on",
        [ROLE, chunk({"annotations": [{"type": "x"}]}), chunk({"annotations": [{"type": "y"}]}), STOP],
        [ROLE, chunk({"annotations": [{"type": "x"}]}), chunk({"annotations": [{"type": "y", "index": 1}]}), STOP],
        {"list_index": 1},
    ),
    (
        "choices that begin with the second",
        [
            chunk({"role": "assistant", "content": "b"}, index=1),
            chunk({"role": "assistant", "content": "a"}),
            chunk({}, "stop", 1),
            STOP,
        ],
        [
            ROLE,
            chunk({"role": "assistant", "content": "b"}, index=1),
            chunk({"content": "a"}),
            chunk({}, "stop", 1),
            STOP,
        ],
        {"choice": 1, "role": 1},
    ),
    (
        "a choice that never comes",
        [chunk({"role": "assistant", "content": "b"}, index=1), chunk({}, "stop", 1)],
        [ROLE, chunk({"role": "assistant", "content": "b"}, index=1), chunk({}, "stop", 1)],
        {"choice": 1},
    ),
    (
        "text that repeats all text so far (C25)",
        [{**ROLE, **MT}, {**chunk({"content": "Hel"}), **MT}, {**chunk({"content": "Hello"}), **MT}, {**STOP, **MT}],
        [{**ROLE, **MT}, {**chunk({"content": "Hel"}), **MT}, {**chunk({"content": "lo"}), **MT}, {**STOP, **MT}],
        {"cumulative": 1},
    ),
    (
        "text of another model that begins as before",
        [ROLE, chunk({"content": "ha"}), chunk({"content": "haha"}), STOP],
        [ROLE, chunk({"content": "ha"}), chunk({"content": "haha"}), STOP],
        {},
    ),
    (
        "a finish missing in one of two choices",
        [ROLE, chunk({"role": "assistant", "content": "b"}, index=1), STOP],
        [ROLE, chunk({"role": "assistant", "content": "b"}, index=1), STOP, chunk({}, "stop", 1)],
        {"finish_reason": 1},
    ),
]

WHOLE = '{"x":1}'
CALLS: List[Row] = [
    (
        "sound calls",
        [
            ROLE,
            chunk(head()),
            chunk(call(arguments='{"x"')),
            chunk(call(arguments=":1}")),
            chunk(head(1, "b", "g", "{}")),
            CALLED,
        ],
        [
            ROLE,
            chunk(head()),
            chunk(call(arguments='{"x"')),
            chunk(call(arguments=":1}")),
            chunk(head(1, "b", "g", "{}")),
            CALLED,
        ],
        {},
    ),
    (
        "an empty piece",
        [ROLE, chunk(head(arguments="{}")), chunk(call(arguments="")), CALLED],
        [ROLE, chunk(head(arguments="{}")), chunk(call(arguments="")), CALLED],
        {},
    ),
    (
        "a call without index, type and id (C14, C20)",
        [ROLE, chunk(call(None, id="", name="f", arguments=WHOLE)), CALLED],
        [ROLE, chunk(head(id=MADE_UP, arguments=WHOLE)), CALLED],
        {"tool_call_id": 1, "tool_call_type": 1, "tool_call_index": 1},
    ),
    (
        "an id that comes late, after one was made up",
        [ROLE, chunk(call(name="f", arguments="")), chunk(call(id="late", arguments=WHOLE)), CALLED],
        [ROLE, chunk(head(id=MADE_UP)), chunk(call(arguments=WHOLE)), CALLED],
        {"tool_call_id": 2, "tool_call_type": 1},
    ),
    (
        "two calls without index in one chunk",
        [ROLE, chunk({"tool_calls": [*head(None, "a")["tool_calls"], *head(None, "b")["tool_calls"]]}), CALLED],
        [ROLE, chunk({"tool_calls": [*head(0, "a")["tool_calls"], *head(1, "b")["tool_calls"]]}), CALLED],
        {"tool_call_index": 2},
    ),
    (
        "a call of which only unknown keys are said",
        [ROLE, chunk(call(extra="e")), STOP],
        [ROLE, chunk(head(id=MADE_UP, name="", extra="e")), CALLED],
        {
            "tool_call_function": 1,
            "tool_call_id": 1,
            "tool_call_type": 1,
            "tool_call_name": 1,
            "arguments": 1,
            "finish_reason": 1,
        },
    ),
    (
        "two pieces of a call in one chunk",
        [ROLE, chunk({"tool_calls": [*head()["tool_calls"], *call(arguments=WHOLE)["tool_calls"]]}), CALLED],
        [ROLE, chunk(head(arguments=WHOLE)), CALLED],
        {"tool_call_pieces": 1},
    ),
    (
        "id, type and name in every piece (C17)",
        [ROLE, chunk(head(arguments='{"x"')), chunk(head(arguments=":1}")), CALLED],
        [ROLE, chunk(head(arguments='{"x"')), chunk(call(arguments=":1}")), CALLED],
        {"tool_call_id": 1, "tool_call_type": 1, "tool_call_name": 1},
    ),
    (
        "empty id and null type and name later",
        [ROLE, chunk(head()), chunk(call(id="", type=None, name=None, arguments=WHOLE)), CALLED],
        [ROLE, chunk(head()), chunk(call(arguments=WHOLE)), CALLED],
        {"tool_call_id": 1, "tool_call_type": 1, "tool_call_name": 1},
    ),
    (
        "a new id for every piece (C29)",
        [ROLE, chunk(head()), chunk(call(id="zz", arguments=WHOLE)), CALLED],
        [ROLE, chunk(head()), chunk(call(arguments=WHOLE)), CALLED],
        {"tool_call_id": 1},
    ),
    (
        "all calls under one index (C15)",
        [ROLE, chunk(head(arguments="{}")), chunk(head(0, "b", "g")), chunk(call(arguments="{}")), CALLED],
        [ROLE, chunk(head(arguments="{}")), chunk(head(1, "b", "g")), chunk(call(1, arguments="{}")), CALLED],
        {"tool_call_index": 2},
    ),
    (
        "a tail under another index than its head (C15)",
        [ROLE, chunk(head(arguments="{}")), chunk(head(0, "b", "g")), chunk(call(1, id="b", arguments="{}")), CALLED],
        [ROLE, chunk(head(arguments="{}")), chunk(head(1, "b", "g")), chunk(call(1, arguments="{}")), CALLED],
        {"tool_call_index": 1, "tool_call_id": 1},
    ),
    (
        "calls numbered from 1",
        [ROLE, chunk(head(1, arguments="{}")), CALLED],
        [ROLE, chunk(head(0, arguments="{}")), CALLED],
        {"tool_call_index": 1},
    ),
    (
        "the whole call sent again (C18)",
        [ROLE, chunk(head(arguments=WHOLE)), chunk(head(arguments='{"x": 1}')), CALLED],
        [ROLE, chunk(head(arguments=WHOLE)), chunk({}), CALLED],
        {"tool_call_repeat": 1, "tool_calls": 1},
    ),
    (
        "arguments that are an object (C29)",
        [ROLE, chunk(head(arguments={"x": 1})), CALLED],
        [ROLE, chunk(head(arguments=WHOLE)), CALLED],
        {"arguments": 1},
    ),
    (
        "arguments that are null first",
        [ROLE, chunk(head(arguments=None)), chunk(call(arguments=WHOLE)), CALLED],
        [ROLE, chunk(head(arguments="")), chunk(call(arguments=WHOLE)), CALLED],
        {"arguments": 1},
    ),
    (
        "a head without arguments",
        [ROLE, chunk(call(id="a", type="function", name="f")), CALLED],
        [ROLE, chunk(head()), CALLED],
        {"arguments": 1},
    ),
    (
        "a nameless no-op (C19)",
        [
            ROLE,
            chunk(call(name=None, arguments=None)),
            chunk(head(arguments="{}")),
            chunk(call(name=None, arguments=None)),
            CALLED,
        ],
        [ROLE, chunk({}), chunk(head(arguments="{}")), chunk({}), CALLED],
        {"tool_call_repeat": 2, "tool_calls": 2},
    ),
    (
        "an empty list of calls",
        [ROLE, chunk({"content": "hi", "tool_calls": []}), STOP],
        [ROLE, HI, STOP],
        {"tool_calls": 1},
    ),
    (
        "what only unknown keys say of a call",
        [ROLE, chunk(head(arguments="{}")), chunk(call(extra_content={"signature": "s"})), CALLED],
        [ROLE, chunk(head(arguments="{}")), chunk(call(function={}, extra_content={"signature": "s"})), CALLED],
        {"tool_call_function": 1},
    ),
    (
        '"stop" beside a call (C29)',
        [ROLE, chunk(head(arguments="{}")), STOP],
        [ROLE, chunk(head(arguments="{}")), CALLED],
        {"finish_reason": 1},
    ),
    (
        "calls that are never finished",
        [ROLE, chunk(head(arguments="{}"))],
        [ROLE, chunk(head(arguments="{}")), CALLED],
        {"finish_reason": 1},
    ),
    (
        "a name in every piece of a function call",
        [
            ROLE,
            chunk({"function_call": {"name": "f", "arguments": "{"}}),
            chunk({"function_call": {"name": "f", "arguments": "}"}}),
        ],
        [ROLE, chunk({"function_call": {"name": "f", "arguments": "{"}}), chunk({"function_call": {"arguments": "}"}})]
        + [chunk({}, "function_call")],
        {"tool_call_name": 1, "finish_reason": 1},
    ),
    (
        "the arguments of a function call sent again (C18)",
        [
            ROLE,
            chunk({"function_call": {"name": "f", "arguments": '{"x"'}}),
            chunk({"function_call": {"arguments": ":1}"}}),
            chunk({"function_call": {"arguments": '{"x": 1}'}}),
            chunk({"function_call": {"name": "f", "arguments": WHOLE}}, "function_call"),
        ],
        [
            ROLE,
            chunk({"function_call": {"name": "f", "arguments": '{"x"'}}),
            chunk({"function_call": {"arguments": ":1}"}}),
            chunk({}),
            chunk({}, "function_call"),
        ],
        {"tool_call_repeat": 2},
    ),
    (
        "a name that grows",
        [ROLE, chunk(head(name="f")), chunk(call(name="fg", arguments=WHOLE)), CALLED],
        [ROLE, chunk(head(name="f")), chunk(call(name="g", arguments=WHOLE)), CALLED],
        {"tool_call_name": 1},
    ),
]


def names(rows: List[Row]) -> List[str]:
    return [row[0] for row in rows]


@pytest.mark.parametrize(("name", "came", "leaves", "repairs"), TEXT + CALLS, ids=names(TEXT + CALLS))
def test_a_chunk_is_mended_or_left_alone(
    name: str, came: List[Any], leaves: List[Any], repairs: Dict[str, int]
) -> None:
    ended_by_us = "done" in repairs
    mender = mender_of()
    out = mend(b"".join(map(spell, came)) + (b"" if ended_by_us else DONE), mender)
    assert said(out) == leaves
    assert dict(mender.repairs) == repairs
    assert out.endswith(DONE) and out.count(b"[DONE]") == 1 and mender.done and mender.finished
    for sound in (frame for frame in came if frame in leaves):
        assert spell(sound) in out


@pytest.mark.parametrize(("name", "came", "leaves", "repairs"), TEXT + CALLS, ids=names(TEXT + CALLS))
def test_the_sdk_accepts_every_mended_stream(
    name: str, came: List[Any], leaves: List[Any], repairs: Dict[str, int]
) -> None:
    reply = sdk_read(mend(b"".join(map(spell, came)) + DONE, mender_of()))
    for choice in reply["choices"]:
        assert choice["message"]["role"] == "assistant"
        assert choice["finish_reason"] or name == "a choice that never comes"
    calls = reply["choices"][0]["message"].get("tool_calls") or []
    assert len({item["id"] for item in calls}) == len(calls)
    assert all(
        item["type"] == "function" and json.loads(item["function"]["arguments"] or "{}") in ({}, {"x": 1})
        for item in calls
    )
    assert not any("usage" in frame for frame in leaves[-1:]) or reply["usage"]["total_tokens"] == 5


MESSAGES = [
    ("a role in every chunk (C17)", {"content": "hi"}),
    ("choices that begin with the second", {"content": "a"}),
    ("no finish reason before the usage", {"content": "hi"}),
    ("all calls under one index (C15)", [("a", "f", "{}"), ("b", "g", "{}")]),
    ("a tail under another index than its head (C15)", [("a", "f", "{}"), ("b", "g", "{}")]),
    ("id, type and name in every piece (C17)", [("a", "f", WHOLE)]),
    ("two pieces of a call in one chunk", [("a", "f", WHOLE)]),
    ("the whole call sent again (C18)", [("a", "f", WHOLE)]),
    ("a new id for every piece (C29)", [("a", "f", WHOLE)]),
    ("two calls without index in one chunk", [("a", "f", ""), ("b", "f", "")]),
    ("empty id and null type and name later", [("a", "f", WHOLE)]),
    ("a nameless no-op (C19)", [("a", "f", "{}")]),
    ("text that repeats all text so far (C25)", {"content": "Hello"}),
    (
        "the arguments of a function call sent again (C18)",
        {"function_call": {"name": "f", "arguments": WHOLE}},
    ),
    ("a name that grows", [("a", "fg", WHOLE)]),
]


@pytest.mark.parametrize(("name", "want"), MESSAGES, ids=[name for name, _ in MESSAGES])
def test_the_sdk_ends_with_the_right_message(name: str, want: Any) -> None:
    came = next(row[1] for row in TEXT + CALLS if row[0] == name)
    message = sdk_read(mend(b"".join(map(spell, came)) + DONE, mender_of()))["choices"][0]["message"]
    if isinstance(want, dict):
        assert want.items() <= message.items()
    else:
        calls = [
            (item["id"], item["function"]["name"], item["function"]["arguments"]) for item in message["tool_calls"]
        ]
        assert calls == want


@pytest.mark.parametrize("key", ["id", "object", "created", "model"])
def test_a_head_that_changes_in_the_middle_of_the_talk_is_mended(key: str) -> None:
    other = {**HI, key: 8 if key == "created" else "other"}
    mender = mender_of()
    assert said(mend(b"".join(map(spell, [ROLE, HI, HI, other, STOP])) + DONE, mender)) == [ROLE, HI, HI, HI, STOP]
    assert dict(mender.repairs) == {key: 1}


def test_a_stop_stays_where_the_ask_named_its_tool() -> None:
    came = b"".join(map(spell, [ROLE, chunk(head(arguments="{}")), STOP])) + DONE
    mender = mender_of(Ask("m", True, {}, named_tool="f"))
    assert mend(came, mender) == came
    assert not mender.repairs


SOUND = [json.dumps(frame).encode() for frame in (ROLE, HI, HI, STOP)]
SPELLINGS = {
    "plain": b"".join(b"data: %s\n\n" % data for data in SOUND) + DONE,
    "carriage returns": b"".join(b"data: %s\r\n\r\n" % data for data in SOUND) + b"data: [DONE]\r\n\r\n",
    "no space after the colon": b"".join(b"data:%s\n\n" % data for data in SOUND) + b"data:[DONE]\n\n",
    "event names, ids and comments": b"".join(b"id: 1\nevent: message\n: x\ndata: %s\n\n" % data for data in SOUND)
    + DONE,
    "comments between": b": OPENROUTER PROCESSING\n\n" + b":\n\n".join(b"data: %s\n\n" % data for data in SOUND) + DONE,
    "blanks inside": b"".join(b"data:  %s  \n\n" % data for data in SOUND) + DONE,
    "data on several lines": b"".join(b"data: %s\n\n" % data.replace(b', "cho', b',\ndata: "cho') for data in SOUND)
    + DONE,
}


@pytest.mark.parametrize("wire", SPELLINGS.values(), ids=list(SPELLINGS))
def test_sound_bytes_leave_as_they_came_however_they_are_spelled(wire: bytes) -> None:
    mender = mender_of()
    assert mend(wire, mender) == wire
    assert not mender.repairs


def test_the_other_lines_of_a_mended_frame_stay() -> None:
    broken = json.dumps(chunk({"role": "assistant", "content": "hi"})).encode()
    out = mend(spell(ROLE) + b"event: message\nid: 4\n: x\ndata: " + broken + b"\n\n" + spell(STOP) + DONE, mender_of())
    assert b'event: message\nid: 4\n: x\ndata: {"id":"r1"' in out


NOISE = [
    ("empty data", b"data:\n\n", {"empty_frame": 1}),
    ("a field without data", b"event: message\nid: 3\n\n", {"empty_frame": 1}),
    ("a retry alone", b"retry: 1000\n\n", {"empty_frame": 1}),
    ("text", b"data: hello\n\n", {"not_json": 1}),
    ("half an object", b'data: {"id": \n\n', {"not_json": 1}),
    ("a number", b"data: 3\n\n", {"not_json": 1}),
    ("a ping", b'event: ping\ndata: {"type": "ping"}\n\n', {"ping": 1}),
]


@pytest.mark.parametrize(("name", "noise", "repairs"), NOISE, ids=[row[0] for row in NOISE])
def test_noise_that_breaks_the_sdk_is_dropped(name: str, noise: bytes, repairs: Dict[str, int]) -> None:
    mender = mender_of()
    sound = [*map(spell, [ROLE, HI]), spell(STOP) + DONE]
    assert mend(noise.join(sound), mender) == b"".join(sound)
    assert dict(mender.repairs) == {key: 2 * count for key, count in repairs.items()}
    assert mend(noise.join(sound), mender_of(repair=False)) == noise.join(sound)


def test_a_bom_in_front_is_not_relayed() -> None:
    wire = SPELLINGS["plain"]
    assert mend(b"\xef\xbb\xbf" + wire, mender_of()) == wire


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_last_frame_without_its_blank_line_gets_one(end: bytes) -> None:
    wire = b"".join(map(spell, [ROLE, HI, STOP]))
    assert mend(wire + DONE.rstrip() + end, mender_of()) == wire + DONE
    assert mend(wire.rstrip() + end, mender_of()) == wire + DONE


def test_numbers_that_are_none_become_null_and_half_a_surrogate_pair_stays() -> None:
    odd = b"data: %s\n\n" % json.dumps(chunk({"content": "\ud83d"}, x=float("nan"))).encode()
    mender = mender_of()
    out = mend(spell(ROLE) + odd + spell(STOP) + DONE, mender)
    assert b'"x":null' in out and b'"content":"\\ud83d"' in out and dict(mender.repairs) == {"json": 1}
    half = spell(chunk({"content": "\ud83d"}))
    assert half in mend(spell(ROLE) + half + spell(STOP) + DONE, mender_of())


def test_nothing_follows_done() -> None:
    mender = mender_of()
    wire = b"".join(map(spell, [ROLE, HI, STOP])) + DONE
    assert mend(wire + spell(USAGE) + DONE + b": bye\n\n", mender) == wire


def test_a_done_spelled_oddly_is_one_the_sdk_knows() -> None:
    wire = b"".join(map(spell, [ROLE, HI, STOP]))
    assert mend(wire + b"data:   [DONE] \n\n", mender_of()) == wire + DONE


MESSAGE_ONLY = [
    ("one whole reply", [{"role": "assistant", "content": "Hello"}], "Hello"),
    ("text that grows", [{"content": "He"}, {"content": "Hell"}, {"content": "Hello"}, {"content": "Hello"}], "Hello"),
]


@pytest.mark.parametrize(("name", "messages", "text"), MESSAGE_ONLY, ids=[row[0] for row in MESSAGE_ONLY])
def test_a_message_in_place_of_deltas_is_told_once(name: str, messages: List[Any], text: str) -> None:
    choices = [{"index": 0, "message": message, "finish_reason": None} for message in messages]
    choices[-1]["finish_reason"] = "stop"
    out = mend(b"".join(spell(bare(choice)) for choice in choices) + DONE, mender_of())
    assert sdk_read(out)["choices"][0]["message"]["content"] == text


def test_a_message_after_deltas_only_sums_them_up() -> None:
    last = bare({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"})
    out = mend(b"".join(map(spell, [ROLE, HI, last])) + DONE, mender_of())
    assert sdk_read(out)["choices"][0]["message"]["content"] == "hi"


# Usage (C53): what the client asked for, what the provider was asked for, what came, what leaves.
NULL = {"usage": None}
EMPTY = {**HEAD, "choices": []}
BESIDE = {"citations": ["u"], "x": None}
ALIKE = {"system_fingerprint": "fp", "service_tier": "t", "obfuscation": "o", "x": None}
USAGES = [
    (True, False, [ROLE, HI, STOP, USAGE], [ROLE, HI, STOP, USAGE]),
    (True, True, [{**ROLE, **NULL}, HI, STOP, USAGE], [{**ROLE, **NULL}, HI, STOP, USAGE]),
    (False, False, [{**ROLE, **NULL}, HI, STOP, USAGE], [{**ROLE, **NULL}, HI, STOP]),
    (False, True, [{**ROLE, **NULL}, {**HI, **NULL}, {**HI, **NULL}, {**STOP, **NULL}, USAGE], [ROLE, HI, HI, STOP]),
    (False, True, [{**c, "usage": BARE_USAGE} for c in (ROLE, HI, HI, STOP)], [ROLE, HI, HI, STOP]),
    (False, False, [ROLE, HI, {**STOP, "usage": BARE_USAGE}], [ROLE, HI, {**STOP, "usage": BARE_USAGE}]),
    *((False, asked, [ROLE, STOP, {**USAGE, **BESIDE}], [ROLE, STOP, {**EMPTY, **BESIDE}]) for asked in (True, False)),
    (False, False, [ROLE, STOP, {**USAGE, **ALIKE}], [ROLE, STOP]),
    (False, True, [FILTERS, {**ROLE, **NULL}, HI, STOP, {**USAGE, "choices": None}], [FILTERS, ROLE, HI, STOP]),
]


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize(("shown", "asked", "came", "leaves"), USAGES)
def test_usage_is_shown_only_to_a_client_that_asked(
    shown: bool, asked: bool, came: List[Any], leaves: List[Any], repair: bool
) -> None:
    mender = mender_of(repair=repair, show_usage=shown, asked_usage=asked)
    out = mend(b"".join(map(spell, came)) + DONE, mender)
    assert said(out) == leaves
    assert not mender.repairs
    for sound in (frame for frame in came if frame in leaves):
        assert spell(sound) in out


FAILURES = [
    ("an error object", b'data: {"error": {"message": "boom", "code": 429}}\n\n', 429),
    ("an error event", b'event: error\ndata: {"message": "boom"}\n\n', 500),
    ("an error as text", b'data: {"error": "boom"}\n\n', 500),
    ("an error's own object", b'data: {"object": "error", "message": "boom", "code": 400}\n\n', 400),
    ("a code and a message", b'data: {"code": "InvalidParameter", "message": "boom"}\n\n', 400),
    ("a detail", b'data: {"detail": "boom"}\n\n', 500),
    ("an error field", b'error: {"code": 500, "message": "boom"}\n\n', 500),
    ("an error without a field (C36)", b': hi\n\n{"error":{"message":"boom","code":429}}\n\n', 429),
    (
        "an error on several lines",
        b': hi\n{\n  "error": {\n    "message": "error: boom",\n    "code": 429\n  }\n}\n\n',
        429,
    ),
    ("an error beside choices", spell({**chunk({}, "error"), "error": {"message": "boom", "code": 502}}), 502),
]


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize(("name", "frame", "status"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_failure_in_the_stream_is_raised(name: str, frame: bytes, status: int, repair: bool) -> None:
    for before in (b"", spell(ROLE) + spell(HI) + spell(HI)):
        with pytest.raises(ProxyError) as raised:
            mend(before + frame + DONE, mender_of(repair=repair))
        assert raised.value.failed.status == status
        assert "boom" in raised.value.failed.message


CUT = [
    ("after words", [ROLE, HI, HI], "stream_truncated"),
    ("after the role", [ROLE], "stream_truncated"),
    ("after usage without a finish", [ROLE, HI, USAGE], "stream_truncated"),
    ("before one of two choices finished", [ROLE, chunk({"role": "assistant"}, index=1), STOP], "stream_truncated"),
    ("before the first byte", [], "invalid_upstream_response"),
    ("after comments", [b": wait\n\n"], "invalid_upstream_response"),
    ("after text that is no JSON", [b"data: hello\n\n"], "invalid_upstream_response"),
    ("after chunks without a list of choices", [{"id": "x"}, {**HEAD, "choices": None}], "invalid_upstream_response"),
    ("after chunks without a choice", [{**HEAD, "choices": []}, USAGE], "stream_truncated"),
]


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize(("name", "came", "code"), CUT, ids=[row[0] for row in CUT])
def test_a_stream_that_is_cut_is_never_a_success(name: str, came: List[Any], code: str, repair: bool) -> None:
    mender = mender_of(repair=repair)
    with pytest.raises(ProxyError) as raised:
        mend(b"".join(map(spell, came)), mender)
    assert (raised.value.failed.code, raised.value.failed.status) == (code, 502)
    assert not mender.done and not mender.finished


@pytest.mark.parametrize("repair", [True, False])
def test_done_alone_is_no_answer(repair: bool) -> None:
    with pytest.raises(ProxyError, match="without saying anything"):
        mend(b": wait\n\n" + DONE, mender_of(repair=repair))


@pytest.mark.parametrize("repair", [True, False])
def test_chunks_without_a_list_of_choices_are_no_answer_and_an_empty_list_is_one(repair: bool) -> None:
    for came in ({}, {"id": "x"}, {**HEAD, "choices": None}, {**HEAD, "choices": "x"}):
        with pytest.raises(ProxyError) as raised:
            mend(spell(came) + DONE, mender_of(repair=repair))
        assert raised.value.failed.code == "invalid_upstream_response"
    assert mend(spell(USAGE) + DONE, mender_of(repair=repair)) == spell(USAGE) + DONE


NUMBERED = [
    ("n=2", {"n": 2, "messages": []}, False, 2),
    ("n=1", {"n": 1}, False, 1),
    ("n that is no number", {"n": True}, False, 1),
    ("a chat with a prompt of its own", {"prompt": ["a", "b"], "messages": []}, False, 1),
    ("two prompts", {"prompt": ["a", "b"]}, True, 2),
    ("two prompts of tokens, twice", {"prompt": [[1], [2]], "n": 2}, True, 4),
    ("one prompt of tokens", {"prompt": [1, 2, 3]}, True, 1),
]


@pytest.mark.parametrize(("name", "body", "completions", "due"), NUMBERED, ids=[row[0] for row in NUMBERED])
@pytest.mark.parametrize("repair", [True, False])
def test_a_stream_has_as_many_choices_as_were_asked_for(
    name: str, body: Dict[str, Any], completions: bool, due: int, repair: bool
) -> None:
    ask = Ask("m", True, body)
    said = [
        bare({"index": n, **({"text": "a"} if completions else {"delta": {"content": "a"}}), "finish_reason": "stop"})
        for n in range(due)
    ]
    frames = [frame for group in read_sse([b"".join(map(spell, said))]) for frame in group]
    for count in range(due + 1):
        mender = mender_of(ask, repair=repair, completions=completions)
        for frame in frames[:count]:
            mender.mend(frame)
        reading = read_stream(frames[:count], repair=repair, ask=ask, completions=completions)
        assert mender.finished == (count == due)
        if count == due:
            assert mender.end() == DONE and fold(reading)
            continue
        for ending in (mender.end, partial(fold, reading)):
            with pytest.raises(ProxyError) as raised:
                ending()
            assert raised.value.failed.code == ("stream_truncated" if count else "invalid_upstream_response")
    assert mend(spell(said[0]) + DONE, mender_of(ask, repair=repair, completions=completions)).endswith(DONE)


def test_a_comment_after_an_id_has_no_blank_line_of_its_own() -> None:
    numbered = b"".join(b"id: 1\n" + spell(frame) + b": ping\r\n: pong\r\n\r\n" for frame in (ROLE, HI, HI))
    wire = b": before\n\n" + numbered + spell(STOP) + DONE
    mender = mender_of()
    out = mend(wire, mender)
    assert sdk_read(out)["choices"][0]["message"]["content"] == "hihi"
    assert out.startswith(b": before\n\nid: 1\n" + spell(ROLE) + b": ping\n: pong\nid: 1\n")
    assert dict(mender.repairs) == {"comment": 3}
    assert mend(wire, mender_of(repair=False)) == wire
    with pytest.raises(json.JSONDecodeError):
        sdk_read(wire)


@pytest.mark.parametrize(("name", "came", "leaves", "repairs"), TEXT + CALLS, ids=names(TEXT + CALLS))
def test_repairs_have_the_same_names_in_every_lane(
    name: str, came: List[Any], leaves: List[Any], repairs: Dict[str, int]
) -> None:
    frames = [
        frame
        for group in read_sse([b"".join(map(spell, came)) + (b"" if "done" in repairs else DONE)])
        for frame in group
    ]
    named: Dict[str, int] = {}
    for _ in read_stream(frames, repair=True, ask=ASK, stamp=Stamp("fallback", 99), repairs=named):
        pass
    assert named == repairs


def test_verbatim_leaves_broken_chunks_alone_but_says_done_once() -> None:
    broken = [
        chunk({"role": "assistant", "content": "a"}, id=""),
        chunk({"role": "assistant", "content": "b"}, "eos", x=float("nan")),
    ]
    wire = b"".join(map(spell, broken))
    for given_end in (b"", DONE, DONE + DONE):
        assert mend(wire + given_end, mender_of(repair=False)) == wire + DONE


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize(
    "first",
    [
        HI,
        STOP,
        chunk(head()),
        chunk({"reasoning": "x"}),
        chunk({"refusal": "x"}),
        chunk({"audio": {"id": "x"}}),
        chunk({"reasoning_content": "x"}),
    ],
)
def test_a_stream_becomes_meaningful_with_words_calls_sound_or_an_end(first: Any, repair: bool) -> None:
    mender = mender_of(repair=repair)
    frames = [
        f
        for group in read_sse([b": x\n\n" + b"".join(map(spell, [FILTERS, ROLE, chunk({"content": None}), first]))])
        for f in group
    ]
    for frame in frames[:-1]:
        mender.mend(frame)
        assert not mender.meaningful
    mender.mend(frames[-1])
    assert mender.meaningful
