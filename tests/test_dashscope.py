"""DashScope's dialect on the wire: streams written by hand beside what they mean, failures, and the form of answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.chat.ask import Ask
from proxy.chat.events import Failed, Finished, Opened, Reasoning, Started, Text, ToolArguments, ToolCall, Usage
from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects.dashscope import DASHSCOPE
from proxy.dialects.dialect import Stamp
from proxy.dialects.openai import OPENAI
from proxy.errors import ProxyError, failure
from proxy.framing import Frame
from proxy.framing.sse import read_sse

WIRE = Path(__file__).parent / "wire" / "dashscope"
STREAMS = sorted(WIRE.glob("*.sse"))
NAMED = pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
STAMP = Stamp("0" * 32, 7)
CROSSING = OPENAI.read_ask(b'{"model":"qwen-plus","messages":[],"stream":true}')


def ask_with(parameters: Any, content: Any = "?", stream: bool = True, model: str = "qwen-plus") -> Ask | None:
    if parameters is None:
        return None
    body = {"model": model, "input": {"messages": [{"role": "user", "content": content}]}, "parameters": parameters}
    return DASHSCOPE.read_ask(json.dumps(body).encode(), [("X-DashScope-SSE", "enable")] if stream else [])


def frames(data: bytes, size: int = 0) -> list[Frame]:
    cut = [data[start : start + size] for start in range(0, len(data), size)] if size else [data]
    return [frame for batch in read_sse(cut) for frame in batch]


def meaning(path: Path) -> Any:
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


@NAMED
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_stream_folds_to_the_reply_it_amounts_to(path: Path, size: int) -> None:
    meant = meaning(path)
    ask = ask_with(meant["parameters"])
    repairs: dict[str, int] = {}
    reply = fold(DASHSCOPE.read_stream(frames(path.read_bytes(), size), repair=True, ask=ask, repairs=repairs))
    assert DASHSCOPE.write_reply(reply, ask=ask) == meant["reply"]
    assert repairs == meant["repairs"]


@NAMED
def test_a_stream_means_to_an_openai_client_what_it_means(path: Path) -> None:
    meant = meaning(path)
    if "chat" not in meant:  # what we ask for ourselves is news only
        assert (meant["parameters"] or {}).get("incremental_output") is not True
        return
    events = list(DASHSCOPE.read_stream(frames(path.read_bytes()), repair=True, ask=CROSSING, stamp=STAMP))
    assert OPENAI.write_reply(fold(events)) == meant["chat"]
    wire = b"".join(OPENAI.write_stream(events, show_usage=True))
    assert OPENAI.write_reply(fold(OPENAI.read_stream(frames(wire), repair=True))) == meant["chat"]


@NAMED
def test_a_stream_told_again_folds_to_the_same_reply(path: Path) -> None:
    meant = meaning(path)
    for parameters in (meant["parameters"], {"result_format": "message", "incremental_output": False}):
        ask = ask_with(parameters)
        events = DASHSCOPE.read_stream(frames(path.read_bytes()), repair=True, ask=ask_with(meant["parameters"]))
        again = b"".join(DASHSCOPE.write_stream(events, show_usage=True, ask=ask))
        folded = fold(DASHSCOPE.read_stream(frames(again, 5), repair=False, ask=ask))
        assert DASHSCOPE.write_reply(folded, ask=ask) == meant["reply"]


@NAMED
def test_the_verbatim_lane_relays_every_byte_and_knows_the_end(path: Path) -> None:
    told = frames(path.read_bytes())
    mender = DASHSCOPE.mend_stream(
        ask_with(meaning(path)["parameters"] or {}), STAMP, repair=True, show_usage=True, asked_usage=True
    )
    assert [mender.mend(frame) for frame in told] == [frame.raw for frame in told]
    assert mender.end() == b"" and mender.meaningful and mender.finished


def test_there_are_as_many_streams_as_there_were() -> None:
    assert len(STREAMS) >= 29


def test_of_two_choices_one_end_is_not_the_end() -> None:
    told = frames((WIRE / "two_choices.sse").read_bytes())
    ask = ask_with({"n": 2})
    assert ask is not None
    mender = DASHSCOPE.mend_stream(ask, STAMP, repair=True, show_usage=True, asked_usage=True)
    for frame in told[:-1]:
        mender.mend(frame)
    with pytest.raises(ProxyError) as caught:
        mender.end()
    assert caught.value.failed.code == "stream_truncated"


ODD_ENDS = {  # of two choices; how many of them such a frame ends
    "one text for both": (b'{"text":"a","finish_reason":"stop"}', 1),
    "an index that is none": (b'{"choices":[{"index":[1],"finish_reason":"stop"}]}', 1),
    "no choice beside one": (b'{"choices":[null,{"index":1,"finish_reason":"stop"}]}', 1),
    "both without indices": (b'{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}', 2),
    "below zero": (b'{"choices":[{"index":-1,"finish_reason":"stop"},{"index":true,"finish_reason":"stop"}]}', 2),
}


@pytest.mark.parametrize("output, ends", ODD_ENDS.values(), ids=ODD_ENDS)
def test_an_oddly_told_end_passes_as_it_came(output: bytes, ends: int) -> None:
    ask, (frame,) = ask_with({"n": 2}), frames(b'data:{"output":%s}\n\n' % output)
    assert ask is not None
    mender = DASHSCOPE.mend_stream(ask, STAMP, repair=True, show_usage=True, asked_usage=True)
    assert mender.mend(frame) == frame.raw and mender.finished is (ends == 2)


ONE = (
    b"id:1\nevent:result\n:HTTP_STATUS/200\n"
    b'data:{"output":{"choices":[{"message":{"content":"a","role":"assistant"},"finish_reason":"null"}]},'
    b'"usage":{},"request_id":"r"}\n\n'
)
SAID = b'data:{"code":"%s","message":"no","request_id":"r"}\n\n'
FAILURES = {
    "nothing": (b"", 502, "invalid_upstream_response"),
    "only comments": (b":keep-alive\n\n", 502, "invalid_upstream_response"),
    "no json": (b"data:oops\n\n", 502, "invalid_upstream_response"),
    "cut": (ONE, 502, "stream_truncated"),
    "cut after an end of another choice": (
        ONE + ONE.replace(b'"message"', b'"index":1,"message"').replace(b'"null"', b'"stop"'),
        502,
        "stream_truncated",
    ),
    "status in the comment": (b"event:error\n:HTTP_STATUS/400\n" + SAID % b"InvalidParameter", 400, ...),
    "status in its own field": (b"event:error\nstatus:429\n" + SAID % b"Throttling.RateQuota", 429, ...),
    "after text": (ONE + b"id:2\nevent:error\n:HTTP_STATUS/500\n" + SAID % b"InternalError", 500, "internal_error"),
    "no event name": (ONE + SAID % b"DataInspectionFailed", 400, "content_filter"),
    "an output of null": (b'data:{"output":null,"code":"Arrearage","message":"no"}\n\n', 429, "insufficient_quota"),
    "key": (b"event:error\n:HTTP_STATUS/401\n" + SAID % b"InvalidApiKey", 401, "invalid_api_key"),
}


@pytest.mark.parametrize("data, status, code", FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("repair", [True, False])
def test_a_stream_that_failed_is_no_answer(data: bytes, status: int, code: Any, repair: bool) -> None:
    with pytest.raises(ProxyError) as caught:
        fold(DASHSCOPE.read_stream(frames(data), repair=repair))
    failed = caught.value.failed
    assert failed.status == status and code in (..., failed.code)


WHOLE_FAILURES = {
    "code beside no output": ({"code": "Throttling", "message": "slow", "request_id": "r"}, 429, "rate_limit_exceeded"),
    "a task": ({"output": {"task_status": "FAILED", "code": "InternalError", "message": "m"}}, 500, "internal_error"),
    "nothing of it": ({"id": "x"}, 502, "invalid_upstream_response"),
}


@pytest.mark.parametrize("body, status, code", WHOLE_FAILURES.values(), ids=WHOLE_FAILURES.keys())
def test_a_whole_that_failed_is_no_answer(body: Any, status: int, code: str) -> None:
    with pytest.raises(ProxyError) as caught:
        DASHSCOPE.read_reply(body)
    assert (caught.value.failed.status, caught.value.failed.code) == (status, code)


SPELLED = [
    (401, "invalid_api_key", {}, "InvalidApiKey"),
    (403, "access_denied", {}, "AccessDenied"),
    (404, "model_not_found", {}, "ModelNotFound"),
    (404, "not_found", {}, "NotFound"),
    (400, "context_length_exceeded", {}, "InvalidParameter"),
    (400, None, {"upstream_code": "BadRequestError"}, "InvalidParameter"),
    (400, "content_filter", {"upstream_code": "DataInspectionFailed"}, "DataInspectionFailed"),
    (400, "insufficient_quota", {"upstream_code": "Arrearage"}, "Arrearage"),
    (402, "insufficient_quota", {}, "Arrearage"),
    (429, "rate_limit_exceeded", {"upstream_code": "Throttling.BurstRate"}, "Throttling.BurstRate"),
    (429, "rate_limit_exceeded", {"upstream_code": "rate_limit_exceeded"}, "Throttling.RateQuota"),
    (429, "insufficient_quota", {}, "Throttling.AllocationQuota"),
    (500, "internal_error", {}, "InternalError"),
    (502, "connection_refused", {}, "InternalError"),
    (503, "server_is_overloaded", {}, "ModelUnavailable"),
    (504, "idle_timeout", {}, "RequestTimeOut"),
]


@pytest.mark.parametrize("status, code, extra, native", SPELLED)
def test_failures_are_spelled_in_the_words_of_the_protocol(status: int, code: Any, extra: Any, native: str) -> None:
    failed = Failed(status, code, "text", extra={**extra, "request_id": "r-9"})
    assert DASHSCOPE.write_failed(failed) == {"code": native, "message": "text", "request_id": "r-9"}


def test_a_failure_inside_a_stream_is_the_next_frame_and_the_last() -> None:
    failed = failure("idle_timeout", "late").failed
    block = b"".join(
        DASHSCOPE.write_stream([Started("chatcmpl-r"), Text("a"), failed, Text("b")], show_usage=True)
    ).split(b"\n\n")
    assert block[1:] == [
        b"id:2\nevent:error\n:HTTP_STATUS/504\nstatus:504\n"
        b'data:{"code":"RequestTimeOut","message":"late","request_id":"r"}',
        b"",
    ]
    assert DASHSCOPE.write_failed_stream(failed).startswith(b"id:1\nevent:error\n:HTTP_STATUS/504\nstatus:504\ndata:{")


STORY = [
    Started("chatcmpl-9", "m", 1),
    Opened(),
    Reasoning("Hm", 0, "reasoning"),
    Reasoning("Hm", 0, "reasoning_content"),
    Text("He"),
    Text("llo"),
    ToolCall(0, "call_1", "f"),
    ToolArguments(0, '{"a":'),
    ToolArguments(0, "1}"),
    Finished("tool_calls"),
    Usage({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
]


def bodies(events: Any, ask: Ask | None, **terms: Any) -> list[Any]:
    told = b"".join(DASHSCOPE.write_stream(events, **{"show_usage": True, "ask": ask, **terms}))
    return [json.loads(frame.data) for frame in frames(told)]


def messages(told: list[Any]) -> list[Any]:
    return [body["output"]["choices"][0]["message"] for body in told]


def test_who_asks_for_news_hears_news() -> None:
    told = bodies(STORY, ask_with({"incremental_output": True, "result_format": "message"}))
    assert [message["content"] for message in messages(told)] == ["", "He", "llo", "", "", "", ""]
    assert [message.get("reasoning_content") for message in messages(told)] == ["Hm"] + [None] * 6
    pieces = [message["tool_calls"][0] for message in messages(told) if "tool_calls" in message]
    assert [(piece["index"], piece["id"], piece["type"], piece["function"]) for piece in pieces] == [
        (0, "call_1", "function", {"name": "f", "arguments": ""}),
        (0, "", "function", {"arguments": '{"a":'}),
        (0, "", "function", {"arguments": "1}"}),
    ]
    assert [body["output"]["choices"][0]["finish_reason"] for body in told] == ["null"] * 6 + ["tool_calls"]
    assert told[-1]["usage"] == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert told[0]["usage"] == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert {body["request_id"] for body in told} == {"9"}


@pytest.mark.parametrize("parameters", [{"result_format": "message"}, {"incremental_output": False, "tools": [{}]}])
def test_who_does_not_ask_for_news_hears_everything_so_far_in_each_frame(parameters: Any) -> None:
    told = messages(bodies(STORY, ask_with(parameters)))
    assert [message["content"] for message in told] == ["", "He", *["Hello"] * 5]
    assert {message["reasoning_content"] for message in told} == {"Hm"}
    calls = [message["tool_calls"][0]["function"]["arguments"] for message in told if "tool_calls" in message]
    assert calls == ["", '{"a":', '{"a":1}', '{"a":1}']


def test_who_asks_for_text_or_for_nothing_hears_text() -> None:
    story = [Started("9"), Opened(), Text("He"), Text("llo"), Finished("stop")]
    for parameters in ({}, {"result_format": "text"}):
        told = bodies(story, ask_with(parameters))
        assert [body["output"] for body in told] == [
            {"text": "He", "finish_reason": "null"},
            {"text": "Hello", "finish_reason": "null"},
            {"text": "Hello", "finish_reason": "stop"},
        ]
    reply = fold(story)
    assert DASHSCOPE.write_reply(reply, ask=ask_with({}))["output"] == {"text": "Hello", "finish_reason": "stop"}
    assert "choices" in DASHSCOPE.write_reply(reply, ask=ask_with({}, model="qwen3-max"))["output"]


def test_who_asks_in_parts_hears_parts() -> None:
    ask = ask_with({"incremental_output": True}, [{"image": "http://i"}, {"text": "?"}])
    told = messages(bodies([Started("9"), Opened(), Text("a"), Finished("stop")], ask))
    assert [message["content"] for message in told] == [[{"text": "a"}], []]
    reply = fold([Started("9"), Opened(), ToolCall(0, "c", "f"), Finished("tool_calls")])
    assert DASHSCOPE.write_reply(reply, ask=ask)["output"]["choices"][0]["message"]["content"] == []


def test_text_is_never_held_back_and_the_last_frame_waits_for_the_usage() -> None:
    heard: list[str] = []

    def provider() -> Any:
        for event in STORY:
            heard.append(type(event).__name__)
            yield event

    ask = ask_with({"incremental_output": True, "result_format": "message"})
    stream = DASHSCOPE.write_stream(provider(), show_usage=True, ask=ask)
    first = [json.loads(frames(next(stream))[0].data) for _ in range(2)]
    assert heard == ["Started", "Opened", "Reasoning", "Reasoning", "Text"]
    assert messages(first)[1]["content"] == "He"
    rest = list(stream)
    assert b'"total_tokens":7' in rest[-1] and b'"tool_calls"' in rest[-1]


def test_what_several_choices_tell_of_the_usage_adds_up_to_the_whole() -> None:
    counts = {"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11}
    story = [Started("9"), Opened(0), Opened(1), Text("a"), Text("b", 1), Finished("stop"), Finished("stop", 1)]
    ask = ask_with({"incremental_output": True, "result_format": "message", "n": 2})
    told = bodies([*story, Usage(counts)], ask)
    assert [len(body["output"]["choices"]) for body in told] == [1] * 4
    assert [body["usage"]["output_tokens"] for body in told[-2:]] == [0, 8]
    wire = b"".join(DASHSCOPE.write_stream([*story, Usage(counts)], show_usage=True, ask=ask))
    assert fold(DASHSCOPE.read_stream(frames(wire), repair=False, ask=ask)).usage == counts


def test_an_answer_without_an_id_gets_ours_as_a_uuid() -> None:
    stamp = Stamp("0123456789abcdef0123456789abcdef", 1)
    told = bodies([Opened(), Text("a"), Finished("stop")], None, stamp=stamp)
    assert {body["request_id"] for body in told} == {"01234567-89ab-cdef-0123-456789abcdef"}
    reply = DASHSCOPE.read_reply({"output": {"text": "a", "finish_reason": "stop"}})
    assert DASHSCOPE.write_reply(reply, stamp=stamp)["request_id"] == "01234567-89ab-cdef-0123-456789abcdef"


def test_the_shape_travels_under_the_dialects_own_key_and_only_where_it_is_of_use() -> None:
    path = WIRE / "parts_and_last_text_with_the_reason.sse"
    crossing = fold(DASHSCOPE.read_stream(frames(path.read_bytes()), repair=True, ask=CROSSING))
    own = fold(DASHSCOPE.read_stream(frames(path.read_bytes()), repair=True, ask=ask_with({})))
    assert (crossing.extra, own.extra) == ({}, {"dashscope": {"shape": "parts"}})


def test_stop_beside_a_call_becomes_the_call_and_the_own_word_is_kept_for_clients_of_the_protocol() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    whole = {
        "output": {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]},
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        "request_id": "r",
    }
    reply = DASHSCOPE.read_reply(whole)
    assert reply.choices[0].reason == "tool_calls"
    assert DASHSCOPE.write_reply(reply) == whole
    assert bodies(unfold(reply), None)[-1]["output"]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("show", [True, False])
def test_usage_stands_in_every_frame_or_in_none(show: bool) -> None:
    assert {"usage" in body for body in bodies(STORY, None, show_usage=show)} == {show}
