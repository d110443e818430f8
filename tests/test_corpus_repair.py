"""The repair on recorded traffic: set FORWARD_CORPUS to the folder of recordings; what is checked is counted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from sdk_reader import sdk_read

from proxy.chat.ask import Ask
from proxy.dialects.openai_repair import StreamMender, mend_reply_json
from proxy.errors import ProxyError
from proxy.framing.sse import read_sse

CORPUS = os.environ.get("FORWARD_CORPUS", "")
pytestmark = [
    pytest.mark.skipif(not CORPUS, reason="FORWARD_CORPUS names no folder of recordings"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),  # the SDK's, on content that is a list
]
DONE = b"data: [DONE]\n\n"
STAMP = {"fallback_id": "fallback", "fallback_created": 1}


def recorded(streamed: bool) -> Iterator[Dict[str, Any]]:
    for line in (Path(CORPUS) / "openai_chat.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["status"] == 200 and record["stream"] == streamed:
            yield record


def ask_of(record: Dict[str, Any]) -> Ask:
    body = record["request"] or {}
    named = body.get("tool_choice")
    return Ask(record["model"] or "m", record["stream"], body, named_tool="named" if isinstance(named, dict) else None)


def wire_of(record: Dict[str, Any]) -> bytes:
    """The stream's bytes; recordings that kept only the payloads get their frames back."""
    body: str = record["body"]
    if record["format"] == "json-lines-of-chunks":
        body = "".join(f"data: {line}\n\n" for line in body.splitlines() if line) + DONE.decode()
    return body.encode()


def mend(wire: bytes, record: Dict[str, Any], **options: Any) -> bytes:
    mender = StreamMender(
        ask_of(record), **{"repair": True, "show_usage": True, "asked_usage": False, **options}, **STAMP
    )
    frames = (frame for group in read_sse([wire]) for frame in group)
    return b"".join([mender.mend(frame) for frame in frames]) + mender.end()


def text_of(wire: bytes) -> str:
    """All that the deltas of a stream say as content, read with nothing but a JSON parser."""
    chunks = [json.loads(line[5:]) for line in wire.splitlines() if line[:5] == b"data:" and b"[DONE]" not in line]
    deltas = [choice.get("delta") or {} for chunk in chunks for choice in chunk.get("choices") or []]
    return "".join(delta["content"] for delta in deltas if isinstance(delta.get("content"), str))


def check_stream(record: Dict[str, Any]) -> bytes:
    """Mend one stream and hold it to what the SDK and a second repair make of it."""
    wire = wire_of(record)
    out = mend(wire, record)
    assert mend(out, record) == out, record["source"]
    assert out.count(b"data: [DONE]") + out.count(b"data:[DONE]") == 1, record["source"]
    assert text_of(out) == text_of(wire), record["source"]
    for choice in sdk_read(out, cut=4096)["choices"]:
        assert choice["message"]["role"] == "assistant" and choice["finish_reason"], record["source"]
        for call in choice["message"].get("tool_calls") or []:
            assert call["id"] and call["function"]["name"], record["source"]
            json.loads(call["function"]["arguments"] or "{}")
    return out


def test_every_recorded_stream_is_accepted_by_the_sdk_once_mended() -> None:
    failed: List[str] = []
    checked, same, own = 0, 0, 0
    for record in recorded(streamed=True):
        try:
            out = check_stream(record)
        except ProxyError as error:
            failed.append(str(error))
            continue
        checked += 1
        same += out == wire_of(record)
        if record["provider"] == "openai":
            own += 1
            assert out == wire_of(record), record["source"]
    print(
        f"{checked} streams mended and read, {same} of them unchanged, {own} of them OpenAI's own; {len(failed)} failed"
    )
    assert checked >= 184 and same >= 80 and own >= 15
    assert all("tool" in message.lower() for message in failed) and len(failed) <= 2


def test_verbatim_relays_every_recorded_stream_as_it_came() -> None:
    checked = 0
    for record in recorded(streamed=True):
        try:
            out = mend(wire_of(record), record, repair=False)
        except ProxyError:
            continue
        wire = wire_of(record)
        assert out in (wire, wire.rstrip() + b"\n\n", wire + DONE), record["source"]
        checked += 1
    assert checked >= 183


def lost(came: Any, left: Any) -> bool:
    """Whether a key, or an item of a list, is gone."""
    if isinstance(came, dict) and isinstance(left, dict):
        return any(key not in left or lost(value, left[key]) for key, value in came.items())
    if isinstance(came, list) and isinstance(left, list):
        return len(came) != len(left) or any(map(lost, came, left))
    return False


def test_every_recorded_reply_has_what_strict_clients_need_and_lost_nothing() -> None:
    checked, same = 0, 0
    for record in recorded(streamed=False):
        if record["format"] != "json":
            continue
        came, reply = json.loads(record["body"]), json.loads(record["body"])
        try:
            repairs = mend_reply_json(reply, ask_of(record), **STAMP)
        except ProxyError:
            continue
        assert not lost(came, reply), record["source"]
        assert all(reply[key] for key in ("id", "object", "created", "model", "choices")), record["source"]
        for choice in reply["choices"]:
            assert choice["message"]["role"] and "content" in choice["message"] and choice["finish_reason"], record[
                "source"
            ]
        assert bool(repairs) == (reply != came), record["source"]
        checked, same = checked + 1, same + (not repairs)
    print(f"{checked} replies mended and read, {same} of them unchanged")
    assert checked >= 233 and same >= 200
