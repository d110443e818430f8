"""Crossing streams: what other providers say as Anthropic's events, and the other way (reference 1.10-1.15, 6)."""

from __future__ import annotations

import json
from typing import Any, Iterable

import pytest
from anthropic_checker import check_failed_stream, check_stream
from sdk_reader import sdk_read

from proxy.chat.ask import Ask
from proxy.chat.events import (
    Audio,
    Event,
    Failed,
    Finished,
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
from proxy.dialects import DIALECTS, Stamp
from proxy.dialects.anthropic import ANTHROPIC
from proxy.dialects.anthropic_failures import status_of
from proxy.dialects.anthropic_names import short_name
from proxy.dialects.anthropic_tables import UNSIGNED
from proxy.errors import ProxyError, failure
from proxy.framing import Frame
from proxy.framing.sse import read_sse

CHAT = DIALECTS["openai"]


def frames(data: bytes) -> list[Frame]:
    return [frame for batch in read_sse([data]) for frame in batch]


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps({**said, **more}).encode() + b"\n\n"


def piece(index: int, arguments: str, identity: str = "", name: str = "") -> Any:
    head = {"id": identity, "type": "function"} if identity else {}
    named = {"name": name} if name else {}
    return {"tool_calls": [{"index": index, **head, "function": {**named, "arguments": arguments}}]}


def told(*chunks: bytes, **terms: Any) -> list[str]:
    """A chat stream as the story of its Anthropic events."""
    events = CHAT.read_stream(frames(b"".join(chunks)), repair=True)
    return story(b"".join(ANTHROPIC.write_stream(events, show_usage=True, **terms)))


def spoken(events: Iterable[Event], **terms: Any) -> list[Any]:
    return check_stream(b"".join(ANTHROPIC.write_stream(events, show_usage=True, **terms)))


def story(data: bytes) -> list[str]:
    return [line(event) for event in check_stream(data)]


def line(event: Any) -> str:
    """One event in a few words."""
    kind = event["type"]
    if kind == "content_block_start":
        block = event["content_block"]
        return f"start{event['index']} {block['type']}" + (f" {block['id']} {block['name']}" if "id" in block else "")
    if kind == "content_block_delta":
        return f"{event['delta']['type']} {list(event['delta'].values())[1]}"
    if kind == "content_block_stop":
        return f"stop{event['index']}"
    return f"{kind} {event['delta']['stop_reason']}" if kind == "message_delta" else kind


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
USAGE["prompt_tokens_details"] = {"cached_tokens": 60}  # type: ignore[assignment]
V1 = [
    chunk({"role": "assistant", "content": "", "reasoning_content": "Th"}),
    chunk({"reasoning_content": "ink", "content": None}),
    chunk({"content": "Hi"}),
    chunk(piece(0, "", "c1", "f")),
    chunk(piece(0, '{"a":1}')),
    chunk(piece(1, "{}", "c2", "g")),
    chunk({}, "stop"),
    chunk(None, usage=USAGE),
    DONE,
]


def test_golden_vector_1_a_stream_of_everything() -> None:
    assert told(*V1) == [
        "message_start",
        "start0 thinking",
        "thinking_delta Th",
        "thinking_delta ink",
        f"signature_delta {UNSIGNED}",
        "stop0",
        "start1 text",
        "text_delta Hi",
        "stop1",
        "start2 tool_use c1 f",
        'input_json_delta {"a":1}',
        "stop2",
        "start3 tool_use c2 g",
        "input_json_delta {}",
        "stop3",
        "message_delta tool_use",
        "message_stop",
    ]
    events = CHAT.read_stream(frames(b"".join(V1)), repair=True)
    *_, end, _ = spoken(events)
    want = {"input_tokens": 40, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 0, "output_tokens": 20}
    assert end["usage"] == want


CASES = {
    "V2 interleaved fragments": (
        [piece(0, '{"a":', "c1", "f"), piece(1, '{"b":', "c2", "g"), piece(0, "1}"), piece(1, "2}")],
        ["start0 tool_use c1 f", 'input_json_delta {"a":', "input_json_delta 1}", "stop0"]
        + ["start1 tool_use c2 g", 'input_json_delta {"b":', "input_json_delta 2}", "stop1"],
    ),
    "V3 same index, two calls": (
        [piece(0, "{}", "a", "f"), piece(0, "{}", "b", "g")],
        ["start0 tool_use a f", "input_json_delta {}", "stop0", "start1 tool_use b g", "input_json_delta {}", "stop1"],
    ),
    "two heads, then their arguments": (
        [piece(0, "", "a", "f"), piece(1, "", "b", "g"), piece(0, '{"x":1}'), piece(1, '{"y":2}')],
        ["start0 tool_use a f", 'input_json_delta {"x":1}', "stop0"]
        + ["start1 tool_use b g", 'input_json_delta {"y":2}', "stop1"],
    ),
    "three calls interleaved": (
        [piece(i, '{"n":', f"c{i}", f"f{i}") for i in range(3)] + [piece(i, f"{i}}}") for i in (2, 0, 1)],
        [
            word
            for i in range(3)
            for word in (
                f"start{i} tool_use c{i} f{i}",
                'input_json_delta {"n":',
                f"input_json_delta {i}}}",
                f"stop{i}",
            )
        ],
    ),
    "no arguments at all": ([piece(0, "", "a", "f")], ["start0 tool_use a f", "input_json_delta {}", "stop0"]),
    "arguments that are no object": (
        [piece(0, "[1", "a", "f"), piece(0, ",2]")],
        ["start0 tool_use a f", 'input_json_delta {"_raw_arguments":"[1,2]"}', "stop0"],
    ),
    "blanks before the arguments": (
        [piece(0, " ", "a", "f"), piece(0, ' {"x"'), piece(0, ":1}")],
        ["start0 tool_use a f", 'input_json_delta   {"x"', "input_json_delta :1}", "stop0"],
    ),
    "text while a call is open": (
        [piece(0, '{"x"', "a", "f"), {"content": "\n"}, piece(0, ":1}")],
        ["start0 tool_use a f", 'input_json_delta {"x"', "input_json_delta :1}", "stop0"]
        + ["start1 text", "text_delta \n", "stop1"],
    ),
    "a strange id, and one twice": (
        [piece(0, "{}", "functions.Bash:0", "f"), piece(1, "{}", "functions_Bash:0", "g")],
        ["start0 tool_use functions_Bash_0 f", "input_json_delta {}", "stop0"]
        + ["start1 tool_use functions_Bash_0_2 g", "input_json_delta {}", "stop1"],
    ),
    "the deprecated function_call": (
        [{"function_call": {"name": "f", "arguments": '{"a"'}}, {"function_call": {"arguments": ":1}"}}],
        ["start0 tool_use ID f", 'input_json_delta {"a"', "input_json_delta :1}", "stop0"],
    ),
    "a custom call": (
        [{"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "p", "input": "*** B"}}]}],
        ["start0 tool_use a p", 'input_json_delta {"input":"*** B"}', "stop0"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_calls_become_blocks_one_after_the_other(name: str) -> None:
    deltas, want = CASES[name]
    said = told(*map(chunk, deltas), chunk({}, "tool_calls"), DONE)
    found = [text.replace(text.split(" ")[2], "ID") if "toolu_" in text else text for text in said[1:-2]]
    assert found == want
    assert said[-2:] == ["message_delta tool_use", "message_stop"]


def test_thinking_after_text_is_a_block_of_its_own() -> None:
    said = spoken(
        [Started("i", "m"), Reasoning("a"), Text("b"), Reasoning("c"), Reasoning("d"), Text("e"), Finished("stop")]
    )
    kinds = [event["content_block"]["type"] for event in said if event["type"] == "content_block_start"]
    assert kinds == ["thinking", "text", "thinking", "text"]


def test_reasoning_under_two_names_is_told_once() -> None:
    said = spoken([Reasoning("a"), Reasoning("a", 0, "reasoning"), Text("b"), Finished("stop")])
    assert [line(event) for event in said if event["type"] == "content_block_delta"][0] == "thinking_delta a"
    assert sum(event["type"] == "content_block_start" for event in said) == 2


def test_every_event_leaves_as_soon_as_it_came() -> None:
    seen: list[str] = []

    def events() -> Iterable[Event]:
        for event in [Started("i", "m", 1), Opened(), Text("a"), Text("b"), Reasoning("c")]:
            seen.append(type(event).__name__)
            yield event

    stream = ANTHROPIC.write_stream(events(), show_usage=True)
    last = [b""]
    for want, count in ((b'"a"', 3), (b'"b"', 4), (b'"c"', 5)):
        while want not in last[0]:
            last[0] = next(stream)  # type: ignore[call-overload]
        assert len(seen) == count


@pytest.mark.parametrize(
    ("reason", "calls", "extra", "want"),
    [
        ("stop", False, {}, ("end_turn", None)),
        (None, False, {}, ("end_turn", None)),
        ("novel", False, {}, ("end_turn", None)),
        ("stop", True, {}, ("tool_use", None)),
        ("tool_calls", True, {}, ("tool_use", None)),
        ("tool_calls", False, {}, ("end_turn", None)),
        ("function_call", False, {}, ("end_turn", None)),
        ("length", True, {}, ("max_tokens", None)),
        ("content_filter", False, {}, ("refusal", None)),
        ("stop", False, {"stop_reason": "###"}, ("stop_sequence", "###")),
        ("stop", False, {"stop_reason": 128009}, ("end_turn", None)),
        ("stop", False, {"matched_stop": "END"}, ("stop_sequence", "END")),
        ("stop", True, {"stop_reason": "###"}, ("tool_use", None)),
    ],
)
def test_why_an_answer_ended_is_told_in_streams_and_wholes_alike(
    reason: Any, calls: bool, extra: Any, want: Any
) -> None:
    choice = Choice(text="x", calls=[Call("a", "f")] if calls else [], reason=reason, extra=extra)
    whole = ANTHROPIC.write_reply(Reply("i", "m", choices=[choice]))
    events: list[Event] = [Text("x"), *([ToolCall(0, "a", "f")] if calls else []), Noted("choice", extra)]
    end = spoken([*events, *([Finished(reason)] if reason else [])])[-2]["delta"]
    assert (whole["stop_reason"], whole["stop_sequence"]) == want == (end["stop_reason"], end["stop_sequence"])


@pytest.mark.parametrize(
    ("told_reason", "want"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("compaction", "length"),
        ("pause_turn", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("novel", "novel"),
    ],
)
def test_stop_reasons_in_openais_words(told_reason: str, want: str) -> None:
    whole = {"content": [{"type": "text", "text": "x"}], "stop_reason": told_reason, "stop_sequence": None}
    assert ANTHROPIC.read_reply(whole).choices[0].reason == want


def test_a_refusal_and_speech_are_text() -> None:
    said = spoken([Refusal("No"), Refusal("."), Finished("stop")])
    assert [line(event) for event in said[1:5]] == ["start0 text", "text_delta No", "text_delta .", "stop0"]
    assert said[-2]["delta"]["stop_reason"] == "refusal"
    whole = ANTHROPIC.write_reply(Reply(choices=[Choice(refusal="No", audio={"transcript": "hm"}, reason="stop")]))
    assert (whole["content"], whole["stop_reason"]) == ([{"type": "text", "text": "Nohm"}], "refusal")
    assert line(spoken([Audio(transcript="hm"), Audio(data="QQ=="), Finished("stop")])[2]) == "text_delta hm"


def test_content_in_parts_and_content_that_is_json_become_text() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "so"}]
    whole = ANTHROPIC.write_reply(Reply(choices=[Choice(content=parts, reason="stop")]))
    assert [block["type"] for block in whole["content"]] == ["thinking", "text"]
    said = spoken([Part(parts), Part({"a": 1}), Finished("stop")])
    assert [line(event) for event in said if event["type"] == "content_block_delta"] == [
        "thinking_delta hm",
        f"signature_delta {UNSIGNED}",
        "text_delta so",
        'text_delta {"a":1}',
    ]


def test_only_the_first_choice_is_told() -> None:
    said = spoken([Text("a"), Text("b", 1), Finished("stop", 1), Finished("length")])
    assert [line(event) for event in said[1:-1]] == ["start0 text", "text_delta a", "stop0", "message_delta max_tokens"]


def test_a_signature_that_a_gateway_tells_beside_the_thinking_is_kept() -> None:
    note = Noted("message", {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "EqQ"}]})
    assert "signature_delta EqQ" in [
        line(event) for event in spoken([Reasoning("a"), note, Text("b"), Finished("stop")])
    ]
    block = {"type": "thinking", "thinking": "a", "signature": "EqQ", "index": 0}
    choice = Choice(text="b", reasoning={"reasoning_content": "a"}, note={"thinking_blocks": [block]})
    whole = ANTHROPIC.write_reply(Reply(choices=[choice]))
    assert whole["content"][0] == {"type": "thinking", "thinking": "a", "signature": "EqQ"}


ASK = Ask("asked", True, {"model": "asked", "messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 9})


def test_the_begin_tells_what_is_known_and_estimates_the_rest() -> None:
    first, *_, end, _ = spoken([Text("x" * 40), Finished("stop")], ask=ASK, stamp=Stamp("ab" * 16, 7))
    message = first["message"]
    assert (message["id"], message["model"]) == ("msg_" + "ab" * 16, "asked")
    assert 100 <= message["usage"]["input_tokens"] <= 120
    assert end["usage"] == {"output_tokens": 10}, "an input of 0 would replace the estimate"
    first, *_ = spoken([Started("chatcmpl-x", "m"), Usage({"prompt_tokens": 7}), Text("a"), Finished("stop")], ask=ASK)
    assert (first["message"]["id"], first["message"]["usage"]["input_tokens"]) == ("msg_x", 7)
    whole = ANTHROPIC.write_reply(Reply(choices=[Choice(text="hello")]), ask=ASK, stamp=Stamp("cd" * 16, 7))
    assert whole["id"] == "msg_" + "cd" * 16 and whole["usage"]["output_tokens"] > 0 < whole["usage"]["input_tokens"]


def test_names_that_were_shortened_are_restored() -> None:
    name = "mcp__" + "x" * 90
    ask = Ask("m", True, {"tools": [{"name": name, "input_schema": {}}], "messages": []})
    said = spoken([ToolCall(0, "a", short_name(name)), Finished("tool_calls")], ask=ask)
    assert said[1]["content_block"]["name"] == name
    whole = ANTHROPIC.write_reply(Reply(choices=[Choice(calls=[Call("a", short_name(name))])]), ask=ask)
    assert whole["content"][0]["name"] == name
    assert len(short_name(name)) == 64 and short_name("f") == "f"


@pytest.mark.parametrize(
    "begun", [[], [Text("Hal")], [ToolCall(0, "a", "f"), ToolArguments(0, '{"x')], [Reasoning("a")]]
)
def test_a_failure_closes_the_open_block_and_is_the_last_event(begun: Any) -> None:
    failed = Failed(503, "server_is_overloaded", "Overloaded", "service_unavailable_error")
    error = check_failed_stream(b"".join(ANTHROPIC.write_stream([*begun, failed, Text("never")], show_usage=True)))
    assert error["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_golden_vector_4_a_stream_that_breaks_is_closed_and_the_failure_goes_on() -> None:
    said: list[bytes] = []
    with pytest.raises(ProxyError) as caught:
        said.extend(ANTHROPIC.write_stream(CHAT.read_stream(frames(V1[2]), repair=True), show_usage=True))
    data = b"".join(said) + ANTHROPIC.write_failed_stream(caught.value.failed)
    error = check_failed_stream(data)
    assert error["error"]["type"] == "api_error"
    assert b"content_block_stop" in data and b"message_stop" not in data


V7 = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 9, "cache_read_input_tokens": 7},
    },
    {"type": "message_stop"},
]


def test_golden_vector_7_a_call_without_arguments_in_chunks() -> None:
    data = b"".join(f"event: {said['type']}\ndata: {json.dumps(said)}\n\n".encode() for said in V7)
    wire = b"".join(CHAT.write_stream(ANTHROPIC.read_stream(frames(data), repair=True), show_usage=True))
    *chunks, done = frames(wire)
    assert done.data == b"[DONE]"
    deltas = [choice["delta"] for one in chunks for choice in json.loads(one.data)["choices"]]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": "Hi"},
        {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {},
    ]
    usage = json.loads(chunks[-1].data)["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (12, 9, 21)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 7
    assert sdk_read(wire)["choices"][0]["finish_reason"] == "tool_calls"


def test_clients_of_chat_see_signed_thinking_beside_the_reasoning() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": "EqQ"}
    hidden = {"type": "redacted_thinking", "data": "Emw="}
    whole = {"content": [signed, hidden, {"type": "text", "text": "a"}], "stop_reason": "end_turn"}
    reply = ANTHROPIC.read_reply(whole)
    message = CHAT.write_reply(reply)["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("a", "hm")
    assert message["thinking_blocks"] == [signed, hidden]
    assert "anthropic" not in message, "content that says itself is not told twice"
    events = ANTHROPIC.read_stream(
        frames(b"".join(ANTHROPIC.write_stream(unfold(reply), show_usage=True))), repair=True
    )
    live = sdk_read(b"".join(CHAT.write_stream(events, show_usage=True)))["choices"][0]["message"]
    assert live["thinking_blocks"] == [signed, hidden] and live["reasoning_content"] == "hm"


def test_citations_of_the_web_are_annotations() -> None:
    cited = {"type": "web_search_result_location", "url": "https://a.example/", "title": "A", "cited_text": "x"}
    blocks = [{"type": "text", "text": "So "}, {"type": "text", "text": "it is", "citations": [cited]}]
    message = CHAT.write_reply(ANTHROPIC.read_reply({"content": blocks, "stop_reason": "end_turn"}))["choices"][0][
        "message"
    ]
    about = {"start_index": 3, "end_index": 8, "url": "https://a.example/", "title": "A"}
    assert message["annotations"] == [{"type": "url_citation", "url_citation": about}]
    assert message["anthropic"] == {"content": blocks}


@pytest.mark.parametrize(
    ("own", "counts"),
    [
        ({"input_tokens": 5, "output_tokens": 2}, (5, 2, 7, 0, 0, 0)),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 1},
            (10, 1, 11, 3, 2, 0),
        ),
        ({"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 1}, (0, 1, 1, 0, 0, 0)),
        ({"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}, (1, 9, 10, 0, 0, 4)),
        ({}, (0, 0, 0, 0, 0, 0)),
    ],
)
def test_usage_in_openais_account(own: Any, counts: Any) -> None:
    usage: Any = ANTHROPIC.read_reply({"content": [], "usage": own}).usage
    details = usage["prompt_tokens_details"]
    thought = usage["completion_tokens_details"]["reasoning_tokens"]
    told_counts = tuple(usage[f"{name}_tokens"] for name in ("prompt", "completion", "total"))
    assert (*told_counts, details["cached_tokens"], details["cache_write_tokens"], thought) == counts
    assert ANTHROPIC.write_reply(Reply(choices=[Choice()], usage=usage))["usage"] == own


@pytest.mark.parametrize(
    ("counts", "own"),
    [
        (USAGE, (40, 0, 60, 20)),
        ({"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, (6, 0, 4, 1)),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cache_write_tokens": 3}},
            (7, 3, 0, 1),
        ),
        ({"prompt_tokens": 1, "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": 5}}, (0, 0, 5, 0)),
        ({"prompt_tokens_details": None}, (0, 0, 0, 0)),
    ],
)
def test_usage_in_anthropics_account(counts: Any, own: Any) -> None:
    usage = ANTHROPIC.write_reply(Reply(choices=[Choice()], usage=counts))["usage"]
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    assert tuple(usage.get(name, 0) for name in names) == own
    assert ("cache_read_input_tokens" in usage) == ("prompt_tokens" in counts), "what nobody knows is not zero"


def test_reasoning_tokens_are_thinking_tokens() -> None:
    counts = {"completion_tokens_details": {"reasoning_tokens": 8}}
    usage = ANTHROPIC.write_reply(Reply(choices=[Choice()], usage=counts))["usage"]
    assert usage["output_tokens_details"] == {"thinking_tokens": 8}


@pytest.mark.parametrize(
    ("code", "status", "want"),
    [
        ("invalid_value", 400, "invalid_request_error"),
        ("invalid_api_key", 401, "authentication_error"),
        ("insufficient_quota", 429, "billing_error"),
        ("access_denied", 403, "permission_error"),
        ("model_not_found", 404, "not_found_error"),
        ("conflict", 409, "conflict_error"),
        ("request_too_large", 413, "request_too_large"),
        ("unprocessable_entity", 422, "invalid_request_error"),
        ("rate_limit_exceeded", 429, "rate_limit_error"),
        ("internal_error", 500, "api_error"),
        ("bad_gateway", 502, "api_error"),
        ("server_is_overloaded", 503, "overloaded_error"),
        ("idle_timeout", 504, "timeout_error"),
        (None, 418, "invalid_request_error"),
    ],
)
def test_failures_have_anthropics_types(code: Any, status: int, want: str) -> None:
    said = ANTHROPIC.write_failed(Failed(status, code, "words", extra={"request_id": "req_1"}))
    assert said == {"type": "error", "error": {"type": want, "message": "words"}, "request_id": "req_1"}


def test_a_failure_of_anthropics_own_keeps_its_type() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_9"}'
    said = ANTHROPIC.write_failed(ANTHROPIC.read_failure(529, [], body))
    assert said == json.loads(body)
    body = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'
    assert ANTHROPIC.write_failed(ANTHROPIC.read_failure(401, [], body)) == json.loads(body)


def test_a_prompt_that_is_too_long_is_told_in_the_words_that_agents_know() -> None:
    failed = Failed(400, "context_length_exceeded", "This model's maximum context length is 8 tokens.")
    assert ANTHROPIC.write_failed(failed)["error"]["message"].startswith("prompt is too long: This")
    assert (
        ANTHROPIC.write_failed(Failed(400, "context_length_exceeded", "Prompt is too long: 9 > 8"))["error"]["message"][
            0
        ]
        == "P"
    )


def test_our_own_failures_have_a_status_that_the_sdk_knows() -> None:
    assert status_of(failure("server_is_overloaded", "x").failed) == 529
    assert status_of(Failed(429, "insufficient_quota", "x")) == 402
    assert status_of(Failed(422, None, "x")) == 400
    assert status_of(Failed(429, "rate_limit_exceeded", "x")) == 429


def test_heartbeats_are_pings() -> None:
    assert [(frame.event, frame.data) for frame in frames(ANTHROPIC.heartbeat)] == [("ping", b'{"type":"ping"}')]


def test_calls_of_a_provider_that_gives_no_ids_have_other_ids_in_every_reply() -> None:
    ids = {
        ANTHROPIC.write_reply(Reply(one, "m", choices=[Choice(calls=[Call("", "f")])]))["content"][0]["id"]
        for one in ("a", "b")
    }
    assert len(ids) == 2 and all(identity.startswith("toolu_") for identity in ids)
    assert fold([ToolCall(0, "", "f")]).choices[0].calls[0].id == ""
