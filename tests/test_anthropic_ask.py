"""Asks in Anthropic's protocol: what must be there, how they are told again, and what they are to others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.anthropic import ANTHROPIC
from proxy.dialects.anthropic_ask import read_count
from proxy.dialects.anthropic_names import short_name
from proxy.dialects.anthropic_read_chat import alone, read_chat
from proxy.dialects.anthropic_tables import UNSIGNED
from proxy.dialects.anthropic_tokens import count_text, count_tokens, write_count
from proxy.errors import ProxyError

HI = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def read(**fields: Any) -> Any:
    return ANTHROPIC.read_ask(json.dumps({**HI, **fields}).encode())


def chat(**fields: Any) -> Any:
    return ANTHROPIC.read_chat(read(**fields))


def said(**fields: Any) -> Any:
    """What a chat body has besides the model and the messages."""
    return {name: value for name, value in chat(**fields).items() if name not in ("model", "messages")}


def heard(*messages: Any, **fields: Any) -> Any:
    return chat(messages=list(messages), **fields)["messages"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "a"}]}, "messages.1.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages.0.content"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_bad_ask_is_refused_by_the_name_of_the_field(change: Any, param: str) -> None:
    with pytest.raises(ProxyError) as caught:
        read(**change)
    assert (caught.value.failed.status, caught.value.failed.param) == (400, param)


@pytest.mark.parametrize("name", ["model", "max_tokens", "messages"])
def test_a_missing_field_is_named(name: str) -> None:
    body = {key: value for key, value in HI.items() if key != name}
    with pytest.raises(ProxyError) as caught:
        ANTHROPIC.read_ask(json.dumps(body).encode())
    assert (caught.value.failed.code, caught.value.failed.param) == ("missing_required_parameter", name)


def test_an_ask_knows_its_stream_its_usage_and_its_tool() -> None:
    ask = read(stream=True, tool_choice={"type": "tool", "name": "f"})
    assert (ask.model, ask.stream, ask.show_usage, ask.named_tool) == ("m", True, True, "f")
    assert (read().stream, read(tool_choice={"type": "any"}).named_tool) == (False, None)


def test_counting_needs_no_max_tokens() -> None:
    assert read_count(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}').model == "m"


def test_an_ask_told_again_is_the_very_bytes_unless_its_mode_changes() -> None:
    body = b'{ "max_tokens":9, "model":"m","messages":[{"role":"user","content":"hi"}],"temperature":1.0}'
    ask = ANTHROPIC.read_ask(body, [("anthropic-version", "2026-10-21")])
    assert ANTHROPIC.write_ask(ask, stream=False, ask_usage=True).body == body
    assert json.loads(ANTHROPIC.write_ask(ask, stream=True, ask_usage=True).body) == {
        **json.loads(body),
        "stream": True,
    }
    assert not ANTHROPIC.write_ask(ask, stream=True, ask_usage=True).dropped


def test_thinking_that_nobody_signed_never_goes_to_anthropic() -> None:
    ours = {"type": "thinking", "thinking": "a", "signature": UNSIGNED}
    theirs = {"type": "thinking", "thinking": "b", "signature": "EqQ"}
    text = {"type": "text", "text": "c"}
    first = {"role": "user", "content": "hi"}
    ask = read(
        messages=[
            first,
            {"role": "assistant", "content": [ours, theirs, text]},
            {"role": "assistant", "content": [ours]},
        ]
    )
    sent = json.loads(ANTHROPIC.write_ask(ask, stream=False, ask_usage=False).body)["messages"]
    assert sent == [first, {"role": "assistant", "content": [theirs, text]}], "no words are put into anybody's mouth"


BEARER = ("Authorization", "Bearer sk-1")
VERSION = ("anthropic-version", "2023-06-01")
NEWER = ("Anthropic-Version", "2026-10-21")


@pytest.mark.parametrize(
    ("headers", "want"),
    [
        ([BEARER, ("X-A", "1")], [("X-A", "1"), ("x-api-key", "sk-1"), VERSION]),
        ([("authorization", "bearer  sk-1 ")], [("x-api-key", "sk-1"), VERSION]),
        ([("api-key", "sk-1")], [("x-api-key", "sk-1"), VERSION]),
        ([("X-Api-Key", "sk-1")], [("X-Api-Key", "sk-1"), VERSION]),
        ([("X-Api-Key", "sk-1"), BEARER], [("X-Api-Key", "sk-1"), BEARER, VERSION]),
        ([BEARER, NEWER], [BEARER, NEWER]),
        ([("Authorization", "Bearer sk-ant-oat01-x")], [("Authorization", "Bearer sk-ant-oat01-x"), VERSION]),
        ([("Authorization", "invalid_key")], [("Authorization", "invalid_key"), VERSION]),
        ([("anthropic-beta", "a,b")], [("anthropic-beta", "a,b"), VERSION]),
        ([], [VERSION]),
    ],
)
def test_a_clients_key_goes_in_the_form_that_anthropic_takes(headers: Any, want: Any) -> None:
    assert ANTHROPIC.carry(headers) == want


# Golden vector 5: a conversation of everything, in Anthropic's words and in OpenAI's.
RESULT_PARTS = [
    {"type": "text", "text": "r1"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
]
SAID = [
    {"type": "thinking", "thinking": "t", "signature": "s"},
    {"type": "text", "text": "ok"},
    {"type": "tool_use", "id": "t1", "name": "f", "input": {"z": 1, "a": 2}},
    {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
]
ANSWERED = [
    {"type": "tool_result", "tool_use_id": "t1", "content": RESULT_PARTS},
    {"type": "tool_result", "tool_use_id": "t2", "is_error": True, "content": "boom"},
    {"type": "text", "text": "next"},
]
ATTRIBUTED = [{"type": "text", "text": text} for text in ("x-anthropic-billing-header: v", "A", "B")]
CHATTED = [
    {"role": "system", "content": "A\n\nB"},
    {"role": "user", "content": "go"},
    {"role": "user", "content": "<system-reminder>\nS2\n</system-reminder>"},
    {
        "role": "assistant",
        "content": "ok",
        "reasoning_content": "t",
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"z":1,"a":2}'}},
            {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "t1", "content": "r1"},
    {"role": "tool", "tool_call_id": "t2", "content": "Error: boom"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Image returned by tool call t1 (f):"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
            {"type": "text", "text": "next"},
        ],
    },
]


def test_golden_vector_5_a_conversation_of_everything() -> None:
    messages = heard(
        {"role": "user", "content": "go"},
        {"role": "system", "content": "S2"},
        {"role": "assistant", "content": SAID},
        {"role": "user", "content": ANSWERED},
        system=ATTRIBUTED,
    )
    assert messages == CHATTED


def part_of(block: Any) -> Any:
    return heard({"role": "user", "content": [{"type": "text", "text": "x"}, block]})[0]["content"][1:]


@pytest.mark.parametrize(
    ("block", "want"),
    [
        (
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
            [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}],
        ),
        (
            {
                "type": "document",
                "title": "T",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
            },
            [{"type": "file", "file": {"filename": "T", "file_data": "data:application/pdf;base64,QQ=="}}],
        ),
        (
            {"type": "document", "title": "T", "context": "C", "source": {"type": "text", "data": "D"}},
            [{"type": "text", "text": "T\nC\nD"}],
        ),
        ({"type": "document", "source": {"type": "content", "content": "D"}}, [{"type": "text", "text": "D"}]),
        (
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "c"}]},
            [{"type": "text", "text": "t\ns\nc"}],
        ),
        ({"type": "novelty", "a": 1}, [{"type": "text", "text": '{"type":"novelty","a":1}'}]),
    ],
)
def test_content_becomes_parts(block: Any, want: Any) -> None:
    assert part_of(block) == want


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "document", "source": {"type": "url", "url": "https://a"}},
        {"type": "image"},
    ],
)
def test_content_that_has_no_place_is_refused(block: Any) -> None:
    with pytest.raises(ProxyError) as caught:
        part_of(block)
    assert (caught.value.failed.status, caught.value.failed.param) == (400, "messages.0.content.1")
    assert "messages.0.content.1" in caught.value.failed.message, "the envelope has no other place for it"


CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}


def test_words_of_the_system_never_stand_between_a_call_and_its_result() -> None:
    messages = heard({"role": "user", "content": "a"}, CALL, {"role": "system", "content": "S"}, RESULT)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user"]
    assert messages[2]["content"] == ""


def test_images_of_results_come_after_the_last_result() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "u"}}
    calls = [{"type": "tool_use", "id": i, "name": i, "input": {}} for i in "ab"]
    results = [{"type": "tool_result", "tool_use_id": i, "content": [picture]} for i in "ab"]
    messages = heard({"role": "assistant", "content": calls}, {"role": "user", "content": results})
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user"]
    assert [message["content"] for message in messages[1:3]] == ["(image attached below)"] * 2
    assert messages[0]["content"] is None


def test_what_anthropics_own_tools_did_is_left_out_and_no_turn_is_empty() -> None:
    served = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "redacted_thinking", "data": "x"},
    ]
    user = {"role": "user", "content": "a"}
    assert heard(user, {"role": "assistant", "content": served}, user) == [user, user]


TOOL = {
    "name": "f",
    "description": "d",
    "input_schema": {"type": "object"},
    "cache_control": {"type": "ephemeral"},
    "strict": True,
}
FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}


def thinking(budget: int) -> Any:
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"stop_sequences": []}, {}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"metadata": {"user_id": None}}, {}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        (thinking(1024), {**thinking(1024), "reasoning_effort": "low"}),
        (thinking(4096), {**thinking(4096), "reasoning_effort": "medium"}),
        (thinking(31999), {**thinking(31999), "reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "xhigh"}),
        ({"output_config": {"effort": "low"}, **thinking(9999)}, {**thinking(9999), "reasoning_effort": "low"}),
        ({"tools": [TOOL]}, {"tools": [FUNCTION]}),
        ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, {"tools": [FUNCTION], "tool_choice": "auto"}),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tools": [FUNCTION], "tool_choice": "required"}),
        ({"tools": [TOOL], "tool_choice": {"type": "none"}}, {"tools": [FUNCTION], "tool_choice": "none"}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
            {
                "tools": [FUNCTION],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": False,
            },
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "auto"}}, {}),
        ({"tool_choice": {"type": "any"}}, {}),
        ({"context_management": {}, "container": "c", "mcp_servers": [], "speed": "fast"}, {}),
        ({"enable_thinking": True, "novelty": 1}, {"enable_thinking": True, "novelty": 1}),
    ],
)
def test_parameters_in_openais_words(fields: Any, want: Any) -> None:
    assert said(**fields) == {"max_tokens": 9, **want}


def test_long_names_fit_into_openais_limits() -> None:
    name = "mcp__" + "x" * 90
    body = said(tools=[{"name": name, "input_schema": {}}], metadata={"user_id": "u" * 65})
    assert body["tools"][0]["function"]["name"] == short_name(name) != short_name(name + "y")
    assert len(body["user"]) == 64


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
                "additionalProperties": False,
            },
            True,
        ),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {}}, False),
        ({"type": "array", "items": {"type": "object", "properties": {}}}, False),
        ({"anyOf": [{"type": "object", "properties": {"b": {}}}]}, False),
    ],
)
def test_structured_output_is_strict_only_where_openai_would_take_it(schema: Any, strict: bool) -> None:
    told = {"type": "json_schema", "schema": schema}
    want = {"type": "json_schema", "json_schema": {"name": "structured_output", "schema": schema, "strict": strict}}
    assert (
        said(output_config={"format": told})["response_format"] == want == said(output_format=told)["response_format"]
    )


def test_an_ask_that_only_warms_the_cache_is_refused() -> None:
    with pytest.raises(ProxyError) as caught:
        chat(max_tokens=0)
    assert caught.value.failed.param == "max_tokens"


def test_what_is_left_out_can_be_named() -> None:
    ask = read(context_management={}, speed=None, tools=[{"type": "bash_20250124", "name": "bash"}], top_k=1)
    assert alone(ask) == ("context_management", "tools")
    assert alone(read(tools=[TOOL])) == ()
    assert "top_k" in read_chat(ask)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abcd", 1), ("abcde", 2), ("漢字", 2), ("a漢", 2), ("x" * 4000, 1000)]
)
def test_texts_are_counted_by_their_characters(text: str, tokens: int) -> None:
    assert count_text(text) == tokens


def test_tokens_of_an_ask_are_estimated_and_images_cost_the_same_whatever_their_size() -> None:
    def of(block: Any) -> int:
        return count_tokens(read(messages=[{"role": "user", "content": [block]}]))

    sizes = [of({"type": "image", "source": {"type": "base64", "data": "Q" * size}}) for size in (10, 100_000)]
    assert sizes[0] == sizes[1] and 1000 < sizes[0] < 2500
    assert of({"type": "text", "text": "x" * 400}) in range(100, 110)
    assert of({"type": "document", "source": {"type": "text", "data": "x" * 400}}) in range(100, 110)
    assert of({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x" * 400}]}) in range(
        100, 120
    )
    assert count_tokens(read(tools=[TOOL])) > count_tokens(read()) >= 1
    assert count_tokens(read(system="x" * 400)) - count_tokens(read()) == 100
    assert write_count(read()) == {"input_tokens": count_tokens(read())}
