"""Asks: DashScope's own, read and restated; OpenAI's spelled for DashScope; and DashScope's as OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.dashscope import DASHSCOPE
from proxy.dialects.dashscope_asked import AMENDS, amend
from proxy.dialects.dashscope_forms import MULTIMODAL_PATH
from proxy.errors import ProxyError

SSE = [("x-dashscope-sse", "Enable")]
USER = [{"role": "user", "content": "hi"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "high"}}


def native(model: str = "qwen-plus", **said: Any) -> bytes:
    return json.dumps({"model": model, "input": {"messages": USER}, **said}).encode()


def refused(call: Any, *args: Any, **terms: Any) -> Any:
    with pytest.raises(ProxyError) as caught:
        call(*args, **terms)
    assert caught.value.failed.status == 400
    return caught.value.failed


def written(stream: bool = False, **said: Any) -> Any:
    asked = DASHSCOPE.write_chat({"model": "qwen-plus", "messages": USER, **said}, stream=stream)
    return json.loads(asked.body)


def parameters(**said: Any) -> Any:
    told = written(**said)["parameters"]
    assert told.pop("result_format") == "message"
    return told


@pytest.mark.parametrize(
    "headers, stream",
    [
        ([], False),
        (SSE, True),
        ([("X-DashScope-SSE", "disable")], False),
        ([("Accept", "text/event-stream")], True),
        ([("Accept", "application/json; charset=utf-8")], False),
    ],
)
def test_headers_and_not_the_body_ask_for_a_stream(headers: Any, stream: bool) -> None:
    ask = DASHSCOPE.read_ask(native(stream=not stream), headers)
    assert (ask.stream, ask.model, ask.show_usage) == (stream, "qwen-plus", True)


@pytest.mark.parametrize(
    "body, param",
    [
        (b"{", None),
        (b'{"input":{}}', "model"),
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":[]}', "input"),
        (b'{"model":"m","input":{},"parameters":[]}', "parameters"),
        (b'{"model":"","input":{}}', "model"),
    ],
)
def test_an_ask_that_cannot_be_read_is_refused_by_the_fields_name(body: bytes, param: Any) -> None:
    assert refused(DASHSCOPE.read_ask, body).param == param


def test_the_same_mode_sends_the_very_bytes_and_the_headers_that_ask_for_it() -> None:
    for headers, stream in (([], False), (SSE, True)):
        body = native(parameters={"seed": 1}) + b" "
        asked = DASHSCOPE.write_ask(DASHSCOPE.read_ask(body, headers), stream=stream, ask_usage=True)
        assert (asked.body, asked.path, asked.dropped) == (body, "", ())
        told = dict(asked.headers)
        assert told["Accept"] == ("text/event-stream" if stream else "application/json")
        assert told.get("X-DashScope-SSE") == ("enable" if stream else None)


def test_the_other_mode_changes_headers_and_asks_for_news_where_we_fold() -> None:
    whole = DASHSCOPE.read_ask(native(parameters={"seed": 1}))
    asked = DASHSCOPE.write_ask(whole, stream=True, ask_usage=True)
    assert json.loads(asked.body)["parameters"] == {"seed": 1, "incremental_output": True}
    streamed = DASHSCOPE.read_ask(native(), SSE)
    asked = DASHSCOPE.write_ask(streamed, stream=False, ask_usage=False)
    assert asked.body == native()
    assert dict(asked.headers) == {"X-DashScope-SSE": "disable", "Accept": "application/json"}


@pytest.mark.parametrize(
    "said, path",
    [
        ({"messages": USER}, ""),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, MULTIMODAL_PATH),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}]}]}, ""),
        ({"messages": [*USER, {"role": "assistant", "content": [], "tool_calls": []}]}, ""),
        ({"prompt": "a"}, ""),
        ({"text": "a", "voice": "v"}, MULTIMODAL_PATH),
    ],
)
def test_an_own_ask_goes_to_the_endpoint_of_its_kind(said: Any, path: str) -> None:
    ask = DASHSCOPE.read_ask(json.dumps({"model": "m", "input": said}).encode())
    assert DASHSCOPE.write_ask(ask, stream=False, ask_usage=False).path == path


@pytest.mark.parametrize(
    "model, content, path",
    [
        ("qwen-plus", "hi", ""),
        ("qwen-plus", [{"type": "text", "text": "hi"}], ""),
        ("qwen-plus", [IMAGE], MULTIMODAL_PATH),
        *[
            (model, "hi", MULTIMODAL_PATH)
            for model in ("qwen-vl-max", "QVQ-max", "qwen3-omni-flash", "qwen3.5-plus", "qwen-audio-turbo", "qwen3-asr")
        ],
        *[(model, "hi", "") for model in ("qwen-max", "qwen3-max", "qwq-plus", "deepseek-v3", "qwen2.5-72b-instruct")],
    ],
)
def test_the_model_or_the_parts_choose_the_endpoint(model: str, content: Any, path: str) -> None:
    chat = {"model": model, "messages": [{"role": "user", "content": content}]}
    asked = DASHSCOPE.write_chat(chat, stream=True)
    said = json.loads(asked.body)["input"]["messages"][0]["content"]
    assert asked.path == path and isinstance(said, list) == bool(path)
    assert dict(asked.headers) == {"X-DashScope-SSE": "enable", "Accept": "text/event-stream"}


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGES = [
    ({"role": "developer", "content": "d"}, {"role": "system", "content": "d"}),
    ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, {"content": "a\nb"}),
    (
        {"role": "system", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {"content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
    ),
    (
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "r"},
        {"content": "", "tool_calls": [{"index": 0, **CALL}], "reasoning_content": "r"},
    ),
    (
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": 'x"'}}]},
        {"tool_calls": [{"index": 0, **CALL, "function": {"name": "f", "arguments": '{"input":"x\\""}'}}]},
    ),
    (
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"tool_calls": [{"index": 0, **CALL, "id": "f"}]},
    ),
    ({"role": "function", "name": "f", "content": "1"}, {"role": "tool", "tool_call_id": "f", "content": "1"}),
    (
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "1"}]},
        {"tool_call_id": "c", "content": "1"},
    ),
    ({"role": "assistant", "content": None, "refusal": "No"}, {"content": "No"}),
    ({"role": "assistant", "content": "a", "partial": True, "x": 1}, {"content": "a", "partial": True, "x": 1}),
    (
        {"role": "user", "content": [IMAGE, {"type": "text", "text": "b"}]},
        {"content": [{"image": "data:image/png;base64,AA"}, {"text": "b"}]},
    ),
    (
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}]},
        {"content": [{"audio": "data:audio/mp3;base64,AA"}]},
    ),
    (
        {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "http://v"}, "fps": 2}]},
        {"content": [{"video": "http://v", "fps": 2}]},
    ),
    ({"role": "user", "content": [{"type": "video", "video": ["a", "b"]}]}, {"content": [{"video": ["a", "b"]}]}),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": "http://i"}]},
        {"content": [{"image": "http://i"}]},
    ),
]


@pytest.mark.parametrize("said, meant", MESSAGES)
def test_messages_are_spelled_by_the_table(said: Any, meant: Any) -> None:
    told = written(messages=[said])["input"]["messages"]
    assert len(told) == 1 and {key: told[0].get(key) for key in meant} == meant


@pytest.mark.parametrize(
    "message, param",
    [
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}, "messages[0].content"),
        ({"role": "user", "content": [IMAGE, {"type": "hologram"}]}, "messages[0].content[1]"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[0].content[0].image_url.url"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ("hi", "messages[0]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_place(message: Any, param: str) -> None:
    chat = {"model": "qwen-plus", "messages": [message]}
    assert refused(DASHSCOPE.write_chat, chat, stream=False).param == param


def test_an_uploaded_file_is_a_message_of_its_own_to_the_model_that_takes_it() -> None:
    content = [{"type": "file", "file": {"file_id": "file-1"}}, {"type": "text", "text": "?"}]
    told = written(model="qwen-long", messages=[{"role": "user", "content": content}])["input"]["messages"]
    assert told == [{"role": "system", "content": "fileid://file-1"}, {"role": "user", "content": "?"}]


TOOL = {"type": "function", "function": {"name": "f"}}
OTHER = {"type": "function", "function": {"name": "g"}}
NAMED = {"type": "function", "function": {"name": "f"}}
PARAMETERS = [
    ({"temperature": 2}, {"temperature": 1.99}),
    ({"temperature": 0.7}, {"temperature": 0.7}),
    ({"top_p": 0}, {"top_p": 0.001}),
    ({"top_p": 1.0}, {"top_p": 0.9999}),
    ({"top_p": 0.5}, {"top_p": 0.5}),
    ({"seed": -5}, {"seed": 5}),
    ({"seed": 7}, {"seed": 7}),
    ({"max_tokens": 5, "max_completion_tokens": 9}, {"max_tokens": 9}),
    ({"max_completion_tokens": 9, "max_tokens": 5}, {"max_tokens": 9}),
    ({"logprobs": True, "top_logprobs": 20}, {"logprobs": True, "top_logprobs": 5}),
    ({"stop": ["a"], "n": 2, "presence_penalty": 1}, {"stop": ["a"], "n": 2, "presence_penalty": 1}),
    ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    ({"reasoning_effort": "none"}, {"enable_thinking": False}),
    ({"reasoning_effort": "low"}, {"enable_thinking": True}),
    ({"enable_thinking": False, "reasoning_effort": "high"}, {"enable_thinking": False}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 9}},
        {"enable_thinking": True, "thinking_budget": 9},
    ),
    ({"chat_template_kwargs": {"enable_thinking": False}}, {"enable_thinking": False}),
    ({"web_search_options": {}}, {"enable_search": True}),
    ({"enable_search": True, "top_k": 3, "whatever": 1}, {"enable_search": True, "top_k": 3, "whatever": 1}),
    ({"modalities": ["text"], "audio": {"voice": "v"}}, {"modalities": ["text"], "audio": {"voice": "v"}}),
    ({"temperature": None, "user": None, "stream_options": {"include_usage": True}}, {}),
    ({"result_format": "text", "incremental_output": False}, {}),
    ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": "auto"}),
    ({"tools": [TOOL, OTHER], "tool_choice": "required"}, {"tools": [TOOL, OTHER], "tool_choice": "auto"}),
    ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": NAMED}),
    (
        {
            "tools": [TOOL, OTHER],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
        },
        {"tools": [TOOL], "tool_choice": NAMED},
    ),
    ({"functions": [{"name": "f"}], "function_call": {"name": "f"}}, {"tools": [TOOL], "tool_choice": NAMED}),
    ({"tools": [TOOL], "parallel_tool_calls": False}, {"tools": [TOOL], "parallel_tool_calls": False}),
]


@pytest.mark.parametrize("said, meant", PARAMETERS)
def test_parameters_are_spelled_by_the_table(said: Any, meant: Any) -> None:
    assert parameters(**said) == meant
    assert parameters(stream=True, **said) == {**meant, "incremental_output": True}


def test_an_image_to_look_at_closely_sets_the_parameter_for_it() -> None:
    assert parameters(messages=[{"role": "user", "content": [IMAGE]}]) == {"vl_high_resolution_images": True}


@pytest.mark.parametrize(
    "said, dropped",
    [
        ({"frequency_penalty": 0.5, "user": "u", "logit_bias": {"1": 2}}, ("frequency_penalty", "user", "logit_bias")),
        ({"frequency_penalty": 0, "store": False, "service_tier": "auto", "metadata": {}}, ()),
        ({"stream_options": {"include_usage": True}, "stream": True}, ()),
        ({"tools": [TOOL, {"type": "custom", "custom": {"name": "c"}}]}, ("tools",)),
        ({"chat_template_kwargs": {"enable_thinking": True, "x": 1}}, ("chat_template_kwargs",)),
        ({"seed": 1, "prompt_cache_key": "k", "verbosity": "low"}, ("prompt_cache_key", "verbosity")),
    ],
)
def test_parameters_without_a_twin_are_named(said: Any, dropped: Any) -> None:
    chat = {"model": "qwen-plus", "messages": USER, **said}
    assert DASHSCOPE.write_chat(chat, stream=False).dropped == dropped


numbers = st.one_of(st.none(), st.integers(-3, 3), st.floats(-3, 3), st.just(2.0))
parts = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=3)}),
    st.just(IMAGE),
    st.just({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
)
contents = st.one_of(st.none(), st.text(max_size=3), st.lists(parts, max_size=3))
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]), "content": contents},
    optional={"tool_calls": st.lists(st.just(CALL), max_size=2), "name": st.just("n")},
)
chats = st.fixed_dictionaries(
    {"model": st.sampled_from(["qwen-plus", "qwen-vl-max"]), "messages": st.lists(messages, min_size=1, max_size=3)},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "seed": st.integers(-(2**63), 2**63),
        "top_logprobs": st.integers(0, 20),
        "tool_choice": st.sampled_from(["none", "auto", "required", NAMED]),
        "tools": st.lists(st.sampled_from([TOOL, OTHER, {"type": "custom", "custom": {"name": "c"}}]), max_size=3),
        "frequency_penalty": numbers,
        "user": st.text(max_size=2),
        "reasoning_effort": st.sampled_from(["none", "low", "high"]),
    },
)
IN_RANGE = {
    "temperature": lambda value: 0 <= value < 2,
    "top_p": lambda value: 0 < value <= 1,
    "seed": lambda value: 0 <= value < 2**63,
    "top_logprobs": lambda value: 0 <= value <= 5,
    "tool_choice": lambda value: value in ("none", "auto") or isinstance(value, dict),
    "tools": lambda value: value and all(tool["type"] == "function" for tool in value),
    "enable_thinking": lambda value: isinstance(value, bool),
    "result_format": lambda value: value == "message",
    "incremental_output": lambda value: value is True,
    "vl_high_resolution_images": lambda value: value is True,
}


@settings(max_examples=150, deadline=None)
@given(chats, st.booleans())
def test_whatever_is_asked_what_is_written_keeps_the_rules_of_the_provider(chat: Any, stream: bool) -> None:
    asked = DASHSCOPE.write_chat(chat, stream=stream)
    body = json.loads(asked.body)
    assert body.keys() == {"model", "input", "parameters"}
    assert all(IN_RANGE[name](value) for name, value in body["parameters"].items())
    assert body["parameters"].get("incremental_output", False) is stream
    for message in body["input"]["messages"]:
        assert message["role"] in ("system", "user", "assistant", "tool")
        assert isinstance(message["content"], list if asked.path else str)
        assert all(len(part) == 1 for part in message["content"] if asked.path)
        calls = message.get("tool_calls", [])
        assert [call["index"] for call in calls] == list(range(len(calls)))


def chat_of(**said: Any) -> Any:
    return DASHSCOPE.read_chat(DASHSCOPE.read_ask(json.dumps({"model": "m", **said}).encode()))


READ = [
    ({"prompt": "p"}, [{"role": "user", "content": "p"}]),
    (
        {"prompt": "p", "history": [{"user": "u", "bot": "b"}]},
        [
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "p"},
        ],
    ),
    (
        {"messages": [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]},
        [{"role": "user", "content": "a\nb"}],
    ),
    (
        {"messages": [{"role": "user", "content": [{"image": "http://i"}, {"text": "b"}]}]},
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "http://i"}},
                    {"type": "text", "text": "b"},
                ],
            }
        ],
    ),
    (
        {"messages": [{"role": "user", "content": [{"audio": "data:audio/mpeg;base64,AA"}, {"video": "http://v"}]}]},
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}},
                    {"type": "video_url", "video_url": {"url": "http://v"}},
                ],
            }
        ],
    ),
    (
        {"messages": [{"role": "assistant", "content": [], "tool_calls": [{"index": 0, **CALL}]}]},
        [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
    ),
    (
        {"messages": [{"role": "tool", "content": "1", "id": "c", "name": "f"}]},
        [{"role": "tool", "content": "1", "tool_call_id": "c", "name": "f"}],
    ),
    (
        {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "r", "partial": True}]},
        [{"role": "assistant", "content": "a", "reasoning_content": "r", "partial": True}],
    ),
]


@pytest.mark.parametrize("said, meant", READ)
def test_the_messages_of_a_client_of_the_protocol_are_openais(said: Any, meant: Any) -> None:
    assert chat_of(input=said) == {"model": "m", "messages": meant}


@pytest.mark.parametrize(
    "said, meant",
    [
        ({"max_tokens": 5, "temperature": 0.5, "top_k": 3}, {"max_tokens": 5, "temperature": 0.5, "top_k": 3}),
        ({"result_format": "message", "incremental_output": True, "stream": True, "seed": None}, {}),
        ({"enable_thinking": False}, {"reasoning_effort": "none"}),
        ({"enable_thinking": True}, {"reasoning_effort": "medium"}),
        ({"enable_thinking": True, "thinking_budget": 99}, {"reasoning_effort": "low", "thinking_budget": 99}),
        ({"stop": [[1, 2], [3]]}, {"stop_token_ids": [1, 2, 3]}),
        ({"stop": "x", "n": 2}, {"stop": "x", "n": 2}),
    ],
)
def test_the_parameters_of_a_client_of_the_protocol_are_openais(said: Any, meant: Any) -> None:
    assert chat_of(input={"messages": USER}, parameters=said) == {"model": "m", "messages": USER, **meant}


def test_an_ask_without_a_question_is_refused() -> None:
    assert refused(chat_of, input={"voice": "v"}).param == "input"
    assert refused(chat_of, input={"messages": ["x"]}).param == "input.messages[0]"


AMENDED = [
    ("incremental_output", {"parameters": {}}, {"parameters": {"incremental_output": True}}),
    ("result_format", {"parameters": {"result_format": "text"}}, {"parameters": {"result_format": "message"}}),
    ("no_thinking", {"parameters": {"enable_thinking": True}}, {"parameters": {"enable_thinking": False}}),
    (
        "other_path",
        {"input": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]}},
        {"input": {"messages": [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": []}]}},
    ),
    (
        "other_path",
        {"input": {"messages": [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]}},
        {"input": {"messages": [{"role": "user", "content": "a\nb"}]}},
    ),
]


@pytest.mark.parametrize("kind, before, after", AMENDED)
def test_a_refused_detail_is_changed_and_nothing_else(kind: str, before: Any, after: Any) -> None:
    ask = DASHSCOPE.read_ask(native(**before), SSE)
    asked = DASHSCOPE.write_ask(ask, stream=True, ask_usage=True)
    amended = amend(asked, kind)
    assert amended is not None and amended.headers == asked.headers
    assert json.loads(amended.body) == {**json.loads(asked.body), **after}
    if kind == "other_path":
        assert {amended.path, asked.path} == {"", MULTIMODAL_PATH}
    else:
        assert amend(amended, kind) is None
    assert kind in AMENDS


def test_what_only_one_endpoint_can_be_told_stays_there() -> None:
    asked = DASHSCOPE.write_chat({"model": "m", "messages": [{"role": "user", "content": [IMAGE]}]}, stream=True)
    assert amend(asked, "other_path") is None


@pytest.mark.parametrize("headers", [[("x-api-key", "k")], [("Authorization", "Bearer k")], [("api-key", "k")]])
def test_a_credential_is_carried_as_a_bearer_token(headers: Any) -> None:
    assert DASHSCOPE.carry([*headers, ("X-Other", "1")]) in (
        [("X-Other", "1"), ("Authorization", "Bearer k")],
        [("Authorization", "Bearer k"), ("X-Other", "1")],
    )
