"""Recorded traffic of the older completions: everything can be read, and nothing of an answer is lost on its way."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Iterator

import pytest
from test_anthropic_corpus import records
from test_corpus import FOLDER, frames, frames_of, lost

from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS
from proxy.dialects.completions import COMPLETIONS
from proxy.errors import ProxyError

WHOLES, STREAMS, ASKS = 8, 14, 21  # committed; fewer read is a failure
pytestmark = pytest.mark.skipif(not FOLDER, reason="FORWARD_CORPUS names no folder with recorded traffic")

OLLAMA, CHAT = DIALECTS["ollama_generate"], DIALECTS["openai"]
# One provider says ``text.completion``; a whole answer is one of those whatever its provider calls it.
EXPECTED_LOSSES = {".object"}


def completions() -> Iterator[dict[str, Any]]:
    for record in records("openai_other.jsonl"):
        if record["path"].partition("?")[0].endswith("/completions") and "/prompts/" not in record["path"]:
            yield record


def test_nothing_of_a_whole_answer_is_lost_on_its_way_through_a_stream() -> None:
    losses: Counter[str] = Counter()
    count = 0
    for record in completions():
        if record["format"] == "json":
            whole = json.loads(record["body"])
            wire = b"".join(COMPLETIONS.write_stream(unfold(COMPLETIONS.read_reply(whole)), show_usage=True))
            losses.update(
                lost(whole, COMPLETIONS.write_reply(fold(COMPLETIONS.read_stream(frames(wire), repair=False))))
            )
            count += 1
    assert set(losses) <= EXPECTED_LOSSES
    assert count >= WHOLES


@pytest.mark.parametrize("repair", [True, False])
def test_every_stream_can_be_read_and_told_again(repair: bool) -> None:
    refused, count = [], 0
    for record in completions():
        if record["format"] == "json":
            continue
        try:
            events = list(COMPLETIONS.read_stream(frames_of(record), repair=repair))
        except ProxyError as error:
            refused.append((record["provider"], error.failed.code))
            continue
        again = b"".join(COMPLETIONS.write_stream(events, show_usage=True))
        said = COMPLETIONS.write_reply(fold(events))
        assert COMPLETIONS.write_reply(fold(COMPLETIONS.read_stream(frames(again), repair=False))) == said
        assert said["choices"] and all(isinstance(choice["text"], str) for choice in said["choices"])
        texts = [choice["text"] for choice in said["choices"]]
        assert OLLAMA.write_reply(fold(events))["response"] == texts[0], "other protocols tell the same"
        count += 1
    assert count >= STREAMS
    assert refused == [("writer", "invalid_upstream_response")], "its frames hold nothing but a value"


def test_every_ask_can_be_read_restated_and_told_as_a_bare_prompt() -> None:
    count = 0
    for record in completions():
        body = json.dumps(record["request"]).encode()
        ask = COMPLETIONS.read_ask(body)
        assert json.loads(COMPLETIONS.write_ask(ask, stream=ask.stream, ask_usage=False).body) == record["request"]
        read = COMPLETIONS.read_prompt
        prompted = read(ask) if read else None
        if prompted is not None:
            said = json.loads(OLLAMA.write_chat({**prompted, "n": 1}, stream=True).body)
            assert said["prompt"] == prompted["prompt"]
            count += 1
    assert count >= ASKS
