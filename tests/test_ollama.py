"""Ollama on the wire: recordings by hand beside what they mean, the ends that streams have, and what clients get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterable

import pytest

from proxy.chat.events import (
    Audio,
    Event,
    Failed,
    Finished,
    Logprobs,
    Noted,
    Opened,
    Part,
    Reasoning,
    Refusal,
    Started,
    Text,
    ToolArguments,
    ToolCall,
    Usage,
)
from proxy.chat.fold import fold
from proxy.chat.reply import Call, Choice, Reply
from proxy.chat.unfold import unfold
from proxy.dialects.dialect import Dialect, Stamp
from proxy.dialects.ollama import OLLAMA, OLLAMA_GENERATE
from proxy.dialects.ollama_times import read_time, write_time
from proxy.dialects.openai import OPENAI
from proxy.errors import ProxyError
from proxy.framing import Frame
from proxy.framing.ndjson import read_ndjson

WIRE = Path(__file__).parent / "wire"
STREAMS = [
    (dialect, path) for dialect in (OLLAMA, OLLAMA_GENERATE) for path in sorted((WIRE / dialect.name).glob("*.ndjson"))
]
CASES = pytest.mark.parametrize(("dialect", "path"), STREAMS, ids=lambda value: getattr(value, "stem", None))


def frames(data: bytes, size: int = 0) -> list[Frame]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)] if size else [data]
    return [frame for batch in read_ndjson(pieces) for frame in batch]


def lines(data: bytes) -> list[Any]:
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def told(*events: Event, dialect: Dialect = OLLAMA, **terms: Any) -> list[Any]:
    return lines(b"".join(dialect.write_stream(events, show_usage=True, **terms)))


@CASES
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_stream_folds_to_what_it_amounts_to_here_and_elsewhere(dialect: Dialect, path: Path, size: int) -> None:
    meaning = json.loads(path.with_suffix(".json").read_text())
    reply = fold(dialect.read_stream(frames(path.read_bytes(), size), repair=True))
    assert OPENAI.write_reply(reply) == meaning["openai"]
    assert dialect.write_reply(reply) == meaning["whole"]


@CASES
def test_a_whole_answer_means_what_its_stream_means(dialect: Dialect, path: Path) -> None:
    meaning = json.loads(path.with_suffix(".json").read_text())
    reply = dialect.read_reply(meaning["whole"])
    told = OPENAI.write_reply(reply)
    for call in [call for choice in (told, meaning["openai"]) for call in calls_of(choice) if "ollama" in call]:
        call.pop("id" if "id" in call["ollama"].get("without", ()) else "ollama")  # made of the time of its line
    assert told["created"] - meaning["openai"].pop("created") in (0, 1, 2)
    assert {**told, "created": 0} == {**meaning["openai"], "created": 0}


def calls_of(completion: Any) -> list[Any]:
    return completion["choices"][0]["message"].get("tool_calls", [])  # type: ignore[no-any-return]


@CASES
def test_a_stream_told_again_folds_to_the_same_reply(dialect: Dialect, path: Path) -> None:
    events = dialect.read_stream(frames(path.read_bytes()), repair=True)
    again = b"".join(dialect.write_stream(events, show_usage=True))
    reply = fold(dialect.read_stream(frames(again), repair=False))
    assert dialect.write_reply(reply) == json.loads(path.with_suffix(".json").read_text())["whole"]


def test_there_are_as_many_recordings_as_there_were() -> None:
    assert len(STREAMS) >= 27


def test_the_lines_of_the_reference_become_the_chunks_of_the_reference() -> None:
    events = OLLAMA.read_stream(frames((WIRE / "ollama/the_reference.ndjson").read_bytes()), repair=True)
    data = b"".join(OPENAI.write_stream(events, show_usage=True)).split(b"\n\n")
    chunks = [json.loads(frame[6:]) for frame in data if frame and not frame.endswith(b"[DONE]")]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[:3] == [{"role": "assistant"}, {"reasoning_content": "Hm"}, {"content": "Hi"}]
    pieces = [delta["tool_calls"][0]["function"].get("arguments", "") for delta in deltas if "tool_calls" in delta]
    assert "".join(pieces) == '{"a":1}'
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"] == {"prompt_tokens": 26, "completion_tokens": 282, "total_tokens": 308}


LINE = b'{"model":"m","message":{"role":"assistant","content":"a"},"done":false}\n'
FAILURES = {
    "nothing": (b"", 502, "invalid_upstream_response"),
    "no json": (b"oops\n", 502, "invalid_upstream_response"),
    "no object": (b"[1]\n7\n", 502, "invalid_upstream_response"),
    "cut": (LINE * 2, 502, "stream_truncated"),
    "cut in a line": (LINE + LINE[:30], 502, "stream_truncated"),
    "an error first": (b'{"error":"model \'x\' not found"}\n', 404, "model_not_found"),
    "an error later": (LINE + b'{"error":"an error was encountered while running the model"}\n', 500, "internal_error"),
    "an error beside others": (b'{"model":"m","error":"oh","done":true}\n', 500, "internal_error"),
}


@pytest.mark.parametrize(("data", "status", "code"), FAILURES.values(), ids=FAILURES)
def test_a_stream_that_fails_says_how(data: bytes, status: int, code: str) -> None:
    with pytest.raises(ProxyError) as caught:
        list(OLLAMA.read_stream(frames(data), repair=True))
    assert (caught.value.failed.status, caught.value.failed.code) == (status, code)


def test_nothing_is_read_after_the_line_that_is_done() -> None:
    data = LINE + LINE.replace(b"false", b"true") + b'{"error":"too late"}\n'
    assert fold(OLLAMA.read_stream(frames(data), repair=True)).choices[0].text == "aa"


def test_a_line_that_is_no_json_is_skipped_where_others_are() -> None:
    data = b"<html>\n" + LINE + b"\xff\n" + LINE.replace(b"false", b"true")
    assert fold(OLLAMA.read_stream(frames(data), repair=True)).choices[0].text == "aa"


@pytest.mark.parametrize("body", [{}, [], {"done": True}, {"message": None}, {"message": "x"}], ids=str)
def test_what_is_no_answer_is_told_to_be_none(body: Any) -> None:
    with pytest.raises(ProxyError) as caught:
        OLLAMA.read_reply(body)
    assert caught.value.failed.code == "invalid_upstream_response"


def test_arguments_that_look_like_an_error_are_none() -> None:
    call = b'{"function":{"name":"f","arguments":{"error":"x","done":true}}}'
    data = b'{"model":"m","message":{"role":"assistant","content":"","tool_calls":[' + call + b']},"done":false}\n'
    reply = fold(OLLAMA.read_stream(frames(data + LINE.replace(b"false", b"true")), repair=True))
    assert reply.choices[0].calls[0].arguments == '{"error":"x","done":true}'


def watched(data: bytes) -> tuple[bytes, Any]:
    mender = OLLAMA.mend_stream(
        OLLAMA.read_ask(b'{"model":"m"}'), Stamp("", 0), repair=True, show_usage=True, asked_usage=False
    )
    return b"".join(map(mender.mend, frames(data))), mender


def test_the_verbatim_lane_changes_nothing_and_knows_the_end() -> None:
    empty = LINE.replace(b'"a"', b'""')
    call = LINE.replace(b'"a"', b'"","tool_calls":[{"function":{"name":"f","arguments":{"done":true}}}]')
    said, mender = watched(empty)
    assert (said, mender.meaningful, mender.done) == (empty, False, False)
    said, mender = watched(empty + call)
    assert (said, mender.meaningful, mender.done) == (empty + call, True, False)
    with pytest.raises(ProxyError):
        mender.end()
    end = LINE.replace(b'"done":false', b'"done": true')
    said, mender = watched(empty + call + end)
    assert (said, mender.done, mender.end()) == (empty + call + end, True, b"")
    with pytest.raises(ProxyError):
        watched(LINE + b'{"error":"x"}\n')


START = Started("id", "m", 1760000000)
END = [Finished("stop"), Usage({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})]
LAST = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}


def test_a_foreign_stream_is_told_in_lines_as_ollama_has_them() -> None:
    said = told(START, Opened(), Reasoning("hm"), Text("Hi"), Text(""), Text(" there"), *END)
    head = {"model": "m", "created_at": "2025-10-09T08:53:20Z"}
    assert said == [
        {**head, "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {**head, "message": {"role": "assistant", "content": "Hi"}, "done": False},
        {**head, "message": {"role": "assistant", "content": " there"}, "done": False},
        {**head, "message": {"role": "assistant", "content": ""}, **LAST},
    ]
    flat = told(START, Opened(), Reasoning("hm"), Text("Hi"), *END, dialect=OLLAMA_GENERATE)
    assert flat == [
        {**head, "response": "", "thinking": "hm", "done": False},
        {**head, "response": "Hi", "done": False},
        {**head, "response": "", **LAST},
    ]


def test_a_token_is_told_before_the_next_event_is_asked_for() -> None:
    def events() -> Iterable[Event]:
        yield START
        yield Opened()
        yield Text("a")
        raise AssertionError("the token was held back")

    assert lines(next(OLLAMA.write_stream(events(), show_usage=True)))[0]["message"]["content"] == "a"


def test_calls_in_pieces_are_told_whole_in_their_order() -> None:
    said = told(
        START,
        ToolCall(0, "c1", "f"),
        ToolArguments(0, '{"a":'),
        ToolCall(1, "c2", "g"),
        ToolArguments(1, "{}"),
        ToolArguments(0, "1}"),
        ToolCall(2, "c3", "h"),
        Finished("tool_calls"),
    )
    calls = [line["message"]["tool_calls"] for line in said[:-1]]
    assert calls == [
        [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
        [{"id": "c2", "function": {"index": 1, "name": "g", "arguments": {}}}],
        [{"id": "c3", "function": {"index": 2, "name": "h", "arguments": {}}}],
    ]
    assert said[-1]["done_reason"] == "stop"


def test_a_complete_call_does_not_wait_for_the_end() -> None:
    def events() -> Iterable[Event]:
        yield from (START, ToolCall(0, "c1", "f"), ToolArguments(0, "{}"), ToolCall(1, "c2", "g"))
        raise AssertionError("the call was held back")

    line = lines(next(OLLAMA.write_stream(events(), show_usage=True)))[0]
    assert line["message"]["tool_calls"][0]["id"] == "c1"


@pytest.mark.parametrize("arguments", ['{"a":', "[]", "null", "x"])
def test_a_call_whose_arguments_are_no_object_is_a_failure(arguments: str) -> None:
    with pytest.raises(ProxyError) as caught:
        told(START, ToolCall(0, "c1", "f"), ToolArguments(0, arguments), Finished("tool_calls"))
    assert caught.value.failed.code == "invalid_upstream_response"
    with pytest.raises(ProxyError):
        OLLAMA.write_reply(Reply(choices=[Choice(calls=[Call("c1", "f", "function", arguments)])]))


def test_calls_of_other_kinds_are_calls_too() -> None:
    calls = [Call("c1", "f", "custom", "some text"), Call("", "g", "function_call", '{"a":1}')]
    reply = Reply("i", "m", 1, [Choice(calls=calls)])
    for said in (OLLAMA.write_reply(reply)["message"]["tool_calls"], calls_told(reply)):
        assert [call["function"]["arguments"] for call in said] == [{"input": "some text"}, {"a": 1}]


def calls_told(reply: Reply) -> list[Any]:
    return [call for line in told(*unfold(reply)) for call in line["message"].get("tool_calls", [])]


def test_what_has_no_field_here_is_told_as_text() -> None:
    part = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "so"}]
    for said in (
        told(START, Part(part), Refusal(" no"), *END),
        [OLLAMA.write_reply(Reply(choices=[Choice(content=part, refusal=" no")]))],
    ):
        assert "".join(line["message"]["content"] for line in said) == "so no"
        assert "".join(line["message"].get("thinking", "") for line in said) == "hm"
    assert told(START, Part({"a": 1}), *END)[0]["message"]["content"] == '{"a":1}'
    assert told(START, Audio(transcript="la"), *END)[0]["message"]["content"] == "la"


def test_reasoning_under_two_names_is_told_once() -> None:
    said = told(START, Reasoning("a", 0, "reasoning"), Reasoning("a", 0, "reasoning_content"), *END)
    assert [line["message"].get("thinking") for line in said] == ["a", None]


def test_the_first_of_several_choices_is_told() -> None:
    said = told(START, Text("a"), Text("b", 1), Finished("length"), Finished("stop", 1))
    assert [line["message"]["content"] for line in said] == ["a", ""]
    assert said[-1]["done_reason"] == "length"
    reply = Reply(choices=[Choice(0, text="a"), Choice(1, text="b")])
    assert OLLAMA.write_reply(reply)["message"]["content"] == "a"


def test_log_probabilities_stand_beside_their_text() -> None:
    token = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    said = told(START, Logprobs({"content": [token], "refusal": None}), Text("a"), Logprobs({"content": [token]}), *END)
    assert [line.get("logprobs") for line in said] == [[{"token": "a", "logprob": -1.0}]] * 2


def test_what_nobody_knows_is_kept_on_the_last_line() -> None:
    said = told(
        Started("i", "m", 1, {"system_fingerprint": "fp"}),
        Text("a"),
        Noted("message", {"annotations": [1]}),
        Noted("message", {"annotations": [2]}),
        Noted("choice", {"stop_reason": 7}),
        *END,
    )
    assert said[-1]["system_fingerprint"] == "fp" and said[-1]["stop_reason"] == 7
    assert said[-1]["message"]["annotations"] == [1, 2]


def test_durations_and_times_are_measured_where_no_provider_tells_them() -> None:
    clock = iter([1.0, 1.5, 1.5, 2.0, 2.0])
    stamp = Stamp("0" * 32, 1760000000, lambda: next(clock))
    first, last = told(START, Text("a"), *END, stamp=stamp)
    assert first["created_at"] == "2025-10-09T08:53:20.5Z"
    assert last["created_at"] == "2025-10-09T08:53:21Z"
    durations = {key: value for key, value in last.items() if key.endswith("duration")}
    assert durations == {
        "total_duration": 2_000_000_000,
        "load_duration": 0,
        "prompt_eval_duration": 1_500_000_000,
        "eval_duration": 500_000_000,
    }


def test_a_providers_own_durations_are_left_alone() -> None:
    whole = json.loads((WIRE / "ollama/text.json").read_text())["whole"]
    stamp = Stamp("0" * 32, 1760000000, lambda: 3.0)
    assert OLLAMA.write_reply(OLLAMA.read_reply(whole), stamp=stamp) == whole
    assert told(*unfold(OLLAMA.read_reply(whole)), stamp=stamp)[-1]["total_duration"] == whole["total_duration"]


def test_a_reply_without_a_model_names_the_one_asked_for() -> None:
    ask = OLLAMA.read_ask(b'{"model":"asked","messages":[]}')
    assert OLLAMA.write_reply(Reply(choices=[Choice(text="a")]), ask=ask)["model"] == "asked"
    assert told(Text("a"), *END, ask=ask)[0]["model"] == "asked"


def test_calls_without_an_id_get_the_same_one_each_time() -> None:
    data = (WIRE / "ollama/calls_of_an_old_server.ndjson").read_bytes()
    repairs: dict[str, int] = {}
    one = fold(OLLAMA.read_stream(frames(data), repair=True, repairs=repairs)).choices[0].calls
    other = fold(OLLAMA.read_stream(frames(data), repair=True)).choices[0].calls
    assert [call.id for call in one] == [call.id for call in other]
    assert len({call.id for call in one}) == 2 and all(call.id.startswith("call_") for call in one)
    assert repairs == {"tool_call_id": 2}


def test_failures_are_told_as_ollama_tells_them() -> None:
    failed = Failed(401, "invalid_api_key", "unauthorized", extra={"signin_url": "https://x.example", "error": "no"})
    assert OLLAMA.write_failed(failed) == {"error": "unauthorized", "signin_url": "https://x.example"}
    assert lines(OLLAMA.write_failed_stream(failed)) == [OLLAMA.write_failed(failed)]
    assert told(START, Text("a"), failed, *END)[1:] == [OLLAMA.write_failed(failed)]


def test_failures_are_read_as_ollama_tells_them() -> None:
    failed = OLLAMA.read_failure(404, [], b'{"error":"model \'x\' not found"}')
    assert (failed.status, failed.type, failed.code, failed.param) == (
        404,
        "invalid_request_error",
        "model_not_found",
        "model",
    )


TIMES = {
    "2026-08-21T18:00:00.123456789Z": 1787335200,
    "2026-08-21T18:00:00Z": 1787335200,
    "2026-08-21t18:00:00.5z": 1787335200,
    "2026-08-21T20:00:00+02:00": 1787335200,
    "2026-08-21T10:30:00.1-07:30": 1787335200,
    "2026-08-21 18:00:00": 1787335200,
    "2026-13-21T18:00:00Z": 0,
    "yesterday": 0,
    "": 0,
    None: 0,
    7: 0,
}


@pytest.mark.parametrize(("text", "seconds"), TIMES.items(), ids=str)
def test_times_are_read_with_any_number_of_decimals(text: Any, seconds: int) -> None:
    assert read_time(text) == seconds


def test_times_are_written_with_the_decimals_they_have() -> None:
    assert write_time(1787335200_123456789) == "2026-08-21T18:00:00.123456789Z"
    assert write_time(1787335200_500000000) == "2026-08-21T18:00:00.5Z"
    assert write_time(1787335200_000000000) == "2026-08-21T18:00:00Z"
    assert write_time(-5) == "1970-01-01T00:00:00Z"
    assert write_time(10**30) == "9999-12-31T23:59:59Z"
