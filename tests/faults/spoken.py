"""Failures in each provider's own words, at each moment, for clients of every protocol."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from provider import Close, Script
from raw_client import Call
from stories import END, HELLO, OPENING, STREAM_HEAD, chunk, whole

from faults.cut import ONE
from faults.row import Row

GROUP = "In each provider's own words"
LINES_HEAD = STREAM_HEAD.replace(b"text/event-stream", b"application/x-ndjson")


class Speaker(NamedTuple):
    """One provider: the path of its --url, how an answer begins, its failure as a frame and as a whole."""

    path: str
    begins: List[bytes]
    fails: bytes
    whole: bytes
    head: bytes = STREAM_HEAD


class Meaning(NamedTuple):
    """What a failure means, whoever hears of it; ``statuses`` where a client's protocol has one of its own for it."""

    message: str
    code: str
    status: int
    statuses: Dict[str, int] = {}


class Client(NamedTuple):
    """One kind of client: where it asks, and what it must say besides."""

    target: str
    more: Dict[str, Any] = {}


SPEAKERS = {
    "openai": Speaker(
        "/v1",
        [OPENING, ONE],
        b'data: {"error":{"message":"Slow down.","type":"rate_limit_error","param":null,'
        b'"code":"rate_limit_exceeded"}}\n\n',
        b'{"error":{"message":"Slow down.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}',
    ),
    "anthropic": Speaker(
        "/v1/messages",
        [
            b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_k","type":"message",'
            b'"role":"assistant","model":"M","content":[],"stop_reason":null,"stop_sequence":null,'
            b'"usage":{"input_tokens":5,"output_tokens":1}}}\n\n',
            b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
            b'{"type":"text","text":""}}\n\n',
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
            b'{"type":"text_delta","text":"one"}}\n\n',
        ],
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    ),
    "ollama": Speaker(
        "/api/chat",
        [
            b'{"model":"M","created_at":"2025-10-09T08:53:27.5Z","message":{"role":"assistant","content":"one"},'
            b'"done":false}\n'
        ],
        b'{"error":"an error was encountered while running the model"}\n',
        b'{"error":"an error was encountered while running the model"}',
        LINES_HEAD,
    ),
    "dashscope": Speaker(
        "/api/v1/services/aigc/text-generation/generation",
        [
            b'id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{"choices":[{"message":{"role":"assistant",'
            b'"content":"one"},"finish_reason":"null"}]},"usage":{"input_tokens":5,"output_tokens":1,'
            b'"total_tokens":6},"request_id":"q"}\n\n'
        ],
        b'id:2\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"DataInspectionFailed",'
        b'"message":"Output data may contain inappropriate content.","request_id":"q"}\n\n',
        b'{"code":"DataInspectionFailed","message":"Output data may contain inappropriate content.","request_id":"q"}',
    ),
}
# spec 3.6, the tables of codes
MEANINGS = {
    "openai": Meaning("Slow down.", "rate_limit_exceeded", 429),
    "anthropic": Meaning("Overloaded", "server_is_overloaded", 503, {"anthropic": 529}),
    "ollama": Meaning("an error was encountered while running the model", "internal_error", 500),
    "dashscope": Meaning("Output data may contain inappropriate content.", "content_filter", 400),
}
CLIENTS = {
    "openai": Client("/v1/chat/completions"),
    "completions": Client("/v1/completions", {"prompt": "Hello?"}),
    "anthropic": Client("/v1/messages", {"max_tokens": 9}),
    "ollama": Client("/api/chat"),
    "dashscope": Client("/api/v1/services/aigc/text-generation/generation", {"input": {"messages": HELLO}}),
}
GENERATED = b'{"model":"M","created_at":"2025-10-09T08:53:27.5Z","response":"one","done":false}\n'  # /api/generate
CUT = "a close in the middle"


def places(speaker: Speaker) -> Dict[str, Script]:
    """Where it fails in a stream."""
    begun = [speaker.head, *map(chunk, speaker.begins)]
    return {
        "an error at once": [speaker.head, chunk(speaker.fails), END],
        "an error in the middle": [*begun, chunk(speaker.fails), END],
        CUT: [*begun, Close()],
    }


def rows() -> List[Row]:
    """Each provider's failure for each kind of client, streamed and folded, and in place of a whole."""
    made = []
    for provider, speaker in SPEAKERS.items():
        for client, asks in CLIENTS.items():
            generates = provider == "ollama" and client == "completions"
            scripts = places(speaker._replace(begins=[GENERATED]) if generates else speaker)
            told = [(place, script, way) for place, script in scripts.items() for way in ("stream", "folded")]
            told += [("an error under 200", [whole(speaker.whole)], way) for way in ("whole", "unfolded")]
            made += [asked(provider, client, asks, *one) for one in told]
    return made


def asked(provider: str, client: str, asks: Client, place: str, script: Script, way: str) -> Row:
    """One of them."""
    streams = way in ("stream", "unfolded")
    return Row(
        GROUP,
        f"{provider}, {place}, for {client} ({way})",
        script,
        None,
        way,
        "patient" if provider == "openai" else provider,
        target=asks.target,
        more={**asks.more, "stream": streams},
        headers=[("X-DashScope-SSE", "enable")] if streams else [],
    )


def check_meaning(row: Row, call: Call, record: Dict[str, Any]) -> None:
    """A failure means the same to all, and keeps its words."""
    provider, place, client = row.name.split(", ", 1)[0], row.name.split(", ")[1], row.name.partition(" for ")[2]
    if place == CUT:
        assert (record["outcome"], record["error"]["code"]) == ("truncated", "stream_truncated")
        return
    means = MEANINGS[provider]
    status = means.statuses.get(client.partition(" ")[0], means.status)
    begun = row.way == "stream" and place == "an error in the middle"
    assert record["outcome"] == "upstream_error" and record["upstream_status"] == 200
    assert (record["error"]["message"], record["error"]["code"]) == (means.message, means.code), record["error"]
    assert call.status == (200 if begun else status), call.got
    assert means.message.encode() in call.content
