"""The anthropic SDK itself, over a real connection, reads what we write and says what we read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import pytest
from anthropic_checker import check_stream
from anthropic_rules import check_ask
from provider import Provider

from proxy.chat.events import Failed, Finished, Reasoning, Started, Text, ToolArguments, ToolCall, Usage
from proxy.chat.unfold import unfold
from proxy.dialects.anthropic import ANTHROPIC
from proxy.dialects.json_text import write_json

anthropic = pytest.importorskip("anthropic", reason="the anthropic SDK is not installed")

WHOLES = sorted((Path(__file__).parent / "wire" / "anthropic").glob("*.json"))
ASK: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture()
def client(provider: Provider) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=provider.origin, api_key="sk-1", max_retries=0) as one:
        yield one


def head(status: str, kind: str, size: int) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode()


def plays_stream(provider: Provider, data: bytes) -> None:
    provider.plays([head("200 OK", ANTHROPIC.content_type, len(data)), data[: len(data) // 2], data[len(data) // 2 :]])


def plays_json(provider: Provider, said: Any, status: str = "200 OK") -> None:
    body = write_json(said)
    provider.plays([head(status, "application/json", len(body)), body])


def settled(said: Any) -> Any:
    """What both sides agree about: no nulls, and no keys that the SDK's types add."""
    if isinstance(said, dict):
        return {key: settled(value) for key, value in said.items() if value is not None}
    return [settled(one) for one in said] if isinstance(said, list) else said


def final(client: Any) -> Any:
    with client.messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    return settled(json.loads(message.to_json()))


@pytest.mark.parametrize("path", WHOLES, ids=lambda path: path.stem)
def test_the_sdk_ends_with_the_message_that_we_told(path: Path, provider: Provider, client: Any) -> None:
    whole = json.loads(path.read_text(encoding="utf-8"))
    data = b"".join(ANTHROPIC.write_stream(unfold(ANTHROPIC.read_reply(whole)), show_usage=True))
    plays_stream(provider, data)
    said = final(client)
    for one, other in zip(said["content"], settled(whole)["content"]):
        assert {key: one.get(key) for key in other if key not in ("odd", "caller")} == {
            key: value for key, value in other.items() if key not in ("odd", "caller")
        }
    assert len(said["content"]) == len(whole["content"])
    assert (said["id"], said["model"], said["stop_reason"]) == (whole["id"], whole["model"], whole["stop_reason"])
    assert said.get("stop_sequence") == whole["stop_sequence"]
    assert said["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    assert said["usage"]["input_tokens"] == whole["usage"]["input_tokens"]


@pytest.mark.parametrize("path", WHOLES, ids=lambda path: path.stem)
def test_the_sdk_reads_whole_messages(path: Path, provider: Provider, client: Any) -> None:
    whole = json.loads(path.read_text(encoding="utf-8"))
    plays_json(provider, ANTHROPIC.write_reply(ANTHROPIC.read_reply(whole)))
    message = client.messages.create(**ASK)
    assert message.stop_reason == whole["stop_reason"]
    assert [block.type for block in message.content] == [block["type"] for block in whole["content"]]


EVENTS: Any = [
    Started("chatcmpl-1", "qwen-max", 1),
    Reasoning("hm"),
    Text("Hel"),
    Text("lo"),
    ToolCall(0, "c1", "f"),
    ToolArguments(0, '{"a":'),
    ToolArguments(0, "1}"),
    ToolCall(1, "c2", "g"),
    Finished("tool_calls"),
    Usage({"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}),
]


def test_the_sdk_ends_with_what_another_provider_said(provider: Provider, client: Any) -> None:
    data = b"".join(ANTHROPIC.write_stream(EVENTS, show_usage=True))
    check_stream(data)
    plays_stream(provider, ANTHROPIC.heartbeat + data[:200] + data[200:])
    said = final(client)
    assert [block["type"] for block in said["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert (said["content"][0]["thinking"], said["content"][1]["text"]) == ("hm", "Hello")
    assert [block["input"] for block in said["content"][2:]] == [{"a": 1}, {}]
    assert said["stop_reason"] == "tool_use"
    usage = {key: said["usage"][key] for key in ("input_tokens", "cache_read_input_tokens", "output_tokens")}
    assert usage == {"input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 4}


def test_the_sdk_raises_what_we_tell_of_a_failure(provider: Provider, client: Any) -> None:
    failed = Failed(503, "server_is_overloaded", "Busy", "service_unavailable_error", extra={"request_id": "req_1"})
    plays_stream(provider, b"".join(ANTHROPIC.write_stream([Text("a"), failed], show_usage=True)))
    with pytest.raises(anthropic.APIStatusError) as caught:
        final(client)
    assert caught.value.body == ANTHROPIC.write_failed(failed)
    for status, kind in ((401, "AuthenticationError"), (404, "NotFoundError"), (429, "RateLimitError")):
        plays_json(provider, ANTHROPIC.write_failed(Failed(status, None, "No")), f"{status} No")
        with pytest.raises(getattr(anthropic, kind)):
            client.messages.create(**ASK)


def test_what_the_sdk_sends_is_read_and_its_credential_goes_on(provider: Provider, client: Any) -> None:
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}}
    content = [picture, {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]
    plays_json(provider, ANTHROPIC.write_reply(ANTHROPIC.read_reply({"content": [], "stop_reason": "end_turn"})))
    client.messages.create(**{**ASK, "messages": [{"role": "user", "content": content}]}, tools=tools, system="S")
    heard = provider.heard[-1]
    assert heard.target.split("?")[0] in ANTHROPIC.served
    ask = ANTHROPIC.read_ask(heard.body, heard.headers)
    assert (ask.model, ask.stream) == ("m", False)
    carried = dict((name.lower(), value) for name, value in ANTHROPIC.carry(heard.headers))
    assert "sk-1" in (carried.get("x-api-key"), carried.get("authorization", "").replace("Bearer ", ""))
    chat = ANTHROPIC.read_chat(ask)
    assert [message["role"] for message in chat["messages"]] == ["system", "user"]
    check_ask(json.loads(ANTHROPIC.write_chat(chat, stream=False).body))


def test_a_turn_with_calls_comes_back_from_the_sdk_as_we_told_it(provider: Provider, client: Any) -> None:
    """The answer of another provider, appended by the SDK's user and read again, is the same calls with results."""
    plays_stream(provider, b"".join(ANTHROPIC.write_stream(EVENTS, show_usage=True)))
    with client.messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    plays_json(provider, ANTHROPIC.write_reply(ANTHROPIC.read_reply({"content": [], "stop_reason": "end_turn"})))
    results = [{"type": "tool_result", "tool_use_id": i, "content": i} for i in ("c1", "c2")]
    turn = {"role": "assistant", "content": [json.loads(block.to_json()) for block in message.content]}
    more = [*ASK["messages"], turn, {"role": "user", "content": results}]
    client.messages.create(**{**ASK, "messages": more})
    chat = ANTHROPIC.read_chat(ANTHROPIC.read_ask(provider.heard[-1].body))
    said = chat["messages"][1]
    assert (said["content"], said["reasoning_content"]) == ("Hello", "hm")
    assert [json.loads(one["function"]["arguments"]) for one in said["tool_calls"]] == [{"a": 1}, {}]
    assert [(one["role"], one["tool_call_id"]) for one in chat["messages"][2:]] == [("tool", "c1"), ("tool", "c2")]
