"""Asks: what is refused, and with which words; what is forwarded, and in which bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects import DIALECTS
from proxy.errors import ProxyError

CHAT, TEXT = DIALECTS["openai"], DIALECTS["completions"]
GOOD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

WRONG: dict[str, tuple[Any, str, Any, str]] = {
    "empty": (b"", "invalid_json", None, "no body"),
    "not json": (b'{"model": "m",\n "messages": [...]}', "invalid_json", None, "line 2, byte 29"),
    "not utf-8": (b'{"model": "\xff"}', "invalid_json", None, "byte 11"),
    "too deep": (b"[" * 100_000, "invalid_json", None, "nested"),
    "array": (b"[]", "invalid_type", None, "an array"),
    "no model": ({"messages": []}, "missing_required_parameter", "model", "'model'"),
    "null model": ({**GOOD, "model": None}, "invalid_type", "model", "null"),
    "model is a number": ({**GOOD, "model": 5}, "invalid_type", "model", "an integer"),
    "empty model": ({**GOOD, "model": ""}, "invalid_value", "model", "empty"),
    "no messages": ({"model": "m"}, "missing_required_parameter", "messages", "'messages'"),
    "messages is text": ({**GOOD, "messages": "hi"}, "invalid_type", "messages", "a string"),
    "stream is text": ({**GOOD, "stream": "true"}, "invalid_type", "stream", "a string"),
    "stream is a number": ({**GOOD, "stream": 1}, "invalid_type", "stream", "an integer"),
    "options are a list": ({**GOOD, "stream_options": []}, "invalid_type", "stream_options", "an array"),
}


@pytest.mark.parametrize("said, code, param, words", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_ask_is_told_what_is_wrong_and_where(said: Any, code: str, param: Any, words: str) -> None:
    with pytest.raises(ProxyError) as caught:
        CHAT.read_ask(said if isinstance(said, bytes) else json.dumps(said).encode())
    failed = caught.value.failed
    assert (failed.status, failed.type, failed.code, failed.param) == (400, "invalid_request_error", code, param)
    assert words in failed.message


@pytest.mark.parametrize("stream, meant", [(True, True), (False, False), (None, False), (..., False)])
def test_only_true_asks_for_a_stream(stream: Any, meant: bool) -> None:
    said = GOOD if stream is ... else {**GOOD, "stream": stream}
    assert CHAT.read_ask(json.dumps(said).encode()).stream is meant


@pytest.mark.parametrize(
    "more, name",
    [
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "f"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "c"),
        ({"function_call": {"name": "g"}}, "g"),
        ({"tool_choice": "required"}, None),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, None),
        ({}, None),
    ],
)
def test_the_tool_that_an_ask_names_is_known(more: Any, name: Any) -> None:
    assert CHAT.read_ask(json.dumps({**GOOD, **more}).encode()).named_tool == name


def test_of_a_key_sent_twice_the_last_counts_and_the_bytes_stay() -> None:
    body = b'{"model":"a","model":"b","messages":[]}'
    ask = CHAT.read_ask(body)
    assert ask.model == "b"
    assert CHAT.write_ask(ask, stream=False, ask_usage=False).body == body


ON, OFF = {"stream": True}, {"stream": False}
USAGE = {"stream_options": {"include_usage": True}}
PLAIN = {"stream_options": {"include_usage": False, "x": 1}}
ROWS: list[
    tuple[Any, Any, Any]
] = [  # what the client said, how it is written, what the provider hears; ...: as it came
    ({}, {"stream": False}, ...),
    ({"stream": None}, {"stream": False}, ...),
    (OFF, {"stream": False}, ...),
    (ON, {"stream": True}, ...),
    ({**ON, "stream_options": None}, {"stream": True}, ...),
    ({**ON, **USAGE}, {"stream": True, "ask_usage": True}, ...),
    ({}, {"stream": True}, ON),
    ({}, {"stream": True, "ask_usage": True}, {**ON, **USAGE}),
    (ON, {"stream": True, "ask_usage": True}, {**ON, **USAGE}),
    ({**ON, "stream_options": None}, {"stream": True, "ask_usage": True}, {**ON, **USAGE}),
    ({**ON, **PLAIN}, {"stream": True, "ask_usage": True}, {**ON, "stream_options": {"include_usage": True, "x": 1}}),
    ({**ON, **PLAIN}, {"stream": True}, ...),
    ({**ON, **USAGE}, {"stream": False}, OFF),
    ({**OFF, **USAGE}, {"stream": False}, OFF),
    ({**ON, **USAGE}, {"stream": True, "options": False}, ON),
    ({**ON, **USAGE}, {"stream": True, "options": False, "ask_usage": True}, ON),
]


@pytest.mark.parametrize("said, mode, heard", ROWS)
def test_the_provider_hears_the_mode_and_otherwise_the_clients_own_bytes(said: Any, mode: Any, heard: Any) -> None:
    body = json.dumps({**GOOD, **said, "unknown": {"k": [1.5, None]}}, indent=2).encode()
    written = CHAT.write_ask(CHAT.read_ask(body), **{"ask_usage": False, **mode}).body
    if heard is ...:
        assert written == body
    else:
        assert json.loads(written) == {**GOOD, **heard, "unknown": {"k": [1.5, None]}}


@pytest.mark.parametrize("prompt", ["hi", ["a", "b"], [1, 2], [[1], [2]]])
def test_a_prompt_may_have_any_form(prompt: Any) -> None:
    ask = TEXT.read_ask(json.dumps({"model": "m", "prompt": prompt, **ON, **USAGE}).encode())
    assert ask.body["prompt"] == prompt and ask.stream and ask.show_usage


def test_half_a_character_does_not_make_an_ask_unreadable() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}'
    ask = CHAT.read_ask(body)
    assert CHAT.write_ask(ask, stream=False, ask_usage=False).body == body
    assert json.loads(CHAT.write_ask(ask, stream=True, ask_usage=False).body)["messages"] == ask.body["messages"]
