"""Laws of DashScope's dialect: a whole answer survives the way through a stream of any cut and manner, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator

import pytest
from dashscope_replies import EXCEPTIONS, message_replies, parts_replies, text_replies
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import pieces
from sdk_reader import sdk_read

from proxy.chat.ask import Ask
from proxy.chat.fold import fold
from proxy.chat.reply import Reply
from proxy.chat.unfold import unfold
from proxy.dialects.dashscope import DASHSCOPE
from proxy.dialects.json_text import read_json
from proxy.dialects.openai import OPENAI
from proxy.errors import ProxyError
from proxy.framing import Frame
from proxy.framing.sse import read_sse

SEEDS = st.integers(0, 2**32)
SHAPES = pytest.mark.parametrize(
    "wholes", [text_replies, message_replies, parts_replies], ids=["text", "message", "parts"]
)


def ask_with(stream: bool = True, **parameters: Any) -> Ask:
    body = {"model": "qwen-plus", "input": {"messages": [{"role": "user", "content": "?"}]}, "parameters": parameters}
    headers = [("X-DashScope-SSE", "enable")] if stream else []
    return DASHSCOPE.read_ask(json.dumps(body).encode(), headers)


ASKS = {
    "no ask": None,
    "news, message": ask_with(incremental_output=True, result_format="message"),
    "all so far, message": ask_with(result_format="message"),
    "all so far, text": ask_with(incremental_output=False, result_format="text"),
    "news, text": ask_with(incremental_output=True),
}


def frames(data: bytes, seed: int = 0) -> list[Frame]:
    return [frame for batch in read_sse(pieces(data, seed)) for frame in batch]


def streamed(reply: Reply, ask: Ask | None) -> bytes:
    return b"".join(DASHSCOPE.write_stream(unfold(reply), show_usage=True, ask=ask))


def told_again(whole: dict[str, Any], ask: Ask | None, seed: int = 0) -> dict[str, Any]:
    data = streamed(DASHSCOPE.read_reply(whole), ask)
    return DASHSCOPE.write_reply(fold(DASHSCOPE.read_stream(frames(data, seed), repair=False, ask=ask)), ask=ask)


COMBINATIONS = [
    pytest.param(wholes, ask, id=f"{shape}: {name}")
    for shape, wholes in {"text": text_replies, "message": message_replies, "parts": parts_replies}.items()
    for name, ask in ASKS.items()
    if shape == "text" or "text" not in name  # who wants a text cannot be told a message in it
]


@pytest.mark.parametrize("wholes, ask", COMBINATIONS)
def test_a_whole_answer_survives_a_stream_however_it_is_told_and_cut(wholes: Any, ask: Any) -> None:
    @settings(max_examples=60, deadline=None)
    @given(wholes, SEEDS)
    def law(whole: dict[str, Any], seed: int) -> None:
        assert told_again(whole, ask, seed) == whole

    law()


@SHAPES
def test_reading_and_writing_a_whole_answer_changes_nothing(wholes: Any) -> None:
    @settings(max_examples=60, deadline=None)
    @given(wholes)
    def law(whole: dict[str, Any]) -> None:
        reply = DASHSCOPE.read_reply(whole)
        assert DASHSCOPE.write_reply(reply) == whole
        assert fold(unfold(reply)) == reply

    law()


MODELLED = {
    "reply": {"id", "object", "created", "model", "choices", "usage"},
    "choice": {"index", "message", "delta", "text", "logprobs", "finish_reason"},
    "message": {"role", "content", "refusal", "reasoning_content", "tool_calls", "function_call", "audio"},
    "call": {"index", "id", "type", "function"},
    "inner": {"name", "arguments"},
}


def left_over(reply: Reply) -> list[tuple[str, str]]:
    bags = [("reply", reply.extra)]
    for choice in reply.choices:
        bags += [("choice", choice.extra), ("message", choice.note)]
        bags += [("call", call.extra) for call in choice.calls] + [("inner", call.inner) for call in choice.calls]
    return [(level, key) for level, bag in bags for key in bag if key in MODELLED[level]]


@SHAPES
def test_nothing_that_has_a_name_is_put_away_as_unknown(wholes: Any) -> None:
    @settings(max_examples=20, deadline=None)
    @given(wholes)
    def law(whole: dict[str, Any]) -> None:
        assert left_over(DASHSCOPE.read_reply(whole)) == []

    law()


@SHAPES
@pytest.mark.parametrize("name", ["news, message", "all so far, message", "all so far, text"])
def test_every_frame_is_complete_and_numbered(wholes: Any, name: str) -> None:
    @settings(max_examples=15, deadline=None)
    @given(wholes)
    def law(whole: dict[str, Any]) -> None:
        told = frames(streamed(DASHSCOPE.read_reply(whole), ASKS[name]))
        bodies = [read_json(frame.data) for frame in told]
        lines = [frame.raw.split(b"\n") for frame in told]
        assert [line[:3] for line in lines] == [
            [b"id:%d" % number, b"event:result", b":HTTP_STATUS/200"] for number in range(1, len(told) + 1)
        ]
        assert all({"output", "usage", "request_id"} <= body.keys() for body in bodies)
        last = len(whole["output"].get("choices", [1]))
        assert all(reason_of(body) == "null" for body in bodies[:-last])
        assert all(reason_of(body) != "null" for body in bodies[-last:])

    law()


def reason_of(body: dict[str, Any]) -> Any:
    output = body["output"]
    return (output["choices"][0] if "choices" in output else output)["finish_reason"]


@pytest.mark.parametrize("wholes", [text_replies, message_replies], ids=["text", "message"])
def test_what_a_whole_says_an_openai_client_hears_and_its_sdk_accepts(wholes: Any) -> None:
    @settings(max_examples=20, deadline=None)
    @given(wholes)
    def law(whole: dict[str, Any]) -> None:
        reply = DASHSCOPE.read_reply(whole)
        snapshot = sdk_read(b"".join(OPENAI.write_stream(unfold(reply), show_usage=True)))
        told = [(said["message"].get("content") or "", said["finish_reason"]) for said in snapshot["choices"]]
        said = [(choice.text or "", choice.reason) for choice in reply.choices]
        assert told == said
        counts = snapshot.get("usage") or {}
        assert counts.get("prompt_tokens") == whole["usage"].get("input_tokens")

    law()


def test_the_exceptions_from_the_law_are_named() -> None:
    assert len(EXCEPTIONS) == 13 and all(EXCEPTIONS.values())


FOLDER = os.environ.get("FORWARD_CORPUS")
WHOLES, STREAMS = 9, 26  # committed; fewer read is a failure
needs_corpus = pytest.mark.skipif(not FOLDER, reason="FORWARD_CORPUS names no folder with recorded traffic")


def records() -> Iterator[dict[str, Any]]:
    with (Path(FOLDER or "") / "dashscope_native.jsonl").open(encoding="utf-8") as lines:
        yield from (record for record in map(json.loads, lines) if record["path"].endswith("generation/generation"))


def ask_of(record: dict[str, Any]) -> Ask:
    return DASHSCOPE.read_ask(json.dumps(record["request"]).encode(), [("Accept", "text/event-stream")])


def numbered(whole: dict[str, Any]) -> dict[str, Any]:
    """With the numbers that are always written (EXCEPTIONS)."""
    choices = whole["output"].get("choices", [])
    return json.loads(
        json.dumps(
            {
                **whole,
                "output": {
                    **whole["output"],
                    **(
                        {"choices": [{"index": place, **choice} for place, choice in enumerate(choices)]}
                        if choices
                        else {}
                    ),
                },
            }
        )
    )


@needs_corpus
def test_nothing_of_a_recorded_whole_answer_is_lost_on_its_way_through_a_stream() -> None:
    wholes = [(json.loads(record["body"]), ask_of(record)) for record in records() if record["format"] == "json"]
    for whole, ask in wholes:
        assert told_again(whole, None) == numbered(whole)
        assert told_again(whole, ask) == numbered(whole)
    assert len(wholes) >= WHOLES


@needs_corpus
def test_every_recorded_stream_can_be_read_told_again_and_heard_by_the_sdk() -> None:
    streams = [record for record in records() if record["format"] == "sse"]
    for record in streams:
        ask = ask_of(record)
        events = list(DASHSCOPE.read_stream(frames(record["body"].encode()), repair=True, ask=ask))
        reply = fold(events)
        said = DASHSCOPE.write_reply(reply, ask=ask)
        assert told_again(said, ask) == told_again(said, None) == said, record["source"]
        again = b"".join(DASHSCOPE.write_stream(events, show_usage=True, ask=ask))
        assert DASHSCOPE.write_reply(fold(DASHSCOPE.read_stream(frames(again), repair=False, ask=ask)), ask=ask) == said
        snapshot = sdk_read(b"".join(OPENAI.write_stream(events, show_usage=True)))
        assert snapshot["choices"][0]["message"].get("content") == reply.choices[0].text
        last = json.loads(record["body"].strip().rpartition("data:")[2])
        assert said["usage"] == last["usage"] and said["request_id"] == last["request_id"]
    assert len(streams) >= STREAMS


@needs_corpus
def test_every_recorded_refusal_is_understood_and_spelled_as_it_came() -> None:
    with (Path(FOLDER or "") / "errors.jsonl").open(encoding="utf-8") as lines:
        told = [record for record in map(json.loads, lines) if record["protocol"] == "dashscope_native"]
    for record in told:
        failed = DASHSCOPE.read_failure(record["status"], list(record["headers"].items()), record["body"].encode())
        assert DASHSCOPE.write_failed(failed) == json.loads(record["body"])
        assert failed.status == record["status"]
        with pytest.raises(ProxyError):
            list(DASHSCOPE.read_stream(frames(DASHSCOPE.write_failed_stream(failed)), repair=True))
    assert len(told) >= 4
