"""Asks that make no sense are refused before any provider is asked, in the client's own words and naming the place."""

from __future__ import annotations

import json

import pytest
from matrix_asks import BEARER, TEXT_PATH
from matrix_providers import PROVIDERS
from raw_client import Call

HI = [{"role": "user", "content": "Hi"}]
LINK = "https://user:secret@pictures.example/red.png?token=secret"
ANTHROPIC = {"model": "m", "max_tokens": 9, "messages": HI}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
CHAT_PATH = "/v1/chat/completions"
CHAT = {"model": "m", "messages": HI}
OLLAMA = {"model": "m", "stream": False, "messages": HI}


def said(content):
    return {**CHAT, "messages": [{"role": "user", "content": content}]}


# (the client's path, the provider, the ask, what the refusal must name)
ROWS = {
    "system no text": ("/v1/messages", "openai", {**ANTHROPIC, "system": 1}, "system"),
    "tools no list": ("/v1/messages", "openai", {**ANTHROPIC, "tools": {}}, "tools"),
    "a tool without a name": ("/v1/messages", "dashscope", {**ANTHROPIC, "tools": [{}]}, "tools.0.name"),
    "a choice that is a word": ("/v1/messages", "ollama", {**ANTHROPIC, "tool_choice": "any"}, "tool_choice"),
    "a choice of no kind": ("/v1/messages", "openai", {**ANTHROPIC, "tool_choice": {"type": "x"}}, "tool_choice.type"),
    "a choice of nothing": (
        "/v1/messages",
        "openai",
        {**ANTHROPIC, "tools": [TOOL], "tool_choice": {"type": "tool"}},
        "tool_choice.name",
    ),
    "one stop": ("/v1/messages", "openai", {**ANTHROPIC, "stop_sequences": "x"}, "stop_sequences"),
    "a stop that is a number": ("/v1/messages", "openai", {**ANTHROPIC, "stop_sequences": [1]}, "stop_sequences.0"),
    "thinking of no kind": ("/v1/messages", "openai", {**ANTHROPIC, "thinking": {"type": "x"}}, "thinking.type"),
    "an image elsewhere": (
        "/v1/messages",
        "openai",
        {
            **ANTHROPIC,
            "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}],
        },
        "messages.0.content.0.source",
    ),
    "a link for an image": (
        "/v1/messages",
        "ollama",
        {
            **ANTHROPIC,
            "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": LINK}}]}],
        },
        "https://pictures.example/red.png",
    ),
    "a link from a chat": (
        "/v1/chat/completions",
        "ollama",
        {
            "model": "m",
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": LINK}}]}],
        },
        "https://pictures.example/red.png",
    ),
    "a link from dashscope": (
        TEXT_PATH.replace("text-", "multimodal-"),
        "ollama",
        {"model": "m", "input": {"messages": [{"role": "user", "content": [{"image": LINK}]}]}},
        "https://pictures.example/red.png",
    ),
    "a format nobody knows": ("/api/chat", "openai", {**OLLAMA, "format": "xml"}, "format"),
    "a word for thinking": ("/api/chat", "openai", {**OLLAMA, "think": "very"}, "think"),
    "a content in parts": (
        "/api/chat",
        "anthropic",
        {**OLLAMA, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        "messages[0].content",
    ),
    "messages of numbers": (CHAT_PATH, "anthropic", {**CHAT, "messages": [5]}, "messages[0]"),
    "a content of no kind": (CHAT_PATH, "anthropic", said(5), "messages[0].content"),
    "a text without a text": (CHAT_PATH, "dashscope", said([{"type": "text"}]), "messages[0].content[0].text"),
    "an image of nothing": (
        CHAT_PATH,
        "anthropic",
        said([{"type": "image_url", "image_url": {}}]),
        "messages[0].content[0].image_url.url",
    ),
    "calls that are a word": (
        CHAT_PATH,
        "dashscope",
        {**CHAT, "messages": [{"role": "assistant", "tool_calls": "x"}]},
        "messages[0].tool_calls",
    ),
    "a warm temperature": (CHAT_PATH, "anthropic", {**CHAT, "temperature": "hot"}, "temperature"),
    "a number to stop at": (CHAT_PATH, "anthropic", {**CHAT, "stop": 5}, "stop"),
    "tools of a word": (CHAT_PATH, "dashscope", {**CHAT, "tools": "x"}, "tools"),
    "a format that is a word": (CHAT_PATH, "anthropic", {**CHAT, "response_format": "json"}, "response_format"),
    "two tools of one name": (
        CHAT_PATH,
        "anthropic",
        {**CHAT, "tools": [{"type": "function", "function": {"name": name}} for name in ("my.tool/x", "my_tool_x")]},
        "same name",
    ),
    "a content of nothing": (
        "/v1/messages",
        "ollama",
        {**ANTHROPIC, "messages": [{"role": "user", "content": []}]},
        "messages.0.content",
    ),
    "a result of no call": (
        "/v1/messages",
        "openai",
        {**ANTHROPIC, "messages": [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]},
        "messages.0.content.0.tool_use_id",
    ),
    "a call without an id": (
        "/v1/messages",
        "openai",
        {**ANTHROPIC, "messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {}}]}]},
        "messages.0.content.0.id",
    ),
    "vectors without a model": ("/api/embed", "openai", {"input": "x"}, "model"),
    "vectors of numbers": ("/api/embed", "openai", {"model": "e", "input": [1, 2]}, "input"),
    "vectors of no model": ("/v1/embeddings", "ollama", {"input": "x"}, "model"),
    "vectors of a foreign form": (
        "/v1/embeddings",
        "ollama",
        {"model": "e", "input": "x", "encoding_format": "int8"},
        "encoding_format",
    ),
    "a count of nothing": ("/v1/messages/count_tokens", "openai", {"model": "m"}, "messages"),
}


def told(path, body):
    """The message of a refusal, each protocol's own envelope."""
    if path.startswith("/v1/messages"):
        assert body["type"] == "error" and body["error"]["type"] == "invalid_request_error"
        return body["error"]["message"]
    if path.startswith("/api/v1/"):
        assert body["code"] == "InvalidParameter"
        return body["message"]
    if path.startswith("/api/"):
        return body["error"]
    assert body["error"]["type"] == "invalid_request_error"
    return body["error"]["message"]


@pytest.mark.parametrize("name", ROWS)
def test_a_senseless_ask_is_refused_where_it_came_in(provider, proxy, name):
    path, provides, ask, named = ROWS[name]
    running = proxy(url=provider.origin + PROVIDERS[provides].path)
    got = Call(running.port, json.dumps(ask).encode(), target=path, headers=BEARER).rest()
    assert got.status == 400, got.content
    assert named in told(path, got.json)
    assert b"secret" not in got.content and not provider.heard


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/models", "/v1/messages/batches"])
@pytest.mark.parametrize("provides", ["anthropic", "openai"])
def test_a_stranger_is_refused_in_words_that_it_knows(provider, proxy, provides, path):
    running = proxy(url=provider.origin + PROVIDERS[provides].path, client_keys="sk-client", api_key="sk-operator")
    sent = [("anthropic-version", "2023-06-01"), ("x-api-key", "wrong")]
    body = b"" if path == "/v1/models" else json.dumps(ANTHROPIC).encode()
    got = Call(running.port, body, method="POST" if body else "GET", target=path, headers=sent).rest()
    assert got.status == 401
    assert got.json["type"] == "error" and got.json["error"]["type"] == "authentication_error"
