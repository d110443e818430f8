"""The rules of an Anthropic stream (reference 4.5), checked on the bytes that a client would get."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

from proxy.framing.sse import read_sse

DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set(),
}
CALLS = {"tool_use", "server_tool_use", "mcp_tool_use"}
TERMS = {"max_tokens", "refusal", "model_context_window_exceeded", "pause_turn", "compaction"}
NULL_END = {"stop_reason": None, "stop_sequence": None}


def said_in(data: bytes) -> List[Dict[str, Any]]:
    """The events of a stream but for its pings; each one's name must be its type, and none is ``[DONE]``."""
    frames = [frame for batch in read_sse([data]) for frame in batch]
    events = []
    for frame in frames:
        assert frame.raw.endswith(b"\n\n") and frame.raw.count(b"\ndata: ") == 1, frame.raw
        said = json.loads(frame.data)
        assert frame.event == said["type"], frame.raw
        if said["type"] != "ping":
            events.append(said)
    assert b"".join(frame.raw for frame in frames) == data
    return events


def check_stream(data: bytes, *, foreign: bool = True) -> List[Dict[str, Any]]:
    """Raise AssertionError unless ``data`` is a sound whole stream; its events.

    ``foreign``: it was written from another protocol, so that a call means ``tool_use`` and no block is empty.
    """
    first, *events, end, stop = said_in(data)
    blocks = check_blocks(first, events)
    assert end["type"] == "message_delta" and stop == {"type": "message_stop"}
    assert isinstance(end["usage"]["output_tokens"], int)
    reason = end["delta"]["stop_reason"]
    for block in blocks:
        if block["type"] in CALLS and reason not in TERMS:
            assert isinstance(json.loads("".join(block["pieces"]) or "{}"), dict)
    if foreign:
        assert isinstance(reason, str)
        called = any(block["type"] == "tool_use" for block in blocks)
        assert reason in TERMS or (reason == "tool_use") == called
        assert all(block["deltas"] or block["type"] == "redacted_thinking" for block in blocks)
    return [first, *events, end, stop]


def check_failed_stream(data: bytes) -> Dict[str, Any]:
    """Raise AssertionError unless ``data`` is a sound stream that ends in an error; the error's envelope."""
    *events, error = said_in(data)
    if events:
        check_blocks(events[0], events[1:])
    assert error["type"] == "error" and isinstance(error["error"]["message"], str)
    assert error["error"]["type"].endswith("_error") or error["error"]["type"] == "request_too_large"
    return error


def check_blocks(first: Dict[str, Any], events: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The blocks between the begin and the end: numbered from 0, one after the other, each with deltas of its kind."""
    message = first["message"]
    assert first["type"] == "message_start" and message["type"] == "message" and message["content"] == []
    assert message["role"] == "assistant" and isinstance(message["id"], str) and message["id"]
    assert {key: message[key] for key in NULL_END} == NULL_END
    assert all(isinstance(message["usage"][key], int) for key in ("input_tokens", "output_tokens"))
    blocks: List[Dict[str, Any]] = []
    current: Optional[Dict[str, Any]] = None
    for event in events:
        if event["type"] == "content_block_start":
            assert current is None and event["index"] == len(blocks), event
            current = {"type": event["content_block"]["type"], "deltas": 0, "pieces": []}
            check_begin(event["content_block"])
            blocks.append(current)
            continue
        assert current is not None and event["index"] == len(blocks) - 1, event
        if event["type"] == "content_block_stop":
            current = None
            continue
        assert event["type"] == "content_block_delta", event
        kinds = DELTAS.get(current["type"], {"input_json_delta"} if current["type"] in CALLS else None)
        assert kinds is None or event["delta"]["type"] in kinds, event
        current["deltas"] += 1
        current["pieces"].append(event["delta"].get("partial_json", ""))
    assert current is None
    return blocks


def check_begin(block: Dict[str, Any]) -> None:
    """What grows begins empty, with the keys that accumulators add to."""
    if block["type"] == "text":
        assert block["text"] == ""
    if block["type"] == "thinking":
        assert block["thinking"] == ""
    if block["type"] == "tool_use":
        assert block["input"] == {} and block["name"] and block["id"]
