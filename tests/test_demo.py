"""The demo provider's plug and its chat answers, heard through requests."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from demo_client import URL, ask, chunks, error, frames, pieces, post, session, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from urllib3.exceptions import ProtocolError, ReadTimeoutError
from urllib3.util import Timeout

from proxy.upstream.demo.endpoints import answer

QUESTIONS = ["Hi", "Weather in Paris, please?", "你好，世界", "two\nlines", "{braces} and “quotes”", "", "x" * 5000]


def folded(said: list[dict[str, Any]], key: str, choice: int = 0) -> str:
    """What the deltas of one choice say under ``key``."""
    choices = [one for chunk in said for one in chunk["choices"] if one["index"] == choice]
    return "".join(one["delta"].get(key) or "" for one in choices)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_stream_says_the_same_as_the_whole(question: str) -> None:
    said, reply = chunks(ask(question)), whole(ask(question))
    assert folded(said, "content") == reply["choices"][0]["message"]["content"]
    assert {chunk["id"] for chunk in said} == {reply["id"]}
    assert {chunk["created"] for chunk in said} == {reply["created"]}
    assert said[-1]["choices"][0]["finish_reason"] == reply["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("question", QUESTIONS[:5])
def test_the_answer_quotes_the_last_question(question: str) -> None:
    earlier = [{"role": "user", "content": "before"}, {"role": "assistant", "content": "yes"}]
    body = {"model": "any-name", "messages": [*earlier, {"role": "user", "content": question}]}
    reply = whole(body)
    assert " ".join(question.split()) in reply["choices"][0]["message"]["content"]
    assert "before" not in reply["choices"][0]["message"]["content"]
    assert reply["model"] == "any-name"


def test_the_same_ask_gets_the_same_answer_whatever_the_order_of_its_keys() -> None:
    body = ask("Hello?", n=3, temperature=0.5)
    assert whole(body) == whole(dict(reversed(list(body.items()))))
    assert whole(body)["id"] != whole(ask("Hello!"))["id"]


def test_parts_of_a_message_are_heard_and_images_are_seen() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    text = whole(ask([{"type": "text", "text": "Look"}, image, image]))["choices"][0]["message"]["content"]
    assert "Look" in text
    assert "2 images" in text


@pytest.mark.parametrize("body", [ask(n=2), ask(logprobs=True, top_logprobs=2), ask(model="demo-reasoning")])
def test_the_sdk_knows_every_object_that_is_said(body: dict[str, Any]) -> None:
    told = chunks({**body, "stream_options": {"include_usage": True}})
    assert ChatCompletion.model_validate(whole(body), strict=True).choices
    assert [ChatCompletionChunk.model_validate(chunk, strict=True).id for chunk in told] == [told[0]["id"]] * len(told)


def test_a_stream_opens_with_the_role_and_ends_with_the_reason() -> None:
    first, *middle, last = chunks(ask())
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in middle)
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert all("usage" not in chunk for chunk in (first, *middle, last))


def test_usage_is_shown_to_those_who_asked_and_counts_what_was_said() -> None:
    *said, last = chunks(ask("one two three", stream_options={"include_usage": True}))
    assert all(chunk["usage"] is None for chunk in said)
    assert last["choices"] == []
    assert last["usage"] == whole(ask("one two three"))["usage"]
    assert last["usage"]["prompt_tokens"] == 3
    assert last["usage"]["completion_tokens"] == len(said) - 2
    assert last["usage"]["total_tokens"] == 3 + len(said) - 2


def test_several_choices_differ_and_take_turns() -> None:
    said, reply = chunks(ask(n=3)), whole(ask(n=3))
    texts = [choice["message"]["content"] for choice in reply["choices"]]
    assert len(set(texts)) == 3
    assert [folded(said, "content", choice) for choice in range(3)] == texts
    assert [chunk["choices"][0]["index"] for chunk in said[:9]] == [0, 1, 2] * 3


def test_logprobs_come_with_every_word() -> None:
    body = ask(logprobs=True, top_logprobs=2)
    content = whole(body)["choices"][0]["logprobs"]["content"]
    streamed = [chunk["choices"][0]["logprobs"] for chunk in chunks(body)]
    assert [one for logprobs in streamed if logprobs for one in logprobs["content"]] == content
    assert "".join(one["token"] for one in content) == whole(body)["choices"][0]["message"]["content"]
    for one in content:
        assert bytes(one["bytes"]).decode() == one["token"] == one["top_logprobs"][0]["token"]
        assert 0 > one["logprob"] > one["top_logprobs"][1]["logprob"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_token_limit_ends_the_answer_with_length(field: str) -> None:
    reply = whole(ask(**{field: 4}))
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 4
    assert whole(ask())["choices"][0]["message"]["content"].startswith(reply["choices"][0]["message"]["content"])


@pytest.mark.parametrize("stop", ["proxy", ["never said", "proxy"]])
def test_a_stop_sequence_ends_the_answer_before_it(stop: Any) -> None:
    choice = whole(ask(stop=stop))["choices"][0]
    assert "proxy" in whole(ask())["choices"][0]["message"]["content"]
    assert "proxy" not in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


def test_reasoning_comes_before_the_answer() -> None:
    body = ask(model="demo-reasoning")
    said, message = chunks(body), whole(body)["choices"][0]["message"]
    kinds = [next(iter(chunk["choices"][0]["delta"])) for chunk in said[1:-1]]
    assert kinds == sorted(kinds, reverse=True)
    assert folded(said, "reasoning_content") == message["reasoning_content"] != ""
    assert folded(said, "content") == message["content"] != ""
    thoughts = whole(body)["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert thoughts == kinds.count("reasoning_content")


@pytest.mark.timed
def test_each_word_is_delivered_when_it_is_due_and_never_later() -> None:
    response = post(ask(max_tokens=3, stream=True), speed=0.05)  # 100 ms between words
    started, arrivals = time.monotonic(), []
    for piece in pieces(response):
        arrivals.append((time.monotonic() - started, piece.count(b"data: ")))
    assert [count for _, count in arrivals] == [1, 1, 1, 1, 2]
    for place, (moment, _) in enumerate(arrivals):
        assert place * 0.1 - 0.005 <= moment <= place * 0.1 + 0.030


def test_a_late_reader_finds_together_what_came_meanwhile() -> None:
    response = post(ask(stream=True), speed=1000)
    time.sleep(0.05)
    assert response.raw.read1(65536, decode_content=True).endswith(b"data: [DONE]\n\n")
    assert response.raw.read1(65536, decode_content=True) == b""


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_body_can_be_read_in_pieces_of_any_size(size: int) -> None:
    response = post(ask(stream=True), speed=1000)
    said = list(iter(lambda: response.raw.read1(size, decode_content=True), b""))
    assert max(map(len, said)) <= size
    assert b"".join(said) == post(ask(stream=True)).content
    assert b"".join(post(ask(stream=True)).iter_content(size)) == b"".join(said)


@pytest.mark.timed
@pytest.mark.parametrize("stream", [True, False])
def test_read_takes_everything(stream: bool) -> None:
    assert post(ask(stream=stream)).raw.read(decode_content=True) == post(ask(stream=stream)).content


def test_a_close_ends_a_read_that_waits_elsewhere() -> None:
    response = post(ask(model="demo-stall", stream=True), speed=1)
    threading.Timer(0.3, response.raw.close).start()
    started = time.monotonic()
    with pytest.raises(ProtocolError):
        b"".join(pieces(response))
    assert time.monotonic() - started < 1


@pytest.mark.timed
@pytest.mark.parametrize("timeout", [0.1, (5, 0.1), Timeout(connect=5, read=0.1)])
def test_silence_longer_than_the_read_timeout_is_a_timeout(timeout: Any) -> None:
    response = post(ask(model="demo-slow", stream=True), timeout=timeout, speed=1)
    with pytest.raises(ReadTimeoutError):
        b"".join(pieces(response))
    with pytest.raises(requests.exceptions.ReadTimeout):
        post(ask(model="demo-slow"), timeout=timeout, speed=1)


def test_pauses_shorter_than_the_read_timeout_are_none() -> None:
    assert frames(post(ask(stream=True, max_tokens=10), speed=0.5, timeout=0.05))[-1] == b"[DONE]"


@pytest.mark.timed
def test_many_streams_are_told_at_the_same_time() -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda n: frames(post(ask(f"{n}", stream=True), speed=0.5)), range(20)))
    assert time.monotonic() - started < 20 * 0.2
    assert len({said[0] for said in told}) == 20


@pytest.mark.parametrize("url", ["demo:/v1", "demo:", "demo://demo/v1", "demo:/any/base/v3", "demo://"])
def test_any_base_leads_to_the_endpoints(url: str) -> None:
    assert whole(ask(), f"{url}/chat/completions") == whole(ask())
    assert whole(ask(), f"{url}/chat/completions?api-version=1") == whole(ask())
    assert session().get(f"{url}/models").json()["object"] == "list"


@pytest.mark.parametrize(
    "send", [lambda body: body, lambda body: body.decode(), lambda body: iter([body[:9], body[9:]])]
)
def test_an_ask_may_be_sent_in_any_form(send: Any) -> None:
    response = session().post(URL, data=send(json.encode(ask())), headers={"Authorization": "Bearer any"})
    assert response.json() == whole(ask())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["demo", "demo-tools", "user", "tool", "required"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(ask(tools=0, n=0))), inner),
    max_leaves=8,
)
TOOL = st.fixed_dictionaries({"type": st.just("function"), "function": JSON | st.fixed_dictionaries({"name": JSON})})
FIELDS = "stop n max_tokens tool_choice functions function_call response_format logprobs top_logprobs stream"
FIELDS += " stream_options prompt input parallel_tool_calls suffix echo"


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["chat/completions", "completions", "embeddings", "moderations"]),
    st.fixed_dictionaries(
        {"model": st.sampled_from(["demo", "demo-tools", "demo-messy"]), "messages": st.lists(JSON) | st.just([])},
        optional={**{field: JSON for field in FIELDS.split()}, "tools": st.lists(TOOL | JSON, max_size=3)},
    ),
)
def test_no_ask_is_so_strange_that_it_gets_no_answer(path: str, body: dict[str, Any]) -> None:
    body["messages"] = [{"role": "user", "content": "hi demo user"}, *body["messages"]]
    answered = answer("POST", f"demo:/v1/{path}", json.encode(body))
    assert answered.status in (200, 400)
    assert answered.status == 200 or json.decode(answered.steps[0].data or b"")["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"[]", None, None),
        (b'{"messages": [...]}', None, None),
        (b"", None, None),
        ({"messages": []}, "model", None),
        ({"model": "demo"}, "messages", "missing_required_parameter"),
        ({"model": "demo", "messages": []}, "messages", "empty_array"),
        ({"model": "demo", "messages": "hi"}, "messages", "invalid_type"),
        ({"model": "demo", "messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"model": "demo", "messages": [{}]}, "messages[0].role", "missing_required_parameter"),
        (ask(stream="true"), "stream", "invalid_type"),
        (ask(stream_options={}), "stream_options", None),
        (ask(n=0), "n", "integer_below_min_value"),
        (ask(n=True), "n", "invalid_type"),
        (ask(temperature=2.5), "temperature", "decimal_above_max_value"),
        (ask(top_logprobs=2), "logprobs", None),
    ],
)
def test_a_wrong_ask_is_refused_in_the_words_of_openai(body: Any, param: str | None, code: str | None) -> None:
    failed = error(post(body), 400)
    assert (failed["type"], failed["param"], failed["code"]) == ("invalid_request_error", param, code)
    assert param is None or param in failed["message"]


def test_null_fields_are_as_good_as_none() -> None:
    silent = {"n": None, "stream": None, "stream_options": None, "tools": None, "stop": None, "max_tokens": None}
    said = whole(ask(**silent))["choices"][0]["message"]["content"]
    assert said
    assert len(whole(ask(**silent))["choices"]) == 1
