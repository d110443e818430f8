"""The vendors' own SDKs read what we write: ollama's our lines, openai's a translated stream; and ask what we read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from provider import Heard, Provider
from sdk_reader import sdk_read

from proxy.chat.events import Failed
from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects.dialect import Dialect
from proxy.dialects.json_text import write_json
from proxy.dialects.ollama import OLLAMA, OLLAMA_GENERATE
from proxy.dialects.ollama_models import read_embed_reply, version, write_embed_reply, write_show, write_tags
from proxy.dialects.openai import OPENAI
from proxy.framing.ndjson import read_ndjson

ollama = pytest.importorskip("ollama", reason="the ollama SDK is not installed here")
types = pytest.importorskip("ollama._types", reason="the ollama SDK is not installed here")

WIRE = Path(__file__).parent / "wire"
WHOLES = sorted((WIRE / "openai").glob("*.json"))
STREAMS = sorted((WIRE / "ollama").glob("*.ndjson"))
MESSAGES = [{"role": "user", "content": "hi"}]
# The SDK's own types do not take calls whose arguments are a text.
FOR_THE_SDK = [path for path in STREAMS if path.stem != "arguments_as_text"]


def answer(body: bytes, kind: str = "application/x-ndjson", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.fixture()
def client(provider: Provider) -> Iterator[Any]:
    with ollama.Client(host=provider.origin, trust_env=False) as one:
        yield one


def spelled(dialect: Dialect, reply: Any) -> tuple[bytes, bytes]:
    """One answer as a stream and as a whole."""
    stream = b"".join(dialect.write_stream(unfold(reply), show_usage=True))
    return answer(stream), answer(write_json(dialect.write_reply(reply)), "application/json")


@pytest.mark.parametrize("path", WHOLES, ids=lambda path: path.stem)
def test_the_sdk_reads_every_translated_answer(path: Path, provider: Provider, client: Any) -> None:
    reply = OPENAI.read_reply(json.loads(path.read_text()))
    choice = reply.choices[0]
    choice.calls = [call for call in choice.calls if call.kind == "custom" or call.arguments[:1] in ("", "{")]
    for token in (choice.logprobs or {}).get("content") or []:
        token.setdefault("logprob", -1.0)  # the SDK's types want one
    whole = OLLAMA.write_reply(reply)
    provider.plays(*([one] for one in spelled(OLLAMA, reply)))
    parts = list(client.chat("m", MESSAGES, stream=True))
    said = client.chat("m", MESSAGES)
    assert "".join(part.message.content for part in parts) == said.message.content == whole["message"]["content"]
    assert "".join(part.message.thinking or "" for part in parts) == (said.message.thinking or "")
    calls = [call for part in parts for call in part.message.tool_calls or []]
    assert calls == list(said.message.tool_calls or [])
    assert [call.function.arguments for call in calls] == [
        call["function"]["arguments"] for call in whole["message"].get("tool_calls", [])
    ]
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (parts[-1].eval_count, parts[-1].done_reason) == (said.eval_count, said.done_reason)


@pytest.mark.parametrize("path", FOR_THE_SDK, ids=lambda path: path.stem)
def test_the_sdk_reads_our_lines_of_every_recording_as_the_recording(
    path: Path, provider: Provider, client: Any
) -> None:
    reply = OLLAMA.read_reply(json.loads(path.with_suffix(".json").read_text())["whole"])
    stream, whole = spelled(OLLAMA, reply)
    provider.plays([stream], [whole])
    parts = list(client.chat("m", MESSAGES, stream=True))
    said = client.chat("m", MESSAGES)
    assert "".join(part.message.content or "" for part in parts) == (said.message.content or "")
    assert parts[-1].model_dump(exclude={"message", "logprobs"}) == said.model_dump(exclude={"message", "logprobs"})


@pytest.mark.parametrize("path", sorted((WIRE / "ollama_generate").glob("*.ndjson")), ids=lambda path: path.stem)
def test_the_sdk_reads_generated_lines(path: Path, provider: Provider, client: Any) -> None:
    whole = json.loads(path.with_suffix(".json").read_text())["whole"]
    provider.plays(*([one] for one in spelled(OLLAMA_GENERATE, OLLAMA_GENERATE.read_reply(whole))))
    parts = list(client.generate("m", "hi", stream=True))
    said = client.generate("m", "hi")
    assert "".join(part.response for part in parts) == said.response == whole["response"]
    assert "".join(part.thinking or "" for part in parts) == (said.thinking or "")
    assert parts[-1].context == said.context == whole.get("context")
    assert parts[-1].done_reason == whole["done_reason"]


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_the_openai_sdk_reads_every_translated_stream(path: Path) -> None:
    frames = [frame for batch in read_ndjson([path.read_bytes()]) for frame in batch]
    events = list(OLLAMA.read_stream(frames, repair=True))
    snapshot = sdk_read(b"".join(OPENAI.write_stream(events, show_usage=True)))
    whole = OPENAI.write_reply(fold(events))
    message, said = whole["choices"][0]["message"], snapshot["choices"][0]["message"]
    assert (said["content"] or "") == (message["content"] or "")
    assert said.get("reasoning_content") == message.get("reasoning_content")
    assert [call["function"]["arguments"] for call in said.get("tool_calls") or []] == [
        call["function"]["arguments"] for call in message.get("tool_calls", [])
    ]
    assert snapshot["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert snapshot.get("usage") == whole.get("usage")


def test_the_sdk_raises_what_we_say_failed(provider: Provider, client: Any) -> None:
    failed = Failed(404, "model_not_found", "model 'x' not found")
    begun = b"".join(OLLAMA.write_stream(unfold(OLLAMA.read_reply({"message": {"content": "a"}})), show_usage=True))
    line = begun.splitlines(keepends=True)[0]
    body = write_json(OLLAMA.write_failed(failed))
    provider.plays([answer(body, status="404 Not Found")], [answer(line + OLLAMA.write_failed_stream(failed))])
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("x", MESSAGES)
    assert (caught.value.error, caught.value.status_code) == ("model 'x' not found", 404)
    parts = client.chat("x", MESSAGES, stream=True)
    assert next(parts).message.content == "a"
    with pytest.raises(ollama.ResponseError, match="not found"):
        next(parts)


def test_what_the_sdk_asks_is_read(provider: Provider, client: Any) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers.

        Args:
            a: one
            b: other
        """
        return a + b

    done = answer(b'{"message":{"role":"assistant","content":""},"done":true}', "application/json")
    provider.plays([done], [done], [done])
    call = {"function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
    history = [
        *MESSAGES,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_name": "add", "content": "3"},
    ]
    client.chat("m", history, tools=[add], think="high", format={"type": "object"}, options={"num_predict": 5})
    list(client.chat("m", MESSAGES, stream=True))
    client.generate("m", "hi", system="be nice", images=[b"\x89PNG"], keep_alive="5m")
    chat, streamed, prompt = (heard_ask(heard, dialect) for heard, dialect in zip(provider.heard, DIALECTS_HEARD))
    assert (chat["stream"], chat["max_tokens"], chat["reasoning_effort"]) == (False, 5, "high")
    assert chat["tools"][0]["function"]["name"] == "add" and chat["tools"][0]["type"] == "function"
    assert chat["messages"][2]["tool_call_id"] == chat["messages"][1]["tool_calls"][0]["id"]
    assert chat["response_format"]["type"] == "json_schema"
    assert streamed["stream"] is True
    assert prompt["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


DIALECTS_HEARD = (OLLAMA, OLLAMA, OLLAMA_GENERATE)


def heard_ask(heard: Heard, dialect: Dialect) -> Any:
    assert heard.target == dialect.path
    return dialect.read_chat(dialect.read_ask(heard.body, heard.headers))


REQUESTS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (types.ChatRequest, {"messages": MESSAGES, "tools": [{"type": "function", "function": {"name": "f"}}], "n": 1}),
    (types.ChatRequest, {"messages": MESSAGES, "stop": "x", "max_tokens": 5, "reasoning_effort": "high", "seed": 1}),
    (types.ChatRequest, {"messages": MESSAGES, "response_format": {"type": "json_object"}, "logprobs": True}),
]


@pytest.mark.parametrize(("request_type", "chat"), REQUESTS, ids=str)
def test_what_we_ask_is_what_the_sdk_could_ask(request_type: Any, chat: dict[str, Any]) -> None:
    body = json.loads(OLLAMA.write_chat({"model": "m", **chat}, stream=True).body)
    request = request_type(**body).model_dump(exclude_none=True, exclude_unset=True)
    assert request.keys() == body.keys()
    assert types.Options(**body.get("options", {})).model_dump(exclude_none=True) == body.get("options", {})


def test_the_sdk_reads_models_embeddings_and_versions(provider: Provider, client: Any) -> None:
    model = {"id": "m", "object": "model", "created": 1787335200, "owned_by": "o"}
    vectors = {"object": "list", "data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": {"prompt_tokens": 3}}
    bodies = [
        write_tags({"data": [model]}),
        write_show(model),
        write_embed_reply(vectors, {"model": "m", "input": "x"}),
    ]
    provider.plays(*([answer(write_json(body), "application/json")] for body in bodies))
    listed, shown, embedded = client.list(), client.show("m"), client.embed("m", "x")
    assert (listed.models[0].model, listed.models[0].modified_at.year) == ("m", 2026)
    assert "tools" in shown.capabilities and shown.modelinfo == {}
    assert (embedded.embeddings, embedded.prompt_eval_count) == ([[0.5, 1.0]], 3)
    assert version()["version"]


def test_the_openai_sdk_reads_translated_embeddings(provider: Provider) -> None:
    openai = pytest.importorskip("openai", reason="the openai SDK is not installed here")
    reply = {"model": "m", "embeddings": [[0.5, -1.25]], "prompt_eval_count": 4}
    sdk = openai.OpenAI(base_url=provider.origin, api_key="k", max_retries=0)
    provider.plays([answer(write_json(read_embed_reply(reply, {"encoding_format": "base64"})), "application/json")])
    said = sdk.embeddings.create(model="m", input="x")  # it asks for base64 by itself
    assert said.data[0].embedding == [0.5, -1.25]
    assert json.loads(provider.heard[0].body)["encoding_format"] == "base64"
    sdk.close()
