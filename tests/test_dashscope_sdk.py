"""The dashscope SDK reads what we write, over a real socket; and asks what we read."""

from __future__ import annotations

import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest

from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects.dashscope import DASHSCOPE
from proxy.dialects.json_text import write_json
from proxy.errors import failure
from proxy.framing.sse import read_sse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    dashscope = pytest.importorskip("dashscope", reason="the dashscope SDK is not installed")

WIRE = Path(__file__).parent / "wire" / "dashscope"
NAMES = ["tool_call_in_pieces", "thinking", "search_comes_first", "two_calls_in_pieces", "logprobs", "text_format_news"]
pytestmark = pytest.mark.filterwarnings("ignore")


class Provider:
    """Answers each ask as our writers spell the reply at hand, in the form that the ask wants."""

    def __init__(self) -> None:
        provider = self
        self.reply: Any = None
        self.failed: Any = None
        self.asks: list[Any] = []
        self.paths: list[str] = []

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ask = DASHSCOPE.read_ask(body, list(self.headers.items()))
                provider.asks.append(ask)
                provider.paths.append(self.path)
                self.send_response(200 if ask.stream or not provider.failed else provider.failed.status)
                self.send_header("Content-Type", DASHSCOPE.content_type if ask.stream else "application/json")
                self.end_headers()
                self.wfile.write(provider.answer(ask))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, ask: Any) -> bytes:
        if self.failed and ask.stream:
            return DASHSCOPE.heartbeat + DASHSCOPE.write_failed_stream(self.failed)
        if self.failed:
            return write_json(DASHSCOPE.write_failed(self.failed))
        if ask.stream:
            written = DASHSCOPE.write_stream(unfold(self.reply), show_usage=True, ask=ask)
            return DASHSCOPE.heartbeat.join(written)
        return write_json(DASHSCOPE.write_reply(self.reply, ask=ask))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    told = Provider()
    monkeypatch.setattr(dashscope, "base_http_api_url", f"http://127.0.0.1:{told.server.server_port}/api/v1")
    monkeypatch.setattr(dashscope, "api_key", "sk-test")
    yield told
    told.server.shutdown()
    told.server.server_close()
    told.thread.join(5)


def reply_of(name: str) -> Any:
    data = (WIRE / f"{name}.sse").read_bytes()
    frames = (frame for batch in read_sse([data]) for frame in batch)
    ask = DASHSCOPE.read_ask(b'{"model":"m","input":{"prompt":"?"},"parameters":{"incremental_output":true}}')
    return fold(DASHSCOPE.read_stream(frames, repair=True, ask=ask))


def plain(said: Any) -> Any:
    """The SDK's objects as JSON, without what it adds."""
    said = json.loads(json.dumps(said))
    return {key: value for key, value in said.items() if value is not None}


def call(**terms: Any) -> Any:
    return dashscope.Generation.call(model="qwen-plus", messages=[{"role": "user", "content": "?"}], **terms)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("result_format", ["message", None])
def test_a_whole_answer_is_read_as_it_is(provider: Provider, name: str, result_format: Any) -> None:
    provider.reply = reply_of(name)
    response = call(result_format=result_format)
    whole = DASHSCOPE.write_reply(provider.reply, ask=provider.asks[0])
    assert (response.status_code, response.request_id) == (200, whole["request_id"])
    assert plain(response.output) == plain(whole["output"]) and plain(response.usage) == whole["usage"]
    assert not provider.asks[0].stream and provider.paths == [DASHSCOPE.served[0]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("incremental", [None, False, True])
def test_a_stream_ends_with_the_same_message(provider: Provider, name: str, incremental: Any) -> None:
    """Without incremental output the SDK of today asks for it all the same and joins the pieces itself."""
    provider.reply = reply_of(name)
    terms = {} if incremental is None else {"incremental_output": incremental}
    responses = list(call(result_format="message", stream=True, **terms))
    assert {response.status_code for response in responses} == {200} and provider.asks[0].stream
    whole = DASHSCOPE.write_reply(provider.reply, ask=provider.asks[0])
    assert plain(responses[-1].usage) == whole["usage"]
    texts = [text_of(response.output) for response in responses]
    assert ("".join(texts) if incremental else texts[-1]) == text_of(whole["output"])
    if incremental is not True:
        assert calls_of(responses[-1].output) == calls_of(whole["output"])


def text_of(output: Any) -> str:
    return output["choices"][0]["message"]["content"] if output.get("choices") else output["text"]


def calls_of(output: Any) -> Any:
    message = output["choices"][0]["message"] if output.get("choices") else {}
    return [(one["id"], dict(one["function"])) for one in message.get("tool_calls") or []]


@pytest.mark.parametrize("stream", [True, False])
def test_parts_are_read_by_the_multimodal_client(provider: Provider, stream: bool) -> None:
    provider.reply = reply_of("parts_and_last_text_with_the_reason")
    messages = [{"role": "user", "content": [{"image": "http://127.0.0.1/i"}, {"text": "?"}]}]
    answer = dashscope.MultiModalConversation.call(model="qwen-vl-max", messages=messages, stream=stream)
    last = list(answer)[-1] if stream else answer
    assert last.status_code == 200 and provider.paths == [DASHSCOPE.served[1]]
    assert last.output.choices[0].message.content in ([{"text": "a dög"}], [])
    assert last.output.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_keeps_its_status_code_and_words(provider: Provider, stream: bool) -> None:
    provider.failed = failure("idle_timeout", "Nobody answered.").failed
    answer = call(stream=stream)
    response = list(answer)[-1] if stream else answer
    assert (response.status_code, response.code, response.message) == (504, "RequestTimeOut", "Nobody answered.")
