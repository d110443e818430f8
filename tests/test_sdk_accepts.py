"""The openai SDK's own decoder and accumulator read our streams, and end with the same message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai._models import construct_type
from openai.types import Completion
from sdk_reader import sdk_data, sdk_read

from proxy.chat.events import Finished, Opened, Started, Text
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS

CHAT, TEXT = DIALECTS["openai"], DIALECTS["completions"]
REPLIES = sorted((Path(__file__).parent / "wire" / "openai").glob("*.json"))
REPLIES = [path for path in REPLIES if path.stem != "content_in_parts"]  # content is text to the SDK's types


def settled(whole: Any) -> Any:
    """What both sides agree about: no nulls, no numbers of calls, and no empty lists that the SDK adds."""
    if isinstance(whole, dict):
        return {key: settled(value) for key, value in whole.items() if value is not None and key != "index"}
    return [settled(value) for value in whole] if isinstance(whole, list) else whole


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_the_sdk_ends_with_the_same_message(path: Path) -> None:
    whole = json.loads(path.read_text())
    wire = b"".join(CHAT.write_stream(unfold(CHAT.read_reply(whole)), show_usage=True))
    snapshot = sdk_read(wire)
    for choice, said in zip(whole["choices"], snapshot["choices"]):
        assert settled(said["message"]) == settled(choice["message"])
        assert said["finish_reason"] == choice["finish_reason"]
    assert len(snapshot["choices"]) == len(whole["choices"])
    assert snapshot.get("usage") == whole.get("usage")
    assert (snapshot["id"], snapshot["created"], snapshot["model"]) == (whole["id"], whole["created"], whole["model"])


def test_choices_that_begin_in_another_order_are_introduced_in_theirs() -> None:
    events = [Started("i", "m", 1), Opened(2), Text("two", 2), Opened(0), Text("nil"), Opened(1), Text("one", 1)]
    events += [Finished("stop", index) for index in (2, 1, 0)]
    snapshot = sdk_read(b"".join(CHAT.write_stream(events, show_usage=False)))
    assert [(said["message"]["content"], said["message"]["role"]) for said in snapshot["choices"]] == [
        ("nil", "assistant"),
        ("one", "assistant"),
        ("two", "assistant"),
    ]


def test_the_sdk_reads_completions_too() -> None:
    wire = b"".join(TEXT.write_stream([Started("i", "m", 1), Text("a"), Finished("stop")], show_usage=False))
    read = (construct_type(type_=Completion, value=json.loads(data)) for data in sdk_data([wire]))
    said = [chunk.choices[0] for chunk in read if isinstance(chunk, Completion)]
    assert [(one.text, one.finish_reason or "") for one in said] == [("a", ""), ("", "stop")]
