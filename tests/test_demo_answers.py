"""What the demo provider answers besides prose: tool calls, JSON, old completions, embeddings, moderations, models."""

from __future__ import annotations

import struct
from base64 import b64decode
from typing import Any, Dict, List

import pytest
from demo_client import ask, chunks, error, post, session, whole
from msgspec import json
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion, CreateEmbeddingResponse, Model, ModerationCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

COMPLETIONS = "demo:/v1/completions"
EMBEDDINGS = "demo:/v1/embeddings"
MODERATIONS = "demo:/v1/moderations"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
                "note": {"type": "string"},
            },
            "required": ["city", "unit", "days"],
        },
    },
}
FLIGHT = {"type": "function", "function": {"name": "searchFlights", "parameters": {"type": "object"}}}
SHELL = {"type": "custom", "custom": {"name": "shell"}}
TOOLS = [WEATHER, FLIGHT, SHELL]
QUESTION = "What will the weather in New York be for 3 days?"
NAMED = {"type": "function", "function": {"name": "searchFlights"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}


def called(body: Dict[str, Any]) -> List[str]:
    """The names of the tools that are called."""
    calls = whole(body)["choices"][0]["message"].get("tool_calls") or []
    return [call[call["type"]]["name"] for call in calls]


@pytest.mark.parametrize(
    ("question", "more", "names", "reason"),
    [
        (QUESTION, {}, ["get_weather"], "tool_calls"),
        ("Any flights, and how is the weather?", {}, ["get_weather", "searchFlights"], "tool_calls"),
        ("Flights and weather", {"parallel_tool_calls": False}, ["get_weather"], "tool_calls"),
        ("Run this in a shell", {}, ["shell"], "tool_calls"),
        ("Get me the current list for this tool", {}, [], "stop"),
        (QUESTION, {"tool_choice": "none"}, [], "stop"),
        ("Hello", {"tool_choice": "required"}, ["get_weather", "searchFlights", "shell"], "tool_calls"),
        (QUESTION, {"tool_choice": "required"}, ["get_weather"], "tool_calls"),
        ("Hello", {"tool_choice": NAMED}, ["searchFlights"], "stop"),
        ("Hello", {"tool_choice": {"type": "custom", "custom": {"name": "shell"}}}, ["shell"], "stop"),
        ("Hello", {"tool_choice": ALLOWED}, ["searchFlights"], "tool_calls"),
        ("Hello", {"model": "demo-tools"}, ["get_weather", "searchFlights", "shell"], "tool_calls"),
        (QUESTION, {"tools": []}, [], "stop"),
    ],
)
def test_tools_are_called_when_the_question_calls_for_them(
    question: str, more: Dict[str, Any], names: List[str], reason: str
) -> None:
    body = {**ask(question, tools=TOOLS), **more}
    assert called(body) == names
    assert whole(body)["choices"][0]["finish_reason"] == reason
    assert (whole(body)["choices"][0]["message"]["content"] is None) == bool(names)


def test_arguments_are_taken_from_the_question_and_fit_the_schema() -> None:
    (call,) = whole(ask(QUESTION, tools=TOOLS))["choices"][0]["message"]["tool_calls"]
    assert json.decode(call["function"]["arguments"]) == {"city": "New York", "unit": "celsius", "days": 3}


def test_a_tools_result_is_answered_with_text() -> None:
    asked = {"role": "user", "content": QUESTION}
    call = whole(ask(QUESTION, tools=TOOLS))["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "sunny, 21 degrees"}
    body = {"model": "demo", "tools": TOOLS, "messages": [asked, call, result]}
    assert called(body) == []
    assert "sunny, 21 degrees" in whole(body)["choices"][0]["message"]["content"]


def test_the_old_form_of_a_call_is_answered_in_the_old_form() -> None:
    body = ask(QUESTION, functions=[WEATHER["function"]])
    choice = whole(body)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"]["name"] == "get_weather"
    parts = [chunk["choices"][0]["delta"].get("function_call", {}) for chunk in chunks(body)]
    assert "".join(part.get("arguments", "") for part in parts) == choice["message"]["function_call"]["arguments"]
    assert whole({**body, "function_call": {"name": "get_weather"}})["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "body",
    [
        ask("Weather and flights?", tools=TOOLS[:2]),
        ask("Weather and flights?", tools=TOOLS[:2], n=2),
        ask(QUESTION, functions=[WEATHER["function"]]),
        ask("Hello", n=3),
        ask("Hello", logprobs=True, top_logprobs=3),
    ],
)
def test_the_sdks_accumulator_makes_the_whole_of_the_stream(body: Dict[str, Any]) -> None:
    state = ChatCompletionStreamState()
    for chunk in chunks({**body, "stream_options": {"include_usage": True}}):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    streamed, reply = state.get_final_completion().model_dump(), ChatCompletion.model_validate(whole(body)).model_dump()
    for choice in [*streamed["choices"], *reply["choices"]]:
        for absent in ("annotations", "parsed"):
            choice["message"].pop(absent, None)
        for call in choice["message"].get("tool_calls") or []:
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        choice["message"]["content"] = choice["message"]["content"] or None
        choice["message"]["tool_calls"] = choice["message"].get("tool_calls") or None
    assert streamed == reply


def test_the_arguments_of_a_call_are_streamed_in_parts_under_one_head() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(ask(QUESTION, tools=TOOLS))]
    heads = [call for delta in deltas for call in delta.get("tool_calls", ()) if "id" in call]
    assert [head["function"] for head in heads] == [{"name": "get_weather", "arguments": ""}]
    rest = [call for delta in deltas for call in delta.get("tool_calls", ()) if "id" not in call]
    assert len(rest) > 5
    assert all(set(call) == {"index", "function"} for call in rest)


def test_legacy_completions_say_the_same_streamed_and_whole() -> None:
    body = {"model": "demo", "prompt": ["Once upon", "a time"], "n": 2, "logprobs": 2, "echo": True}
    reply, said = whole(body, COMPLETIONS), chunks({**body, "stream_options": {"include_usage": True}}, COMPLETIONS)
    Completion.model_validate(reply, strict=True)
    assert said[-1]["usage"] == reply["usage"]
    for choice in reply["choices"]:
        parts = [one for chunk in said for one in chunk["choices"] if one["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert parts[-1]["finish_reason"] == choice["finish_reason"] == "stop"
        for name, values in choice["logprobs"].items():
            assert [one for part in parts if part["logprobs"] for one in part["logprobs"][name]] == values
        starts = choice["logprobs"]["text_offset"]
        assert [choice["text"][start:].startswith(t) for start, t in zip(starts, choice["logprobs"]["tokens"])]
    assert [choice["text"].split()[0] for choice in reply["choices"]] == ["Once", "Once", "a", "a"]
    assert {chunk["object"] for chunk in said} == {"text_completion"}


@pytest.mark.parametrize(
    ("prompt", "choices", "tokens"), [("one two", 1, 2), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3), (["a", "b c"], 2, 3)]
)
def test_legacy_prompts_come_in_four_forms(prompt: Any, choices: int, tokens: int) -> None:
    reply = whole({"model": "demo", "prompt": prompt}, COMPLETIONS)
    assert (len(reply["choices"]), reply["usage"]["prompt_tokens"]) == (choices, tokens)
    short = whole({"model": "demo", "prompt": prompt, "max_tokens": 2}, COMPLETIONS)
    assert {choice["finish_reason"] for choice in short["choices"]} == {"length"}


def near(one: List[float], other: List[float]) -> float:
    """The cosine of two unit vectors."""
    return sum(a * b for a, b in zip(one, other))


def test_embeddings_of_texts_that_share_words_are_near_each_other() -> None:
    texts = ["the cat sat on the mat", "a cat on a mat", "quarterly revenue grew"]
    reply = whole({"model": "demo-embedding", "input": texts}, EMBEDDINGS)
    CreateEmbeddingResponse.model_validate(reply, strict=True)
    first, second, third = (one["embedding"] for one in reply["data"])
    assert len(first) == 1536
    assert near(first, first) == pytest.approx(1)
    assert near(first, second) > 0.4 > 0.2 > near(first, third)
    assert reply["usage"] == {"prompt_tokens": 14, "total_tokens": 14}


@pytest.mark.parametrize("given", ["hello", ["hello"], [1, 2, 3], [[1, 2], [3]]])
def test_embeddings_are_packed_on_demand(given: Any) -> None:
    body = {"model": "demo", "input": given, "dimensions": 8}
    plain = [one["embedding"] for one in whole(body, EMBEDDINGS)["data"]]
    packed = [one["embedding"] for one in whole({**body, "encoding_format": "base64"}, EMBEDDINGS)["data"]]
    assert [list(struct.unpack("<8f", b64decode(one))) for one in packed] == [pytest.approx(one) for one in plain]
    assert len(plain) == (2 if given == [[1, 2], [3]] else 1)


@pytest.mark.parametrize(
    ("url", "body", "param"),
    [
        (EMBEDDINGS, {"model": "demo", "input": []}, "input"),
        (EMBEDDINGS, {"model": "demo", "input": "a", "encoding_format": "int8"}, "encoding_format"),
        (EMBEDDINGS, {"model": "demo", "input": "a", "dimensions": 0}, "dimensions"),
        (COMPLETIONS, {"model": "demo"}, "prompt"),
        (COMPLETIONS, {"model": "demo", "prompt": "a", "logprobs": True}, "logprobs"),
        (MODERATIONS, {"model": "demo"}, "input"),
    ],
)
def test_wrong_asks_name_the_field(url: str, body: Dict[str, Any], param: str) -> None:
    assert error(post(body, url), 400)["param"] == param


def test_moderations_flag_single_words() -> None:
    reply = whole({"model": "demo", "input": ["have a nice day", "I will kill you"]}, MODERATIONS)
    ModerationCreateResponse.model_validate(reply, strict=True)
    assert [result["flagged"] for result in reply["results"]] == [False, True]
    assert reply["results"][1]["categories"]["violence"] is True


def test_every_model_is_listed_with_a_line_that_says_what_it_does() -> None:
    models = session().get("demo:/v1/models").json()["data"]
    for one in models:
        Model.model_validate(one, strict=True)
        assert session().get(f"demo:/v1/models/{one['id']}").json() == one
        assert one["description"].endswith(".")
    assert error(session().get("demo:/v1/models/org%2Fnone"), 404)["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("DELETE", "/v1/models/demo", 405),
        ("GET", "/v1/chat/completions/chatcmpl-1", 404),
        ("POST", "/v1/images/generations", 404),
        ("GET", "/", 404),
    ],
)
def test_what_is_not_there_is_said_in_the_same_envelope(method: str, path: str, status: int) -> None:
    response = session().request(method, f"demo:{path}")
    assert path in error(response, status)["message"]
    assert ("Allow" in response.headers) == (status == 405)


def test_head_answers_like_get_without_a_body() -> None:
    response = session().head("demo:/v1/models")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(session().get("demo:/v1/models").content))
