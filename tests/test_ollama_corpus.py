"""Recorded traffic of real Ollama servers: everything is read, and nothing of it is lost on its way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator

import pytest
from sdk_reader import sdk_read

from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects.dialect import Dialect
from proxy.dialects.ollama import OLLAMA, OLLAMA_GENERATE
from proxy.dialects.ollama_models import read_embed_reply, read_show, write_embed_reply
from proxy.dialects.openai import OPENAI
from proxy.framing import Frame
from proxy.framing.ndjson import read_ndjson

FOLDER = os.environ.get("FORWARD_CORPUS")
WHOLES, STREAMS, ASKS, OTHERS = 20, 14, 21, 4  # committed; fewer read is a failure
pytestmark = pytest.mark.skipif(not FOLDER, reason="FORWARD_CORPUS names no folder with recorded traffic")
DIALECTS = {dialect.path: dialect for dialect in (OLLAMA, OLLAMA_GENERATE)}


def records(stream: bool | None = None) -> Iterator[tuple[Dialect, dict[str, Any]]]:
    with (Path(FOLDER or "") / "ollama.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            if record["path"] in DIALECTS and stream in (None, record["format"] == "ndjson"):
                yield DIALECTS[record["path"]], record


def frames(data: bytes, size: int = 0) -> list[Frame]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)] if size else [data]
    return [frame for batch in read_ndjson(pieces) for frame in batch]


def test_nothing_of_a_whole_answer_is_lost_on_its_way_through_a_stream() -> None:
    count = 0
    for dialect, record in records(stream=False):
        whole = json.loads(record["body"])
        wire = b"".join(dialect.write_stream(unfold(dialect.read_reply(whole)), show_usage=True))
        assert dialect.write_reply(fold(dialect.read_stream(frames(wire, 7), repair=False))) == whole, record["source"]
        count += 1
    print(f"{count} whole answers")
    assert count >= WHOLES


def test_every_stream_folds_and_can_be_told_again_here_and_elsewhere() -> None:
    count = 0
    for dialect, record in records(stream=True):
        lines = [json.loads(line) for line in record["body"].splitlines()]
        reply = fold(dialect.read_stream(frames(record["body"].encode(), 11), repair=True))
        said = dialect.write_reply(reply)
        spoken = [line["message"] if dialect is OLLAMA else line for line in lines]
        key = "content" if dialect is OLLAMA else "response"
        assert (said["message"] if dialect is OLLAMA else said)[key] == "".join(line.get(key) or "" for line in spoken)
        assert {k: v for k, v in said.items() if k not in ("message", key)} == {
            k: v for k, v in lines[-1].items() if k not in ("message", key)
        }
        again = b"".join(dialect.write_stream(unfold(reply), show_usage=True))
        assert dialect.write_reply(fold(dialect.read_stream(frames(again), repair=False))) == said
        told = OPENAI.write_reply(reply)["choices"][0]["message"]
        snapshot = sdk_read(b"".join(OPENAI.write_stream(unfold(reply), show_usage=True)))
        assert (snapshot["choices"][0]["message"]["content"] or "") == (told["content"] or "")
        count += 1
    print(f"{count} streams")
    assert count >= STREAMS


def test_every_ask_is_read_and_asked_again() -> None:
    count = 0
    for dialect, record in records():
        if record["request"]:
            body = json.dumps(record["request"]).encode()
            ask = dialect.read_ask(body)
            assert dialect.write_ask(ask, stream=ask.stream, ask_usage=True).body == body
            assert ask.stream is record["stream"] or "stream" not in record["request"]
            again = json.loads(OLLAMA.write_chat(dialect.read_chat(ask), stream=ask.stream).body)
            assert len(again["messages"]) >= 1
            count += 1
    print(f"{count} asks")
    assert count >= ASKS


def test_other_endpoints_are_read() -> None:
    count = 0
    with (Path(FOLDER or "") / "ollama.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            if record["path"] == "/api/embed":
                whole = json.loads(record["body"])
                said = write_embed_reply(read_embed_reply(whole, record["request"]), record["request"])
                assert said["embeddings"] == whole["embeddings"]
                assert said["prompt_eval_count"] == whole["prompt_eval_count"]
                count += 1
            elif record["path"] == "/api/show":
                assert read_show(json.loads(record["body"]), "m")["created"] > 0
                count += 1
    print(f"{count} embeddings and models")
    assert count >= OTHERS
