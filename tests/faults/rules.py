"""What holds for every row, whatever ``expected.json`` says: written from the rules, not from what was seen.

Statuses and codes: DECISIONS' table of codes, spec 3.6. How a client's protocol spells a failure, before its first byte
and after it: spec 3.6 "Where an error goes"; what its finished answers look like: C33, C37, C55, C68.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

from raw_client import Call, unchunk

from faults.row import Rest, Row

# What each of our own codes means: the outcome, and the status where the client has not been told one yet
OURS: Dict[str, Tuple[str, int]] = {
    "connect_timeout": ("timeout_connect", 504),
    "first_byte_timeout": ("timeout_first_byte", 504),
    "idle_timeout": ("timeout_idle", 504),
    "stall_timeout": ("timeout_idle", 504),
    "total_timeout": ("timeout_total", 504),
    "dns_failure": ("upstream_error", 502),
    "connection_refused": ("upstream_error", 502),
    "connection_reset": ("upstream_error", 502),
    "tls_failure": ("upstream_error", 502),
    "invalid_upstream_response": ("upstream_error", 502),
    "upstream_too_large": ("upstream_error", 502),
    "stream_truncated": ("truncated", 502),
    "invalid_json": ("refused", 400),
    "invalid_type": ("refused", 400),
    "invalid_framing": ("refused", 400),
    "request_timeout": ("refused", 408),
    "client_left": ("client_abort", 499),
}
FAILED = {"truncated", "upstream_error", "timeout_connect", "timeout_first_byte", "timeout_idle", "timeout_total"}
PROTOCOLS = {
    "/v1/messages": "anthropic",
    "/api/chat": "ollama",
    "/api/v1/services/aigc/text-generation/generation": "dashscope",
    "/v1/chat/completions": "openai",
    "/v1/completions": "openai",
}


def check_rules(row: Row, call: Call, client: Dict[str, Any], server: Dict[str, Any]) -> None:
    """Everything that is true of every row."""
    error, outcome = client["error"], client["outcome"]
    if error is not None and error["code"] in OURS:
        due, status = OURS[error["code"]]
        provider_said_it = outcome == "upstream_error" and (client["upstream_status"] or 0) >= 400
        assert provider_said_it or (outcome == due and client["status"] in (status, 200)), (error, client["status"])
    assert server["outcome"] == outcome and server["error"] == error
    assert (server["output"] is None) or client["attempts"], "an answer of a provider that nobody asked"
    if not any(isinstance(act, Rest) for act in row.acts):
        return
    protocol = PROTOCOLS.get(row.target, "")
    assert call.status == client["status"]
    if call.status >= 400:
        assert outcome in FAILED | {"refused", "client_abort"}, outcome
        check_refusal(protocol or "openai", row, call, client)
    elif not protocol:
        assert (outcome == "complete") == call_is_whole(call), "what was cut must look cut, and nothing else"
    elif row.streams:
        FINISHED[protocol](call) if outcome == "complete" else BROKEN[protocol](call, error)
    else:
        assert outcome == "complete", "a whole that failed under a status that says it did not"
        check_whole(protocol, call, client)


def call_is_whole(call: Call) -> bool:
    """Whether a forwarded answer ends as its framing says."""
    return call.complete or call.got.endswith(b"0\r\n\r\n")


def check_refusal(protocol: str, row: Row, call: Call, client: Dict[str, Any]) -> None:
    """A failure before the first byte: one JSON object, in the words of the client's protocol, as it is on record."""
    if client["upstream_status"] == call.status and not PROTOCOLS.get(row.target):
        return  # a forwarded endpoint relays what its provider said
    told = call.json
    assert call.header("content-type") == "application/json"
    message = client["error"]["message"]
    assert message and said_of(protocol, told) == message, told
    assert client["output"] == told


def said_of(protocol: str, told: Any) -> Any:
    """The message of a failure, whose form is checked."""
    if protocol == "anthropic":
        assert set(told) >= {"type", "error"} and told["type"] == "error" and told["error"]["type"], told
        return told["error"]["message"]
    if protocol == "ollama":
        assert isinstance(told["error"], str), told
        return told["error"]
    if protocol == "dashscope":
        assert {"code", "message", "request_id"} <= set(told) and told["code"], told
        return told["message"]
    error = told["error"]
    assert set(told) == {"error"} and {"message", "type", "param", "code"} <= set(error), told
    assert isinstance(error["type"], str) and isinstance(error["code"], (str, type(None))), told
    return error["message"]


def check_whole(protocol: str, call: Call, client: Dict[str, Any]) -> None:
    """A whole answer that is complete: it says so, and it is on record."""
    told = call.json
    assert "error" not in told or not told["error"], told
    assert client["output"] == told or b"\\ud" in call.content
    if protocol == "openai":
        assert told["choices"] and all(one["finish_reason"] and "index" in one for one in told["choices"]), told
    elif protocol == "anthropic":
        assert told["stop_reason"], told
    elif protocol == "ollama":
        assert told["done"] is True, told
    else:
        assert all(one["finish_reason"] not in (None, "null") for one in told["output"]["choices"]), told


def records(call: Call) -> List[bytes]:
    """The records of an event stream, which all end in a blank line."""
    text = call.content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert text.endswith(b"\n\n"), text[-200:]
    return [one for one in text.split(b"\n\n") if one.strip(b"\n")]


def data_of(record: bytes) -> bytes:
    """What its data lines say."""
    lines = [line[5:] for line in record.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(line[1:] if line.startswith(b" ") else line for line in lines)


def openai_chunks(call: Call) -> List[Any]:
    """The chunks in front of the one [DONE] that ends every stream."""
    said = [data for data in map(data_of, records(call)) if data]
    assert said[-1:] == [b"[DONE]"] and said.count(b"[DONE]") == 1, said[-3:]
    return [json.loads(one) for one in said[:-1]]


def openai_finished(call: Call) -> None:
    """No error, and a reason for each choice that began."""
    chunks = openai_chunks(call)
    assert not [one for one in chunks if one.get("error")]
    choices = [choice for one in chunks for choice in one["choices"]]
    ended = {choice["index"] for choice in choices if choice["finish_reason"]}
    assert ended and ended == {choice["index"] for choice in choices}, choices


def openai_broken(call: Call, error: Dict[str, Any]) -> None:
    """One error, nothing behind it but [DONE], and nobody said that it ended well."""
    *chunks, last = openai_chunks(call)
    assert said_of("openai", last) == error["message"], last
    assert not [one for one in chunks if one.get("error")], "told twice"
    assert not [one for one in chunks for choice in one["choices"] if choice["finish_reason"]], "looks complete"


def anthropic_events(call: Call) -> List[Any]:
    """The events, each under its own name."""
    told = []
    for record in records(call):
        event = json.loads(data_of(record))
        assert record.startswith(b"event: " + event["type"].encode() + b"\n"), record
        told.append(event)
    return told


def anthropic_finished(call: Call) -> None:
    """message_stop, once and last, behind a reason."""
    events = anthropic_events(call)
    kinds = [event["type"] for event in events]
    assert kinds[-2:] == ["message_delta", "message_stop"] and "error" not in kinds
    assert events[-2]["delta"]["stop_reason"]


def anthropic_broken(call: Call, error: Dict[str, Any]) -> None:
    """An error, once and last, and neither a reason nor message_stop."""
    *events, last = anthropic_events(call)
    assert said_of("anthropic", last) == error["message"]
    assert not {"error", "message_delta", "message_stop"} & {event["type"] for event in events}


def ollama_lines(call: Call) -> List[Any]:
    """The lines, of which each ends."""
    assert call.content.endswith(b"\n")
    return [json.loads(line) for line in call.content.splitlines()]


def ollama_finished(call: Call) -> None:
    """``done``, once and last, with a reason."""
    lines = ollama_lines(call)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True] and lines[-1]["done_reason"]


def ollama_broken(call: Call, error: Dict[str, Any]) -> None:
    """An error, once and last, and no ``done``."""
    *lines, last = ollama_lines(call)
    assert said_of("ollama", last) == error["message"]
    assert not [line for line in lines if line.get("done") or "error" in line]


def dashscope_frames(call: Call) -> List[Tuple[bytes, Any]]:
    """The frames as (event, data), numbered from 1."""
    told = []
    for number, record in enumerate(records(call), 1):
        first, second, *_ = record.split(b"\n")
        assert first == b"id:%d" % number and second.startswith(b"event:"), record
        told.append((second[6:], json.loads(data_of(record))))
    return told


def dashscope_finished(call: Call) -> None:
    """Results only, of which the last says why it ended."""
    frames = dashscope_frames(call)
    assert {event for event, _ in frames} == {b"result"}
    assert all(one["finish_reason"] != "null" for one in frames[-1][1]["output"]["choices"]), frames[-1]


def dashscope_broken(call: Call, error: Dict[str, Any]) -> None:
    """An error, once and last, behind results that have not ended."""
    *frames, (event, last) = dashscope_frames(call)
    assert event == b"error" and said_of("dashscope", last) == error["message"]
    assert {kind for kind, _ in frames} <= {b"result"}
    assert not [one for _, data in frames for one in data["output"]["choices"] if one["finish_reason"] != "null"]


FINISHED = {
    "openai": openai_finished,
    "anthropic": anthropic_finished,
    "ollama": ollama_finished,
    "dashscope": dashscope_finished,
}
BROKEN = {
    "openai": openai_broken,
    "anthropic": anthropic_broken,
    "ollama": ollama_broken,
    "dashscope": dashscope_broken,
}


def check_mended(call: Call, said: bytes, client: Dict[str, Any]) -> None:
    """A finished stream left with other data than it came with: the journal names what was mended.

    ``said``: all that the provider said. What had to be decompressed is not looked at.
    """
    head, _, body = said.partition(b" 200 ")[2].partition(b"\r\n\r\n")
    if b"content-encoding" in head.lower():
        return
    came = b"".join(unchunk(body)) if b"chunked" in head else body
    if lines_of(call.content) != lines_of(came):
        assert client.get("repairs"), (call.content, came)


def lines_of(text: bytes) -> List[str]:
    """What the data lines of a stream say, up to its [DONE], however it is framed."""
    plain = text.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    said = [line[5:].lstrip(" ") for line in plain.split("\n") if line.startswith("data:")]
    return said[: said.index("[DONE]") + 1] if "[DONE]" in said else [*said, "[DONE]"]
