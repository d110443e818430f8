"""Asks: what an Ollama client says in OpenAI's words, and an OpenAI client in Ollama's (spec 5.8, 5.9)."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.chat.ask import Ask
from proxy.chat.unfold import unfold
from proxy.dialects.dialect import Dialect
from proxy.dialects.ollama import OLLAMA, OLLAMA_GENERATE
from proxy.dialects.ollama_ask import loaded, loading
from proxy.dialects.ollama_forms import CHAT, GENERATE
from proxy.dialects.ollama_parameters import OPTIONS, OWN
from proxy.errors import ProxyError

PNG = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
JPEG = b64encode(b"\xff\xd8\xff\xe0" + bytes(20)).decode()
WEBP = b64encode(b"RIFF\0\0\0\0WEBPVP8 " + bytes(20)).decode()
WAV = b64encode(b"RIFF\0\0\0\0WAVEfmt " + bytes(20)).decode()
USER = {"role": "user", "content": "hi"}


def ask(dialect: Dialect = OLLAMA, **body: Any) -> Ask:
    return dialect.read_ask(json.dumps({"model": "m", **body}).encode())


def chat_of(dialect: Dialect = OLLAMA, **body: Any) -> dict[str, Any]:
    chat = dialect.read_chat(ask(dialect, **body))
    return {name: value for name, value in chat.items() if name not in ("model", "stream", "stream_options")}


def asked(chat: dict[str, Any], dialect: Dialect = OLLAMA, stream: bool = True) -> tuple[dict[str, Any], list[str]]:
    said = dialect.write_chat({"model": "m", **chat}, stream=stream)
    return json.loads(said.body), list(said.dropped)


def body_of(**chat: Any) -> dict[str, Any]:
    body = asked({"messages": [USER], **chat})[0]
    return {name: value for name, value in body.items() if name not in ("model", "stream", "messages")}


def message_of(message: dict[str, Any]) -> dict[str, Any]:
    return asked({"messages": [message]})[0]["messages"][0]  # type: ignore[no-any-return]


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ProxyError) as caught:
        call()
    assert caught.value.failed.status == 400
    return str(caught.value.failed.code), str(caught.value.failed.param)


@pytest.mark.parametrize(("said", "stream"), [({}, True), ({"stream": None}, True), ({"stream": False}, False)])
def test_an_ask_is_streamed_unless_it_says_otherwise(said: dict[str, Any], stream: bool) -> None:
    read = ask(messages=[], **said)
    assert (read.stream, read.show_usage, read.model) == (stream, True, "m")


@pytest.mark.parametrize("dialect", [OLLAMA, OLLAMA_GENERATE], ids=lambda dialect: dialect.name)
def test_an_ask_keeps_its_bytes_in_its_own_mode_and_its_words_in_the_other(dialect: Dialect) -> None:
    body = b'{ "model": "m", "messages": [], "x": 1.50 }'
    read = dialect.read_ask(body)
    assert dialect.write_ask(read, stream=True, ask_usage=False).body == body
    other = json.loads(dialect.write_ask(read, stream=False, ask_usage=True).body)
    assert other == {**json.loads(body), "stream": False}


WRONG = {
    "no model": (OLLAMA, {"model": ""}, "invalid_value", "model"),
    "messages": (OLLAMA, {"messages": "hi"}, "invalid_type", "messages"),
    "options": (OLLAMA, {"options": [1]}, "invalid_type", "options"),
    "stream": (OLLAMA, {"stream": "false"}, "invalid_type", "stream"),
    "prompt": (OLLAMA_GENERATE, {"prompt": ["hi"]}, "invalid_type", "prompt"),
}


@pytest.mark.parametrize(("dialect", "said", "code", "param"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_read_is_named(dialect: Dialect, said: dict[str, Any], code: str, param: str) -> None:
    assert refused(lambda: ask(dialect, **said)) == (code, param)


def test_messages_are_those_of_a_chat() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    messages = [
        {"role": "System", "content": "be nice", "extra": 1},
        {"role": "user", "content": "look", "images": [PNG, JPEG, WEBP, "AAAA"]},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call, {**call, "id": "own"}]},
        {"role": "tool", "content": "one", "tool_name": "f"},
        {"role": "tool", "content": "two"},
        {"role": "user", "images": [WAV]},
    ]
    kinds = [("png", PNG), ("jpeg", JPEG), ("webp", WEBP), ("jpeg", "AAAA")]
    pictures = [{"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{it}"}} for kind, it in kinds]
    told = {"type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert chat_of(messages=messages)["messages"] == [
        {"role": "system", "content": "be nice", "extra": 1},
        {"role": "user", "content": [{"type": "text", "text": "look"}, *pictures]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [{"id": "call_0", **told}, {"id": "own", **told}],
        },
        {"role": "tool", "content": "one", "tool_call_id": "call_0"},
        {"role": "tool", "content": "two", "tool_call_id": "own"},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}]},
    ]


def test_results_find_the_call_that_they_name_in_the_last_turn() -> None:
    def calls(*names: str) -> dict[str, Any]:
        return {"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": {}}} for name in names]}

    def result(**said: Any) -> dict[str, Any]:
        return {"role": "tool", "content": "x", **said}

    messages = [calls("f"), USER, calls("f", "g", "f"), result(tool_name="g"), result(), result(tool_name="f")]
    chat = chat_of(messages=[result(), *messages, result(tool_call_id="own"), result()])
    ids = [message["tool_call_id"] for message in chat["messages"] if message["role"] == "tool"]
    assert ids == ["call_0", "call_2", "call_1", "call_3", "own", "call_3"]


PARAMETERS = [
    (
        {
            "options": {
                "num_predict": 9,
                "temperature": 0.5,
                "seed": 1,
                "stop": ["x"],
                "top_k": 3,
                "repeat_penalty": 1.1,
            }
        },
        6,
    ),
    ({"options": {"num_predict": -1}}, 0),
    ({"options": {"temperature": None}}, 0),
    ({"options": {"num_ctx": 4096}, "keep_alive": "5m", "truncate": True}, 3),
    ({"format": "json"}, 1),
    ({"format": ""}, 0),
    ({"format": {"type": "object"}}, 1),
    ({"think": True}, 1),
    ({"logprobs": True, "top_logprobs": 3}, 2),
    ({"tools": []}, 0),
]
NAMES = {
    "num_predict": "max_tokens",
    "repeat_penalty": "repetition_penalty",
    "format": "response_format",
    "think": "reasoning_effort",
}


@pytest.mark.parametrize(("said", "count"), PARAMETERS, ids=str)
def test_parameters_go_by_the_names_of_a_chat(said: dict[str, Any], count: int) -> None:
    chat = chat_of(messages=[USER], **said)
    del chat["messages"]
    given = {**{name: value for name, value in said.items() if name != "options"}, **said.get("options", {})}
    assert chat.keys() <= {NAMES.get(name, name) for name in given}
    assert len(chat) == count


@pytest.mark.parametrize(
    ("think", "effort"), [(True, "medium"), (False, "none"), ("low", "low"), ("max", "xhigh"), (None, None), ("", None)]
)
def test_thinking_is_an_effort(think: Any, effort: str | None) -> None:
    assert chat_of(messages=[], think=think).get("reasoning_effort") == effort


def test_a_schema_is_a_response_format_and_back() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    chat = chat_of(messages=[USER], format=schema)
    assert chat["response_format"] == {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    assert asked(chat)[0]["format"] == schema


def test_a_prompt_is_a_chat() -> None:
    chat = chat_of(
        OLLAMA_GENERATE,
        prompt="hi",
        system="be nice",
        images=[PNG],
        template="",
        context=[],
        raw=False,
        options={},
        keep_alive=None,
    )
    parts = [
        {"type": "text", "text": "hi"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    assert chat == {
        "messages": [{"role": "system", "content": "be nice"}, {"role": "user", "content": parts}],
    }
    assert chat_of(OLLAMA_GENERATE, prompt="hi", raw=True, suffix="x") == {
        "messages": [USER],
        "raw": True,
        "suffix": "x",
    }
    assert {"raw", "suffix", "keep_alive", "num_ctx"} <= OWN
    assert asked({"messages": [USER], "suffix": "x", "system": "y"})[1] == ["suffix", "system"]


LOADS = [
    (OLLAMA, {"messages": []}, "load"),
    (OLLAMA, {}, "load"),
    (OLLAMA, {"messages": [], "keep_alive": 0}, "unload"),
    (OLLAMA, {"messages": [], "keep_alive": "0s"}, "unload"),
    (OLLAMA, {"messages": [], "keep_alive": "0h0m"}, "unload"),
    (OLLAMA, {"messages": [], "keep_alive": "10m"}, "load"),
    (OLLAMA, {"messages": [], "keep_alive": -1}, "load"),
    (OLLAMA, {"messages": [USER], "keep_alive": 0}, None),
    (OLLAMA_GENERATE, {}, "load"),
    (OLLAMA_GENERATE, {"prompt": "", "keep_alive": 0}, "unload"),
    (OLLAMA_GENERATE, {"prompt": "hi"}, None),
]


@pytest.mark.parametrize(("dialect", "said", "reason"), LOADS, ids=lambda one: getattr(one, "name", str(one)))
def test_an_ask_without_words_loads_or_unloads_its_model(
    dialect: Dialect, said: dict[str, Any], reason: str | None
) -> None:
    read = ask(dialect, **said)
    assert loading(read) == reason
    if reason:
        reply = loaded(read, CHAT if dialect is OLLAMA else GENERATE)
        whole = dialect.write_reply(reply)
        (line,) = b"".join(dialect.write_stream(unfold(reply), show_usage=True)).splitlines()
        assert json.loads(line) == whole
        text = whole["message"]["content"] if dialect is OLLAMA else whole["response"]
        assert (whole["model"], whole["done"], whole["done_reason"], text) == ("m", True, reason, "")


def test_an_ask_says_explicitly_whether_it_is_streamed() -> None:
    assert asked({"messages": [USER]})[0] == {"model": "m", "messages": [USER], "stream": True}
    assert asked({"messages": [USER]}, stream=False)[0]["stream"] is False


PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
SOUND = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
TOLD = {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
MESSAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "developer": ({"role": "developer", "content": "x"}, {"role": "system", "content": "x"}),
    "texts": (
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "bob"},
        {"role": "user", "content": "a\nb"},
    ),
    "pictures": (
        {"role": "user", "content": [{"type": "text", "text": "a"}, PICTURE, SOUND]},
        {"role": "user", "content": "a", "images": [PNG, WAV]},
    ),
    "bare picture": (
        {"role": "user", "content": [{**PICTURE, "image_url": PICTURE["image_url"]["url"]}]},  # type: ignore[index]
        {"role": "user", "content": "", "images": [PNG]},
    ),
    "nothing": ({"role": "assistant", "content": None}, {"role": "assistant", "content": ""}),
    "refusal": ({"role": "assistant", "content": None, "refusal": "no"}, {"role": "assistant", "content": "no"}),
    "thinking": (
        {"role": "assistant", "content": "a", "reasoning": "hm"},
        {"role": "assistant", "content": "a", "thinking": "hm"},
    ),
    "call": ({"role": "assistant", "tool_calls": [CALL]}, {"role": "assistant", "content": "", "tool_calls": [TOLD]}),
    "call without arguments": (
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"index": 0, "name": "f", "arguments": {}}}]},
    ),
    "custom call": (
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"input": "x"}}}],
        },
    ),
    "function call": (
        {"role": "assistant", "content": None, "function_call": CALL["function"]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": TOLD["function"]}]},
    ),
    "function": (
        {"role": "function", "name": "f", "content": "x"},
        {"role": "tool", "content": "x", "tool_name": "f"},
    ),
    "result": (
        {"role": "tool", "tool_call_id": "c9", "content": [{"type": "text", "text": "x"}]},
        {"role": "tool", "content": "x", "tool_call_id": "c9"},
    ),
    "unknown": (
        {"role": "user", "content": "x", "cache_control": 1},
        {"role": "user", "content": "x", "cache_control": 1},
    ),
}


@pytest.mark.parametrize(("message", "told"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_told_as_ollama_has_it(message: dict[str, Any], told: dict[str, Any]) -> None:
    assert message_of(message) == told


def test_a_result_names_the_function_that_was_called() -> None:
    messages = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "x"}]
    assert asked({"messages": messages})[0]["messages"][1]["tool_name"] == "f"


LINK = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
IMPOSSIBLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "a link": ({"messages": [{"role": "user", "content": [LINK]}]}, "unsupported_value", "messages[0].content[0]"),
    "a video": (
        {"messages": [{"role": "user", "content": [{"type": "video_url"}]}]},
        "unsupported_value",
        "messages[0].content[0]",
    ),
    "content": ({"messages": [USER, {"role": "user", "content": 7}]}, "invalid_type", "messages[1].content"),
    "no message": ({"messages": ["hi"]}, "invalid_type", "messages[0]"),
    "arguments": (
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a":'}}]}]},
        "invalid_value",
        "messages[0].tool_calls[0].function.arguments",
    ),
    "n": ({"messages": [USER], "n": 2}, "unsupported_value", "n"),
    "a tool": ({"messages": [USER], "tools": [{"type": "web_search"}]}, "unsupported_value", "tools[0]"),
}


@pytest.mark.parametrize(("chat", "code", "param"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_said_is_refused_by_name(chat: dict[str, Any], code: str, param: str) -> None:
    assert refused(lambda: asked(chat)) == (code, param)


TABLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"options": {"num_predict": 5}}),
    ({"max_completion_tokens": 6, "max_tokens": 5}, {"options": {"num_predict": 6}}),
    ({"temperature": 0.5, "top_p": None}, {"options": {"temperature": 0.5}}),
    ({"stop": "x"}, {"options": {"stop": ["x"]}}),
    ({"repetition_penalty": 1.1, "num_ctx": 9}, {"options": {"repeat_penalty": 1.1, "num_ctx": 9}}),
    ({"temperature": 0.5, "options": {"temperature": 1, "a": 2}}, {"options": {"temperature": 1, "a": 2}}),
    ({"response_format": {"type": "json_object"}}, {"format": "json"}),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}}, {"format": {"a": 1}}),
    ({"response_format": {"type": "text"}}, {}),
    ({"reasoning_effort": "none"}, {"think": False}),
    ({"reasoning_effort": "minimal"}, {"think": "low"}),
    ({"reasoning_effort": "xhigh"}, {"think": "max"}),
    ({"reasoning": {"effort": "high"}}, {"think": "high"}),
    ({"enable_thinking": True, "think": False}, {"think": False}),
    ({"chat_template_kwargs": {"enable_thinking": False}}, {"think": False}),
    ({"thinking": {"type": "enabled", "budget_tokens": 9}}, {"think": True}),
    ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ({"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    ({"keep_alive": 0, "truncate": False}, {"keep_alive": 0, "truncate": False}),
    ({"n": 1, "stream_options": {}, "store": False, "parallel_tool_calls": True, "modalities": ["text"]}, {}),
]


@pytest.mark.parametrize(("chat", "told"), TABLE, ids=str)
def test_parameters_go_by_ollamas_names(chat: dict[str, Any], told: dict[str, Any]) -> None:
    assert body_of(**chat) == told
    assert asked({"messages": [USER], **chat})[1] == []


def test_parameters_without_a_twin_are_named_in_their_order() -> None:
    chat = {"user": "u", "temperature": 1, "logit_bias": {"1": 1}, "response_format": {"type": "grammar"}, "foo": 1}
    more = {"parallel_tool_calls": False, "reasoning_effort": "huge", "service_tier": "flex", "metadata": None}
    assert asked({"messages": [USER], **chat, **more})[1] == [
        "user",
        "logit_bias",
        "response_format",
        "foo",
        "parallel_tool_calls",
        "reasoning_effort",
        "service_tier",
    ]


F, G = ({"type": "function", "function": {"name": name, "parameters": {}}} for name in "fg")
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [G]}}
CHOICES: list[tuple[Any, list[Any], list[str]]] = [
    (None, [F, G], []),
    ("auto", [F, G], []),
    ("none", [], []),
    ("required", [F, G], ["tool_choice"]),
    ({"type": "function", "function": {"name": "g"}}, [G], ["tool_choice"]),
    (ALLOWED, [G], []),
]


@pytest.mark.parametrize(("choice", "tools", "dropped"), CHOICES, ids=str)
def test_a_choice_of_tools_is_made_by_leaving_out_the_others(choice: Any, tools: list[Any], dropped: list[str]) -> None:
    body, names = asked({"messages": [USER], "tools": [F, G], "tool_choice": choice})
    assert body.get("tools", []) == tools
    assert names == dropped


def test_other_kinds_of_tools_are_functions_too() -> None:
    custom = {"type": "custom", "custom": {"name": "c", "description": "d", "format": {"type": "text"}}}
    body, _ = asked({"messages": [USER], "tools": [custom], "functions": [F["function"]]})
    parameters = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    assert body["tools"] == [
        {"type": "function", "function": {"name": "c", "description": "d", "parameters": parameters}},
        F,
    ]


def test_a_prompt_goes_to_generate_and_a_chat_to_chat() -> None:
    said = OLLAMA_GENERATE.write_chat({"model": "m", "prompt": "hi", "suffix": "!", "max_tokens": 5}, stream=False)
    assert json.loads(said.body) == {
        "model": "m",
        "prompt": "hi",
        "suffix": "!",
        "stream": False,
        "options": {"num_predict": 5},
    }
    assert said.path == ""
    said = OLLAMA_GENERATE.write_chat({"model": "m", "messages": [USER]}, stream=True)
    assert (said.path, json.loads(said.body)["messages"]) == ("/api/chat", [USER])


def test_a_conversation_comes_back_as_it_was() -> None:
    messages = [
        {"role": "system", "content": "be nice"},
        {"role": "user", "content": "look", "images": [PNG, WAV]},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [TOLD]},
        {"role": "tool", "content": "x", "tool_call_id": "c1", "tool_name": "f"},
        {"role": "assistant", "content": "so"},
    ]
    said = {"messages": messages, "tools": [F], "think": "high", "keep_alive": "5m", "format": {"type": "object"}}
    options = {"num_predict": 5, "temperature": 0.5, "repeat_penalty": 1.1, "num_ctx": 9, "stop": ["x"]}
    chat = OLLAMA.read_chat(ask(**said, options=options, logprobs=True))
    body, dropped = asked(chat)
    assert body == {"model": "m", "stream": True, **said, "options": options, "logprobs": True}
    assert dropped == []


def test_a_key_becomes_a_bearer_token() -> None:
    assert OLLAMA.carry([("X-Api-Key", "k"), ("A", "b")]) == [("A", "b"), ("Authorization", "Bearer k")]
    assert OLLAMA.carry([("Authorization", "Bearer k")]) == [("Authorization", "Bearer k")]


texts = st.text(max_size=5)
parts = st.lists(
    st.one_of(st.fixed_dictionaries({"type": st.just("text"), "text": texts}), st.sampled_from([PICTURE, SOUND])),
    max_size=3,
)
arguments = st.sampled_from(["", "{}", '{"a": {"b": [1]}}', " {} "])
function_calls = st.lists(
    st.builds(
        lambda name, args: {"id": "c", "type": "function", "function": {"name": name, "arguments": args}},
        texts,
        arguments,
    ),
    max_size=2,
)
chat_messages = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user"]), "content": st.one_of(texts, parts)}
    ),
    st.fixed_dictionaries(
        {"role": st.just("assistant")},
        optional={"content": st.one_of(st.none(), texts), "tool_calls": function_calls, "reasoning_content": texts},
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": texts, "content": st.one_of(texts, st.just([]))}),
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.one_of(st.none(), st.floats(0, 2)),
        "max_tokens": st.one_of(st.none(), st.integers(1, 9)),
        "stop": st.one_of(st.none(), texts, st.lists(texts, max_size=4)),
        "seed": st.integers(-9, 9),
        "n": st.sampled_from([None, 1]),
        "reasoning_effort": st.sampled_from([None, "none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "response_format": st.sampled_from([None, {"type": "text"}, {"type": "json_object"}]),
        "tools": st.sampled_from([[F], [F, G], [], None]),
        "tool_choice": st.sampled_from(
            [None, "auto", "none", "required", {"type": "function", "function": {"name": "f"}}]
        ),
        "logit_bias": st.just({"1": 2}),
        "user": texts,
        "logprobs": st.sampled_from([None, True, False]),
    },
)
ALLOWED_KEYS = {"model", "messages", "stream", "format", "options", "keep_alive", "tools", "think", "truncate", "shift"}
ALLOWED_KEYS |= {"logprobs", "top_logprobs"}


@settings(max_examples=200, deadline=None)
@given(st.lists(chat_messages, max_size=4), parameters, st.booleans())
def test_whatever_is_asked_ollama_is_told_by_its_rules(messages: Any, said: dict[str, Any], stream: bool) -> None:
    body, dropped = asked({"messages": messages, **said}, stream=stream)
    assert body.keys() <= ALLOWED_KEYS and body["stream"] is stream and None not in body.values()
    assert body.get("options", {}).keys() <= set(OPTIONS.values()) and None not in body.get("options", {}).values()
    assert body.get("think", True) in (True, False, "low", "medium", "high", "max")
    assert isinstance(body.get("options", {}).get("stop", []), list)
    for message in body["messages"]:
        assert message["role"] in ("system", "user", "assistant", "tool") and isinstance(message["content"], str)
        assert all(isinstance(call["function"]["arguments"], dict) for call in message.get("tool_calls", []))
        assert not any(picture.startswith("data:") for picture in message.get("images", []))
    assert set(dropped) <= {"logit_bias", "user", "tool_choice"}
