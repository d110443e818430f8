"""Recorded traffic of Anthropic: everything can be read, and nothing of a message is lost on its way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import pytest
from anthropic_checker import check_stream
from sdk_reader import sdk_read
from test_corpus import FOLDER, frames, frames_of, lost

from proxy.chat.fold import fold
from proxy.chat.reply import Reply
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS
from proxy.dialects.anthropic import ANTHROPIC
from proxy.dialects.anthropic_ask import read_count
from proxy.dialects.anthropic_read_chat import read_chat
from proxy.dialects.anthropic_tokens import count_tokens
from proxy.errors import ProxyError

WHOLES, STREAMS, ASKS, CHATS = 123, 91, 180, 417  # committed; fewer read is a failure
pytestmark = pytest.mark.skipif(not FOLDER, reason="FORWARD_CORPUS names no folder with recorded traffic")

CHAT = DIALECTS["openai"]


def records(name: str = "anthropic_messages.jsonl") -> Iterator[dict[str, Any]]:
    with (Path(FOLDER or "") / name).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def wholes() -> Iterator[Any]:
    for record in records():
        said = json.loads(record["body"]) if record["format"] == "json" else None
        if isinstance(said, dict) and said.get("type") == "message":
            yield said


def folded() -> Iterator[Reply]:
    for record in records():
        if record["stream"]:
            yield fold(ANTHROPIC.read_stream(frames_of(record), repair=True))


def streamed(reply: Reply) -> bytes:
    data = b"".join(ANTHROPIC.write_stream(unfold(reply), show_usage=True))
    check_stream(data, foreign=False)
    return data


def told_again(data: bytes) -> Any:
    return ANTHROPIC.write_reply(fold(ANTHROPIC.read_stream(frames(data), repair=False)))


def test_nothing_of_a_message_is_lost_on_its_way_through_a_stream() -> None:
    count = 0
    for whole in wholes():
        again = told_again(streamed(ANTHROPIC.read_reply(whole)))
        assert again == {"stop_sequence": None, **whole}
        count += 1
    assert count >= WHOLES


def test_every_stream_can_be_read_and_told_again() -> None:
    count = 0
    for reply in folded():
        said = ANTHROPIC.write_reply(reply)
        assert told_again(streamed(reply)) == said == ANTHROPIC.write_reply(ANTHROPIC.read_reply(said))
        assert not list(lost(said["usage"], ANTHROPIC.read_reply(said).usage["anthropic"]))  # type: ignore[index]
        count += 1
    assert count >= STREAMS


def test_every_answer_is_a_stream_that_the_openai_sdk_accepts() -> None:
    count = 0
    for reply in [*map(ANTHROPIC.read_reply, wholes()), *folded()]:
        said = sdk_read(b"".join(CHAT.write_stream(unfold(reply), show_usage=True)))["choices"][0]
        assert (said["message"].get("content") or None) == reply.choices[0].text
        assert len(said["message"].get("tool_calls") or []) == len(reply.choices[0].calls)
        count += 1
    assert count >= WHOLES + STREAMS


def test_every_answer_of_a_provider_of_chat_is_a_sound_stream_of_ours() -> None:
    counted: Counter[str] = Counter()
    for record in records("openai_chat.jsonl"):
        try:
            if record["format"] != "json":
                events = list(CHAT.read_stream(frames_of(record), repair=True))
            else:
                events = list(unfold(CHAT.read_reply(json.loads(record["body"]))))
        except ProxyError:
            counted["refused"] += 1
            continue
        check_stream(b"".join(ANTHROPIC.write_stream(events, show_usage=True)))
        counted["told"] += 1
    assert counted["told"] >= CHATS, counted


def test_every_ask_can_be_read_restated_counted_and_translated() -> None:
    count = 0
    for record in records():
        if "/v1/messages" not in record["path"] or not isinstance(record["request"], dict):
            continue
        if "messages" not in record["request"] or "model" not in record["request"]:
            continue
        body = json.dumps(record["request"]).encode()
        ask = read_count(body)
        assert ANTHROPIC.write_ask(ask, stream=ask.stream, ask_usage=True).body == body
        assert json.loads(ANTHROPIC.write_ask(ask, stream=not ask.stream, ask_usage=True).body)["stream"] != ask.stream
        assert count_tokens(ask) > 0
        assert read_chat(ask)["messages"]
        count += 1
    assert count >= ASKS
