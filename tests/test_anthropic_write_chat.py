"""OpenAI's asks as Anthropic's: the tables of reference 1.13, and that nothing we send would be refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic_rules import check_ask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.dialects import DIALECTS
from proxy.dialects.anthropic import ANTHROPIC
from proxy.dialects.anthropic_schemas import fit_schema
from proxy.dialects.anthropic_tables import UNSIGNED, abilities_of
from proxy.errors import ProxyError

USER = {"role": "user", "content": "hi"}
OLD, BUDGET, ADAPTIVE, NEWEST = "claude-3-5-haiku-latest", "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8"


def asked(stream: bool = False, **fields: Any) -> Any:
    return ANTHROPIC.write_chat({"model": "m", "messages": [USER], **fields}, stream=stream)


def wrote(stream: bool = False, **fields: Any) -> Any:
    body = json.loads(asked(stream, **fields).body)
    check_ask(body)
    return body


def said(**fields: Any) -> Any:
    """What the ask has besides the model and the messages."""
    return {name: value for name, value in wrote(**fields).items() if name not in ("model", "messages")}


def turns(*messages: Any, **fields: Any) -> Any:
    return wrote(messages=list(messages), **fields)["messages"]


def call(identity: str, name: str = "f", arguments: str = "") -> Any:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: Any, **more: Any) -> Any:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(identity: str, content: Any) -> Any:
    return {"role": "tool", "tool_call_id": identity, "content": content}


def text(words: str) -> Any:
    return {"type": "text", "text": words}


def test_golden_vector_6_results_in_the_order_of_their_calls() -> None:
    body = wrote(
        messages=[
            {"role": "system", "content": "A"},
            {"role": "user", "content": "q"},
            calling(call("c.1"), call("c2", "g", '{"x":1}')),
            result("c2", "two"),
            result("c.1", "one"),
            {"role": "user", "content": "thanks"},
        ]
    )
    assert body["system"] == "A"
    assert body["messages"] == [
        {"role": "user", "content": [text("q")]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c_1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {"x": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c_1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "two"},
                text("thanks"),
            ],
        },
    ]
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [{"name": name, "input_schema": empty} for name in "fg"]
    assert body["max_tokens"] == 8192


def test_a_call_without_a_result_gets_one_and_a_stray_result_is_text() -> None:
    said_turns = turns(USER, calling(call("a"), call("b")), result("b", "B"), result("z", "Z"), USER)
    assert said_turns[2]["content"] == [
        {"type": "tool_result", "is_error": True, "content": "No result", "tool_use_id": "a"},
        {"type": "tool_result", "tool_use_id": "b", "content": "B"},
        text("Z"),
        text("hi"),
    ]
    assert turns(USER, calling(call("a")))[2]["content"][0]["content"] == "No result"


def test_the_same_id_in_two_turns_becomes_two() -> None:
    said_turns = turns(USER, calling(call("c")), result("c", "1"), calling(call("c")), result("c", "2"))
    ids = [turn["content"][0].get("id") or turn["content"][0]["tool_use_id"] for turn in said_turns[1:]]
    assert ids == ["c", "c", "c_2", "c_2"]


def test_turns_of_one_role_are_one_and_the_user_begins() -> None:
    model = {"role": "assistant", "content": "a \n"}
    assert turns(model, model) == [
        {"role": "user", "content": [text(".")]},
        {"role": "assistant", "content": [text("a \n"), text("a")]},
    ]
    assert turns(USER, USER)[0]["content"] == [text("hi"), text("hi")]
    assert turns({"role": "system", "content": "S"}) == [{"role": "user", "content": [text(".")]}]


def test_later_words_of_the_system_stay_where_they_are() -> None:
    later = {"role": "developer", "content": "S2"}
    reminder = text("<system-reminder>\nS2\n</system-reminder>")
    assert turns(USER, later)[0]["content"] == [text("hi"), reminder]
    assert turns(USER, calling(call("a")), later, result("a", "A"))[2]["content"][1:] == [reminder]


def test_what_the_system_says_first_keeps_its_marks_for_the_cache() -> None:
    mark = {"type": "ephemeral"}
    parts = [{**text("A"), "cache_control": mark}, text(" "), text("B")]
    body = wrote(messages=[{"role": "system", "content": parts}, {**USER, "cache_control": mark}])
    assert body["system"] == [{**text("A"), "cache_control": mark}, text("B")]
    assert body["messages"][0]["content"] == [{**text("hi"), "cache_control": mark}]


SIGNED = {"type": "thinking", "thinking": "t", "signature": "EqQ"}
HIDDEN = {"type": "redacted_thinking", "data": "Emw="}


def test_signed_thinking_comes_first_and_unsigned_thinking_not_at_all() -> None:
    unsigned = {"type": "thinking", "thinking": "t", "signature": UNSIGNED}
    blocks = [{**SIGNED, "index": 0}, HIDDEN, unsigned, {"type": "thinking", "thinking": "u"}]
    message = {"role": "assistant", "content": "a", "reasoning_content": "t", "thinking_blocks": blocks}
    assert turns(USER, message)[1]["content"] == [SIGNED, HIDDEN, text("a")]
    assert turns(USER, {**message, "thinking_blocks": []})[1]["content"] == [text("a")]


def test_an_answer_that_a_client_of_chat_sends_back_is_what_it_was() -> None:
    tool = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}}
    plain = [SIGNED, HIDDEN, text("a"), tool]
    odd = [SIGNED, text("a"), {"type": "server_tool_use", "id": "s", "name": "g", "input": {}}, SIGNED, text("b"), tool]
    for content in (plain, odd):
        reply = ANTHROPIC.read_reply({"content": content, "stop_reason": "tool_use"})
        message = DIALECTS["openai"].write_reply(reply)["choices"][0]["message"]
        messages = [USER, message, result("t1", "r")]
        body = json.loads(asked(messages=messages).body)
        assert body["messages"][1]["content"] == content
        changed = {**message, "content": "other"}
        body = json.loads(asked(messages=[USER, changed, result("t1", "r")]).body)
        assert [block["type"] for block in body["messages"][1]["content"]][-2:] == ["text", "tool_use"]
        assert text("other") in body["messages"][1]["content"]


@pytest.mark.parametrize(
    ("part", "want"),
    [
        (text("a"), text("a")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
        ),
        (
            {"type": "file", "file": {"filename": "n.pdf", "file_data": "data:application/pdf;base64,QQ=="}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
                "title": "n.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        ),
    ],
)
def test_parts_become_blocks(part: Any, want: Any) -> None:
    assert turns({"role": "user", "content": [part]})[0]["content"] == [want]
    assert turns(USER, calling(call("a")), result("a", [part]))[2]["content"][0]["content"] in (
        [want],
        want.get("text"),
    )


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,QQ=="}},
        {"type": "file", "file": {"file_data": "data:application/zip;base64,QQ=="}},
    ],
)
def test_parts_that_have_no_place_are_refused(part: Any) -> None:
    with pytest.raises(ProxyError) as caught:
        asked(messages=[{"role": "user", "content": [part]}])
    assert (caught.value.failed.status, caught.value.failed.param) == (400, "messages")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "modalities"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages"),
    ],
)
def test_asks_that_anthropic_cannot_answer_are_refused(fields: Any, param: str) -> None:
    with pytest.raises(ProxyError) as caught:
        asked(**fields)
    assert (caught.value.failed.status, caught.value.failed.param) == (400, param)


FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"properties": {}}}}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}
MORE = {"type": "function", "function": {"name": "g.h", "strict": True}}
OTHER = {"name": "g_h", "input_schema": {"type": "object", "properties": {}}, "strict": True}
ENABLED = {"type": "enabled", "budget_tokens": 2000}
ONLY_F = {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"max_completion_tokens": 7, "max_tokens": 9}, {"max_tokens": 7}),
        ({"temperature": 1.7, "top_k": 3}, {"temperature": 1, "top_k": 3}),
        ({"temperature": 0.2, "top_p": 1.0}, {"temperature": 0.2, "top_p": 1.0}),
        ({"stop": "a"}, {"stop_sequences": ["a"]}),
        ({"stop": ["a", " ", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"stop": ["\n"]}, {}),
        ({"stop": None, "temperature": None, "tools": None}, {}),
        ({"tools": [FUNCTION, MORE]}, {"tools": [TOOL, OTHER]}),
        ({"functions": [FUNCTION["function"]]}, {"tools": [TOOL]}),
        ({"tools": [], "tool_choice": "auto"}, {}),
        ({"tools": [FUNCTION], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": {"type": "any"}}),
        ({"tools": [FUNCTION], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": {"type": "none"}}),
        (
            {"tools": [FUNCTION], "parallel_tool_calls": False},
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"tools": [FUNCTION], "parallel_tool_calls": False, "tool_choice": "none"},
            {"tools": [TOOL], "tool_choice": {"type": "none"}},
        ),
        (
            {"tools": [MORE], "tool_choice": {"type": "function", "function": {"name": "g.h"}}},
            {"tools": [OTHER], "tool_choice": {"type": "tool", "name": "g_h"}},
        ),
        (
            {"tools": [FUNCTION, MORE], "tool_choice": {"type": "allowed_tools", "allowed_tools": ONLY_F}},
            {"tools": [TOOL], "tool_choice": {"type": "any"}},
        ),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"user": "a@b.example"}, {}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"reasoning_effort": "none"}, {}),
        ({"stream_options": {}, "n": 1, "store": False}, {}),
    ],
)
def test_parameters_in_anthropics_words(fields: Any, want: Any) -> None:
    assert said(**fields) == {"max_tokens": 8192, **want}


def test_a_custom_tool_takes_a_text() -> None:
    custom = {"type": "custom", "custom": {"name": "p", "description": "d"}}
    made = {"id": "a", "type": "custom", "custom": {"name": "p", "input": "*** B"}}
    body = wrote(tools=[custom], messages=[USER, calling(made), result("a", "ok")])
    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert body["messages"][1]["content"][0]["input"] == {"input": "*** B"}


def test_a_search_of_the_web_is_a_tool_of_anthropics() -> None:
    place = {"type": "approximate", "approximate": {"city": "Rome"}}
    body = json.loads(asked(web_search_options={"user_location": place}).body)
    assert body["tools"][0]["type"].startswith("web_search_")
    assert body["tools"][0]["user_location"] == {"type": "approximate", "city": "Rome"}


@pytest.mark.parametrize(
    ("model", "fields", "want", "dropped"),
    [
        (OLD, {"reasoning_effort": "high"}, {}, ["reasoning_effort"]),
        (BUDGET, {"reasoning_effort": "minimal"}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
        (BUDGET, {"reasoning_effort": "high"}, {"thinking": {"type": "enabled", "budget_tokens": 4096}}, []),
        ("other", {"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
        (
            BUDGET,
            {"reasoning_effort": "max", "max_tokens": 2000},
            {"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1500}},
            [],
        ),
        (BUDGET, {"reasoning_effort": "high", "max_tokens": 1024}, {"max_tokens": 1024}, ["reasoning_effort"]),
        (
            ADAPTIVE,
            {"reasoning_effort": "xhigh", "temperature": 0.1},
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
            ["temperature"],
        ),
        (BUDGET, {"reasoning_effort": "odd"}, {}, ["reasoning_effort"]),
        (
            BUDGET,
            {"reasoning_effort": "high", "tools": [FUNCTION], "tool_choice": "required"},
            {"tools": [TOOL], "tool_choice": {"type": "any"}},
            ["reasoning_effort"],
        ),
        (NEWEST, {"temperature": 0.5, "top_p": 1, "top_k": 4}, {}, ["temperature", "top_k"]),
        (BUDGET, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}, ["top_p"]),
        (OLD, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}, []),
        (BUDGET, {"thinking": ENABLED}, {"thinking": ENABLED}, []),
        (BUDGET, {"seed": 1, "logit_bias": {}, "novelty": 1}, {}, ["seed", "logit_bias", "novelty"]),
        (BUDGET, {"logprobs": False, "presence_penalty": 0.0, "n": 1, "stream_options": None}, {}, []),
    ],
)
def test_what_a_model_cannot_take_is_dropped_by_name(model: str, fields: Any, want: Any, dropped: Any) -> None:
    assert said(model=model, **fields) == {"max_tokens": 8192, **want}
    assert list(asked(model=model, **fields).dropped) == dropped


def test_thinking_is_left_out_where_a_turn_with_calls_has_lost_its_own() -> None:
    lost = [USER, calling(call("a")), result("a", "A")]
    kept = [USER, calling(call("a"), thinking_blocks=[SIGNED]), result("a", "A")]
    assert "thinking" not in said(model=BUDGET, reasoning_effort="high", messages=lost)
    assert said(model=BUDGET, reasoning_effort="high", messages=kept)["thinking"]["type"] == "enabled"


@pytest.mark.parametrize(
    ("model", "thinking", "samples"),
    [
        ("claude-3-opus-20240229", "none", True),
        ("claude-3-7-sonnet-20250219", "budget", True),
        ("claude-sonnet-4-20250514", "budget", True),
        ("claude-opus-4-1-20250805", "budget", True),
        ("anthropic/claude-haiku-4.5", "budget", True),
        ("claude-sonnet-4-6", "adaptive", True),
        ("claude-opus-4-7", "adaptive", False),
        ("claude-fable-5", "adaptive", False),
        ("deepseek-chat", "budget", True),
    ],
)
def test_what_models_can_is_known_by_their_names(model: str, thinking: str, samples: bool) -> None:
    assert abilities_of(model)[:2] == (thinking, samples)


SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "minimum": 3, "description": "An a."},
        "b": {"oneOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
        "minimum": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 2},
    },
}


def test_a_schema_says_in_words_what_anthropic_does_not_know() -> None:
    assert fit_schema(SCHEMA) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "a": {"type": "integer", "description": "An a. Note: minimum: 3."},
            "b": {"anyOf": [{"type": "string", "description": "Note: minLength: 1."}, {"type": "null"}]},
            "minimum": {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": False},
                "description": "Note: minItems: 2.",
            },
        },
    }


def test_structured_output_is_a_parameter_or_words_of_the_system() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    want = {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}
    assert said(model=BUDGET, response_format=form)["output_config"] == {"format": want}
    both = said(model=ADAPTIVE, response_format=form, reasoning_effort="low")["output_config"]
    assert both == {"format": want, "effort": "low"}
    assert '{"type":"object"}' in said(model=OLD, response_format=form)["system"]
    assert "JSON" in said(response_format={"type": "json_object"})["system"]
    assert "system" not in said(response_format={"type": "text"})


def test_only_a_stream_is_asked_for_as_one() -> None:
    assert wrote(stream=True)["stream"] is True
    assert "stream" not in wrote()


words = st.sampled_from(["", " ", "a", "b\n", "ü😀", "<x>"])
names = st.sampled_from(["f", "g.h", "a b", "ü", "x" * 200, ""])
identities = st.sampled_from(["a", "b", "c.1", "c_1", "functions.f:0", ""])
parts = st.one_of(
    words.map(text),
    st.sampled_from([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]),
)
contents = st.one_of(words, st.none(), st.lists(parts, max_size=3))
arguments = st.sampled_from(["", "{}", '{"a":1}', "[1]", "no json", '{"a'])
made = st.builds(call, identities, names, arguments)
thoughts = st.lists(st.sampled_from([SIGNED, HIDDEN, {"type": "thinking", "thinking": "x"}]), max_size=2)
messages = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "developer"]), "content": contents}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": contents},
        optional={"tool_calls": st.lists(made, max_size=3), "thinking_blocks": thoughts, "reasoning_content": words},
    ),
    st.builds(result, identities, contents),
)
functions = st.builds(
    lambda name, schema: {"type": "function", "function": {"name": name, **schema}},
    st.sampled_from(["f", "g.h", "k"]),
    st.sampled_from([{}, {"parameters": {}}, {"parameters": {"type": "object", "properties": {"a": {}}}}]),
)
chats = st.fixed_dictionaries(
    {
        "model": st.sampled_from([OLD, BUDGET, ADAPTIVE, NEWEST, "other"]),
        "messages": st.lists(messages, max_size=8),
    },
    optional={
        "max_tokens": st.integers(1, 20_000),
        "temperature": st.floats(-1, 3),
        "top_p": st.floats(0, 1),
        "stop": st.one_of(words, st.lists(words, max_size=3)),
        "tools": st.lists(functions, max_size=3),
        "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "f"}}]),
        "parallel_tool_calls": st.booleans(),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "odd"]),
        "seed": st.integers(),
        "user": words,
    },
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chats, st.booleans())
def test_anthropic_would_refuse_nothing_that_we_send(chat: Any, stream: bool) -> None:
    before = json.dumps(chat)
    check_ask(json.loads(ANTHROPIC.write_chat(chat, stream=stream).body))
    assert json.dumps(chat) == before, "an ask is never changed"
