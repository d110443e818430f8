"""What was found missing on the way between protocols: each row is an ask or an answer of which something was lost."""

from __future__ import annotations

import json

import pytest
from matrix_asks import BEARER, TEXT_PATH
from matrix_providers import PROVIDERS, play
from matrix_stories import TEXT
from raw_client import Call
from stories import END, STREAM_HEAD, chunk, frames, whole

from proxy.chat.fold import fold
from proxy.dialects import DIALECTS

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
    "a word for an effort": (
        "/v1/chat/completions",
        "dashscope",
        {**CHAT, "reasoning_effort": "very"},
        {"enable_thinking": None},
        "reasoning_effort",
    ),
    "a completion that asks for nothing special": (
        "/v1/completions",
        "dashscope",
        {"model": "m", "prompt": "Hi", "echo": False, "best_of": 1, "suffix": None, "logprobs": 2},
        {"logprobs": True, "top_logprobs": 2},
        "",
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


WRONG_URL = whole(b'{"code":"InvalidParameter","message":"url error, please check url!","request_id":"r"}', b"400 No")
DATA = "data:image/png;base64,iVBORw0KGgo="


def test_an_image_that_cannot_move_is_not_asked_for_twice(provider, exchanged):
    content = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": DATA}}]
    ask = {"model": "zz", "messages": [{"role": "user", "content": content}]}
    got, heard = exchanged("/v1/chat/completions", "dashscope", ask, [WRONG_URL])
    assert got.status == 400 and "multimodal" in heard.target
    assert len(provider.heard) == 1, "it may have been billed"


def test_the_endpoint_that_the_operator_named_is_asked(provider, proxy):
    provider.chooses(PROVIDERS["dashscope"].tells(TEXT))
    running = proxy(url=provider.origin + TEXT_PATH.replace("text-", "multimodal-"))
    got = Call(running.port, json.dumps({"model": "new", "messages": HI}).encode(), headers=BEARER).rest()
    assert got.status == 200 and [one.target for one in provider.heard] == [TEXT_PATH.replace("text-", "multimodal-")]


NAMED_TOOL = {"type": "function", "function": {"name": "my.tool/x", "parameters": {"type": "object"}}}
USED = {"type": "tool_use", "id": "toolu_1", "name": "my_tool_x", "input": {"a": 1}}
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "c"}}
CUSTOM_USED = {"type": "tool_use", "id": "toolu_1", "name": "c", "input": {"input": 'raw "text"'}}


def message(block):
    """A whole answer of Anthropic's that calls a tool."""
    usage = {"input_tokens": 1, "output_tokens": 2}
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [block]}
    return whole(json.dumps({**said, "stop_reason": "tool_use", "stop_sequence": None, "usage": usage}).encode())


def streamed_message(block):
    """The same as a stream."""
    text = json.dumps(block["input"])
    start = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {}}}
    begin = {"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in (text[:9], text[9:])]
    grow = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}
    events = [start, begin, *grow, {"type": "content_block_stop", "index": 0}, end, {"type": "message_stop"}]
    lines = [b"event: %s\ndata: %s\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in events]
    return [STREAM_HEAD, *map(chunk, lines), END]


@pytest.mark.parametrize("mode", ["stream", "non_stream"])
@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_a_tool_is_called_as_the_client_called_it(provider, proxy, sdk, model, mode, streams):
    rows = [(NAMED_TOOL, USED, "my.tool/x"), (CUSTOM_TOOL, CUSTOM_USED, "c")]
    for tool, block, name in rows:
        provider.clear()
        provider.chooses(lambda heard, block=block: streamed_message(block) if mode == "stream" else [message(block)])
        client = sdk(proxy(url=provider.origin + "/v1/messages"))
        more = {"extra_headers": {"X-Forward-Mode": mode}, "tools": [tool], "messages": HI, "stream": streams}
        answer = client.chat.completions.create(model=model, **more)
        calls = [call.to_dict() for call in called(answer, streams)]
        inner = [call.get("custom") or call.get("function") for call in calls]
        assert inner[0]["name"] == name
        kind, key = ("custom", "input") if tool is CUSTOM_TOOL else ("function", "arguments")
        assert calls[0]["type"] == kind
        said = "".join(one[key] for one in inner if one.get(key))
        assert (said if kind == "custom" else json.loads(said)) == ('raw "text"' if kind == "custom" else {"a": 1})


def called(answer, streams):
    """The calls of an answer, whole or in pieces."""
    if not streams:
        return answer.choices[0].message.tool_calls
    return [call for part in answer for one in part.choices for call in one.delta.tool_calls or ()]


@pytest.mark.parametrize("path", ["/api/chat", TEXT_PATH])
@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_signatures_reach_those_who_send_them_back(exchanged, provider, proxy, path, streams):
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "SIG1"}
    text = {"type": "text", "text": "Hi."}
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [signed, text]}
    answer = json.dumps({**said, "stop_reason": "end_turn", "stop_sequence": None, "usage": {}}).encode()
    native = path == TEXT_PATH
    ask = {"model": "m", "messages": HI, "stream": streams}
    if native:
        ask = {"model": "m", "input": {"messages": HI}, "parameters": {"result_format": "message"}}
    headers = [("X-Forward-Mode", "non_stream"), *([("X-DashScope-SSE", "enable")] if native and streams else [])]
    got, _ = exchanged(path, "anthropic", ask, [whole(answer)], headers)
    assert b'"signature":"SIG1"' in got.content
    if streams:
        return
    told = got.json["output"]["choices"][0]["message"] if native else got.json["message"]
    again = [*HI, told, {"role": "user", "content": "And?"}]
    ask = {**ask, **({"input": {"messages": again}} if native else {"messages": again})}
    _, heard = exchanged(path, "anthropic", ask, [whole(answer)], headers)
    assert heard.json["messages"][1]["content"] == [signed, text]


def events_without(name, *, named=True):
    """A stream of Anthropic's without one of its ends, or without the names of its events."""
    lines = [
        {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "A"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    kept = [one for one in lines if one["type"] != name]
    heads = [b"event: %s\n" % one["type"].encode() if named else b"" for one in kept]
    data = [b"data: %s\n\n" % json.dumps(one).encode() for one in kept]
    return [STREAM_HEAD, *(chunk(head + one) for head, one in zip(heads, data)), END]


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_an_end_without_a_reason_has_the_same_reason_in_both_forms(exchanged, streams):
    ask = {**CHAT, "stream": streams}
    script = events_without("message_delta")
    got, _ = exchanged("/v1/chat/completions", "anthropic", ask, script, [("X-Forward-Mode", "stream")])
    assert got.status == 200 and b'"finish_reason":"stop"' in got.content


def test_events_without_names_get_them_for_the_sdk_that_drops_them_otherwise(exchanged):
    script = events_without("", named=False)
    got, _ = exchanged("/v1/messages", "anthropic", {**ANTHROPIC, "stream": True}, script)
    assert got.content.count(b"event: ") == 6 and got.content.startswith(b"event: message_start\ndata: {")
    got, _ = exchanged("/v1/messages", "anthropic", {**ANTHROPIC, "stream": True}, script, verbatim=True)
    assert b"event: " not in got.content


@pytest.mark.parametrize("usage", [{"total_tokens": 5}, {"prompt_tokens": None, "completion_tokens": None}])
def test_counts_that_nobody_told_are_no_zeros(exchanged, usage):
    script = [whole(completed({"content": "some words"}, usage=usage))]
    for streams in (False, True):
        ask = {**ANTHROPIC, "stream": streams}
        got, _ = exchanged("/v1/messages", "openai", ask, script, [("X-Forward-Mode", "non_stream")])
        assert got.status == 200 and b'put_tokens":0' not in got.content.replace(b'"output_tokens":0}}}', b"")


def test_an_old_call_has_an_id_of_its_own_in_each_answer(exchanged):
    found = set()
    for number in (1, 2):
        call = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
        answer = json.loads(completed(call, "function_call"))
        script = [whole(json.dumps({**answer, "id": f"chatcmpl-{number}"}).encode())]
        ask = {"model": "m", "input": {"messages": HI}, "parameters": {"result_format": "message"}}
        got, _ = exchanged(TEXT_PATH, "openai", ask, script)
        found.add(got.json["output"]["choices"][0]["message"]["tool_calls"][0]["id"])
    assert len(found) == 2 and all(found)


@pytest.mark.parametrize("native", [True, False])
def test_an_operators_key_reaches_anthropic_in_its_own_form(exchanged, native):
    headers = [("anthropic-version", "2023-06-01")] if native else []
    path = "/v1/messages" if native else "/v1/chat/completions"
    _, heard = exchanged(path, "anthropic", ANTHROPIC, None, headers, api_key="sk-operator", expose_host="127.0.0.1")
    assert heard.header("x-api-key") == "sk-operator" and heard.header("authorization") is None


GARBAGE = {"ollama": b'{"half": \n'}  # what nobody can read, in the middle of an answer; elsewhere a frame


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize("name", PROVIDERS)
def test_what_nobody_can_read_is_left_out_and_counted(name, repair):
    dialect = DIALECTS[name]
    lines = name == "ollama"
    pieces = play(name, "text.ndjson").splitlines(keepends=True) if lines else frames(play(name, "text.sse"))
    noisy = [*pieces[:2], GARBAGE.get(name, b'data: {"half": \n\n'), *pieces[2:]]
    repairs = {}
    told = [
        fold(dialect.read_stream((one for batch in dialect.read_frames(said) for one in batch), **more))
        for said, more in [(pieces, {"repair": repair}), (noisy, {"repair": repair, "repairs": repairs})]
    ]
    assert told[0] == told[1] and repairs["not_json"] == 1


@pytest.mark.parametrize("provides", PROVIDERS)
def test_both_journals_name_what_nobody_could_read(provider, proxy, model, provides):
    def noisy(heard):
        head, first, *others = PROVIDERS[provides].tells(TEXT)(heard)
        return [head, first, chunk(GARBAGE.get(provides, b'data: {"half": \n\n')), *others]

    provider.chooses(noisy)
    running = proxy(url=provider.origin + PROVIDERS[provides].path, mode="stream")
    got = Call(running.port, json.dumps({**CHAT, "model": model}).encode(), headers=BEARER).rest()
    pair = running.record(model=model)
    assert got.status == 200 and got.json["choices"][0]["message"]["content"]
    for line in pair:
        assert (line["outcome"], line["status"]) == ("complete", 200) and "not_json" in line["repairs"]
