"""What was found missing on the way between protocols: each row is an ask or an answer of which something was lost."""

from __future__ import annotations

import json

import pytest
from matrix_asks import BEARER, TEXT_PATH
from matrix_providers import PROVIDERS
from matrix_stories import TEXT
from raw_client import Call
from stories import END, STREAM_HEAD, chunk, whole

HI = [{"role": "user", "content": "Hi"}]
ANTHROPIC = {"model": "m", "max_tokens": 3000, "messages": HI}
CHAT = {"model": "m", "messages": HI}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
BASH = {"name": "bash", "type": "bash_20250124"}
FUNCTIONS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in "fg"]


@pytest.fixture()
def exchanged(provider, proxy):
    """One ask through the proxy: what the client got, and what the provider heard."""

    def exchanging(path, provides, ask, script=None, headers=(), **settings):
        provider.clear()
        provider.chooses((lambda heard: script) if script else PROVIDERS[provides].tells(TEXT))
        running = proxy(url=provider.origin + PROVIDERS[provides].path, **settings)
        body = json.dumps(ask).encode() if ask is not None else b""
        method = "POST" if ask is not None else "GET"
        got = Call(running.port, body, method=method, target=path, headers=[*BEARER, *headers]).rest()
        return got, provider.heard[0] if provider.heard else None

    return exchanging


# (path, provider, ask, what the provider must hear of it, what is named as dropped)
ASKS = {
    "a choice of a tool that is gone": (
        "/v1/messages",
        "openai",
        {**ANTHROPIC, "tools": [TOOL, BASH], "tool_choice": {"type": "tool", "name": "bash"}},
        {"tool_choice": None},
        "tools, tool_choice",
    ),
    "names that are known are told": (
        "/v1/messages",
        "openai",
        {**ANTHROPIC, "container": "c", "speed": "fast"},
        {"container": None},
        "container, speed",
    ),
    "no thinking at dashscope": (
        "/v1/messages",
        "dashscope",
        {**ANTHROPIC, "thinking": {"type": "disabled"}},
        {"enable_thinking": False},
        "",
    ),
    "a budget at dashscope": (
        "/v1/messages",
        "dashscope",
        {**ANTHROPIC, "thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"enable_thinking": True, "thinking_budget": 2000},
        "",
    ),
    "no thinking at ollama": (
        "/v1/messages",
        "ollama",
        {**ANTHROPIC, "thinking": {"type": "disabled"}},
        {"think": False},
        "",
    ),
    "no thinking at openai": (
        "/v1/messages",
        "openai",
        {**ANTHROPIC, "thinking": {"type": "disabled"}},
        {"thinking": None, "reasoning_effort": None},
        "",
    ),
    "an effort leaves room for an answer": (
        "/v1/chat/completions",
        "anthropic",
        {**CHAT, "model": "claude-sonnet-4-5", "max_tokens": 3000, "reasoning_effort": "high"},
        {"thinking": {"type": "enabled", "budget_tokens": 2250}},
        "",
    ),
    "a blank stop": (
        "/v1/chat/completions",
        "anthropic",
        {**CHAT, "stop": ["\n", "ok"]},
        {"stop_sequences": ["ok"]},
        "stop",
    ),
    "any tool of two": (
        "/v1/chat/completions",
        "dashscope",
        {**CHAT, "tools": FUNCTIONS, "tool_choice": "required"},
        {"tool_choice": "auto"},
        "tool_choice",
    ),
    "how to search": (
        "/v1/chat/completions",
        "dashscope",
        {**CHAT, "web_search_options": {"search_context_size": "low"}},
        {"enable_search": True},
        "web_search_options",
    ),
    "the most thinking": (
        "/api/chat",
        "openai",
        {"model": "m", "messages": HI, "stream": False, "think": "max"},
        {"reasoning_effort": "xhigh"},
        "",
    ),
}


@pytest.mark.parametrize("name", ASKS)
def test_an_ask_arrives_or_is_named(exchanged, name):
    path, provides, ask, wanted, dropped = ASKS[name]
    got, heard = exchanged(path, provides, ask)
    assert got.status == 200, got.content
    said = heard.json["parameters"] if provides == "dashscope" else heard.json
    assert {key: said.get(key) for key in wanted} == wanted
    assert got.header("x-forward-dropped") == (dropped or None)


def completed(message, reason="stop", **more):
    """A whole chat of a provider."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **more}
    return json.dumps(body).encode()


def test_reasoning_in_details_reaches_a_client_that_knows_thinking(exchanged):
    details = [{"type": "reasoning.text", "text": "RD"}, {"type": "reasoning.summary", "summary": "S"}]
    answer = completed({"content": "x", "reasoning_details": details})
    for streams in (False, True):
        got, _ = exchanged("/v1/messages", "openai", {**ANTHROPIC, "stream": streams}, [whole(answer)])
        assert b'"RDS"' in got.content
    delta = {"role": "assistant", "content": "", "reasoning_details": details}
    last = {"content": "x"}
    lines = [{"choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in (delta, last)]
    lines.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    said = [b"data: " + json.dumps({"id": "c", "model": "m", **one}).encode() + b"\n\n" for one in lines]
    script = [STREAM_HEAD, *map(chunk, [*said, b"data: [DONE]\n\n"]), END]
    got, _ = exchanged("/v1/messages", "openai", {**ANTHROPIC, "stream": True}, script)
    assert got.content.index(b'"thinking":"RDS"') < got.content.index(b'"text":"x"')


SLOPPY = {"tool_calls": [{"function": {"name": name, "arguments": {"a": 1}}} for name in "fg"]}


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
@pytest.mark.parametrize("path", ["/v1/messages", "/api/chat", TEXT_PATH])
def test_calls_without_ids_can_be_told_apart_in_every_protocol(exchanged, path, streams):
    ask = {**ANTHROPIC, "stream": streams}
    headers = []
    if path == TEXT_PATH:
        ask = {"model": "m", "input": {"messages": HI}, "parameters": {"result_format": "message"}}
        headers = [("X-DashScope-SSE", "enable")] if streams else []
    got, _ = exchanged(path, "openai", ask, [whole(completed(SLOPPY))], [*headers, ("X-Forward-Mode", "non_stream")])
    assert got.status == 200
    ids = {part.split(b'"')[0] for part in got.content.split(b'"id":"') if part[:5] in (b"call_", b"toolu")}
    assert len(ids) == 2, got.content
    if path == TEXT_PATH:
        assert b'"finish_reason":"tool_calls"' in got.content


def test_calls_of_a_dashscope_provider_get_ids_too(exchanged):
    choice = {"finish_reason": "tool_calls", "message": {"role": "assistant", "content": "", **SLOPPY}}
    answer = json.dumps({"output": {"choices": [choice]}, "usage": {}, "request_id": "r"}).encode()
    got, _ = exchanged("/v1/chat/completions", "dashscope", CHAT, [whole(answer)])
    calls = got.json["choices"][0]["message"]["tool_calls"]
    assert len({call["id"] for call in calls}) == 2 and all(call["id"] for call in calls)
    assert not got.json.get("usage"), "nothing is known of what it cost"


def test_what_it_cost_is_known_from_the_first_frame_on_where_the_whole_is_there(exchanged):
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    script = [whole(completed({"content": "x"}, usage=usage))]
    got, _ = exchanged(
        "/v1/messages", "openai", {**ANTHROPIC, "stream": True}, script, [("X-Forward-Mode", "non_stream")]
    )
    begin = next(json.loads(line[6:]) for line in got.content.split(b"\n") if line.startswith(b"data: "))
    assert begin["message"]["usage"]["input_tokens"] == 100


def test_estimates_do_not_depend_on_how_an_answer_came(exchanged):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city":"Bern, in the middle"}'}}
    answer = completed({"content": "some words", "tool_calls": [call]}, "tool_calls")
    found = set()
    for streams in (False, True):
        got, _ = exchanged("/v1/messages", "openai", {**ANTHROPIC, "stream": streams}, [whole(answer)])
        found.add(got.content.rpartition(b'"output_tokens":')[2].split(b"}")[0].split(b",")[0])
    assert len(found) == 1, found


# (client's path, provider, header of the provider, header of the client)
NAMED = [
    ("/v1/messages", "openai", "x-request-id", "request-id"),
    ("/v1/chat/completions", "anthropic", "request-id", "x-request-id"),
    (TEXT_PATH, "openai", "x-request-id", "x-request-id"),
]


@pytest.mark.parametrize("path, provides, theirs, ours", NAMED)
def test_a_request_has_its_name_where_the_clients_sdk_looks_for_it(exchanged, path, provides, theirs, ours):
    ask = {"model": "m", "input": {"messages": HI}} if path == TEXT_PATH else ANTHROPIC
    play = PROVIDERS[provides].tells(TEXT)

    class Asked:
        target, json = "/v1/x", {}

    told = play(Asked)[0].replace(b"\r\n", b"\r\n%s: req-77\r\n" % theirs.encode(), 1)
    got, _ = exchanged(path, provides, ask, [told])
    assert got.status == 200 and got.header(ours) == "req-77"
    assert path != TEXT_PATH or got.json["request_id"] == "req-77"
    sorry = whole(b'{"error":{"message":"no","type":"x"}}', b"400 No", b"%s: req-78\r\n" % theirs.encode())
    got, _ = exchanged(path, provides, ask, [sorry])
    assert got.status == 400 and got.header(ours) == "req-78"


def test_a_name_that_only_the_body_tells_is_a_header_too(exchanged):
    sorry = whole(b'{"code":"InvalidParameter","message":"no","request_id":"r9"}', b"400 No")
    got, _ = exchanged("/v1/chat/completions", "dashscope", CHAT, [sorry])
    assert got.header("x-request-id") == "r9"


def test_ids_begin_as_each_protocol_has_them(exchanged):
    got, _ = exchanged("/v1/messages", "ollama", {**ANTHROPIC, "stream": True})
    assert b'"id":"msg_' in got.content
    got, _ = exchanged("/v1/completions", "ollama", {"model": "m", "prompt": "Hi"})
    assert got.json["id"].startswith("cmpl-")


def test_an_anthropic_base_of_its_own_is_served_too(exchanged):
    got, heard = exchanged("/anthropic/v1/messages", "openai", ANTHROPIC)
    assert got.json["type"] == "message" and heard.target == "/v1/chat/completions"
    got, _ = exchanged("/anthropic/v1/messages/count_tokens", "openai", ANTHROPIC)
    assert got.json["input_tokens"] > 0 and got.header("x-forward-estimated") == "1"


def test_under_compatible_every_protocol_tells_the_true_status(exchanged):
    sorry = whole(b'{"error":{"message":"no","type":"x"}}', b"404 No")
    ask = {"model": "m", "input": {"messages": HI}}
    got, _ = exchanged(TEXT_PATH, "openai", ask, [sorry], compatible=True)
    assert got.status == 200 and got.json["http_status"] == 404
