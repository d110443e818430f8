"""The demo provider's models, each of which is wrong in one way, streamed and whole."""

from __future__ import annotations

import time
from typing import Any, Dict

import pytest
from demo_client import ask, chunks, error, frames, pieces, post, session, whole
from msgspec import json
from urllib3.exceptions import ProtocolError

WITH_OPTIONS: Dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def test_the_table_lists_the_models_that_these_tests_play_with() -> None:
    listed = [one["id"] for one in session().get("demo:/v1/models").json()["data"]]
    played = "demo reasoning tools embedding stream-only no-stream no-options json sse 401 429 500 overloaded cut error"
    played += " no-done slow stall messy"
    assert listed == [name if name == "demo" else f"demo-{name}" for name in played.split()]


@pytest.mark.parametrize(
    ("model", "more", "status", "code", "words"),
    [
        ("demo-stream-only", {}, 400, "invalid_parameter_error", "only support stream mode"),
        ("demo-no-stream", {"stream": True}, 400, "unsupported_value", "'stream' does not support true"),
        ("demo-no-options", WITH_OPTIONS, 400, "unknown_parameter", "'stream_options'"),
        ("demo-401", {}, 401, "invalid_api_key", "API key"),
        ("demo-429", {"stream": True}, 429, "rate_limit_exceeded", "try again in 7s"),
        ("demo-overloaded", {"stream": True}, 503, "server_is_overloaded", "overloaded"),
        ("demo-unheard-of", {}, 404, "model_not_found", "does not exist"),
    ],
)
def test_some_models_refuse(model: str, more: Dict[str, Any], status: int, code: str, words: str) -> None:
    failed = error(post(ask(model=model, **more)), status)
    assert failed["code"] == code
    assert words in failed["message"]


def test_a_refusal_of_one_mode_leaves_the_other_open() -> None:
    assert chunks(ask(model="demo-stream-only"))
    assert whole(ask(model="demo-no-stream"))["choices"]
    assert chunks(ask(model="demo-no-options"))


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings", "moderations"])
def test_whoever_refuses_everything_does_so_at_every_endpoint(path: str) -> None:
    body = {**ask(model="demo-429"), "prompt": "a", "input": "a"}
    response = post(body, f"demo:/v1/{path}")
    assert error(response, 429)["type"] == "rate_limit_error"
    assert response.headers["Retry-After"] == "7"
    assert response.headers["x-ratelimit-remaining-requests"] == "0"


def test_one_model_fails_with_a_page() -> None:
    response = post(ask(model="demo-500"))
    assert (response.status_code, response.headers["Content-Type"]) == (500, "text/html")
    assert b"<h1>500 Internal Server Error</h1>" in response.content


def test_no_credential_is_needed_and_none_is_repeated() -> None:
    for model in ("demo", "demo-401"):
        response = session().post(
            "demo:/v1/chat/completions", json=ask(model=model), headers={"Authorization": "Bearer sk-canary"}
        )
        assert "sk-canary" not in response.text
        assert "sk-canary" not in str(response.headers)


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_answer_ends_with_an_error_of_the_connection(stream: bool) -> None:
    response, heard = post(ask(model="demo-cut", stream=stream)), bytearray()
    with pytest.raises(ProtocolError, match="IncompleteRead"):
        for piece in pieces(response):
            heard += piece
    assert response.status_code == 200
    assert heard
    assert b"[DONE]" not in heard
    assert not heard.endswith(b"}]}")
    with pytest.raises(ProtocolError):
        post(ask(model="demo-cut", stream=stream)).raw.read(decode_content=True)


def test_an_error_in_the_middle_comes_as_a_frame_then_done() -> None:
    *said, failed, done = frames(post(ask(model="demo-error", stream=True)))
    assert len(said) > 5
    assert all(b'"finish_reason":null' in one for one in said)
    assert json.decode(failed)["error"]["type"] == "server_error"
    assert done == b"[DONE]"
    assert whole(ask(model="demo-error")) == json.decode(failed)


def test_one_model_finishes_and_never_says_done() -> None:
    last = frames(post(ask(model="demo-no-done", stream=True)))[-1]
    assert json.decode(last)["choices"][0]["finish_reason"] == "stop"
    assert whole(ask(model="demo-no-done"))["choices"]


def test_one_model_answers_json_though_a_stream_was_asked_for() -> None:
    body = ask(model="demo-json")
    assert whole({**body, "stream": True}) == whole(body)


def test_one_model_answers_a_stream_though_a_whole_was_asked_for() -> None:
    assert frames(post(ask(model="demo-sse"))) == frames(post(ask(model="demo-sse", stream=True)))


@pytest.mark.timed
def test_one_model_keeps_its_client_waiting() -> None:
    response = post(ask(model="demo-slow", stream=True, max_tokens=2), speed=5)
    started = time.monotonic()
    moments = [time.monotonic() - started for _ in pieces(response)]
    assert moments == [pytest.approx(due, abs=0.045) for due in (0.6, 0.66, 0.72, 0.78)]
    started = time.monotonic()
    assert post(ask(model="demo-slow", max_tokens=2), speed=10).status_code == 200
    assert 0.39 <= time.monotonic() - started < 0.6


@pytest.mark.timed
@pytest.mark.parametrize("stream", [True, False])
def test_one_model_falls_silent_for_ten_minutes_and_then_goes_on(stream: bool) -> None:
    response = post(ask(model="demo-stall", stream=stream), speed=2000)  # 600 s become 0.3 s
    started, gaps = time.monotonic(), []
    for _ in pieces(response):
        gaps.append(time.monotonic() - started)
        started = time.monotonic()
    assert 0.28 <= max(gaps) < 0.6
    plain = post(ask(model="demo-stall", stream=stream), speed=1e9).content
    assert plain.replace(b"demo-stall", b"demo")[-40:] == post(ask(stream=stream)).content[-40:]


def test_messy_chunks_break_every_rule_that_repair_knows() -> None:
    said = chunks(ask(model="demo-messy"))
    assert len({chunk["id"] for chunk in said}) == len(said)
    assert all(chunk["usage"]["total_tokens"] and "object" not in chunk for chunk in said)
    assert all("index" not in chunk["choices"][0] for chunk in said)
    assert all(chunk["choices"][0]["delta"]["role"] is None for chunk in said)
    assert said[-1]["choices"][0]["finish_reason"] == "eos"
    choice = whole(ask(model="demo-messy"))["choices"][0]
    assert (choice["message"]["role"], choice["finish_reason"], "index" in choice) == (None, "eos", False)


def test_messy_choices_beyond_the_first_can_still_be_told_apart() -> None:
    places = [chunk["choices"][0].get("index", 0) for chunk in chunks(ask(model="demo-messy", n=2))]
    assert set(places) == {0, 1}


def test_messy_tool_calls_are_messy_only_around_the_call() -> None:
    tool = {"type": "function", "function": {"name": "weather"}}
    choice = whole(ask("weather?", model="demo-messy", tools=[tool]))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "weather"
