"""What is only forwarded, and what is translated, when the provider fails."""

from __future__ import annotations

from typing import List

from provider import Close, Reset, Stall
from stories import HELLO, OPENING, whole

from faults.cut import ONE
from faults.row import Row, Want, fails, streams

GROUP = "Forwarded and translated"
LIST = b'{"object":"list","data":[]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
DIALECTS = [
    ("Anthropic", "/v1/messages", {"max_tokens": 9}),
    ("Ollama", "/api/chat", {}),
    ("DashScope", "/api/v1/services/aigc/text-generation/generation", {"input": {"messages": HELLO}}),
    ("Completions", "/v1/completions", {"prompt": "Hello?"}),
]
BOOM = b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":null}}\n\n'
FAULTS = [
    ("an error at once", [*streams(BOOM)]),
    ("an error in the middle", [*streams(OPENING, ONE, BOOM)]),
    ("cut in the middle", [*streams(OPENING, ONE), Close()]),
    ("reset before the status", [Reset()]),
    (
        "429",
        [
            whole(
                b'{"error":{"message":"slow down"}}',
                b"429 Too Many Requests",
                b"Content-Type: application/json\r\nRetry-After: 7\r\n",
            )
        ],
    ),
    ("HTML", [whole(b"<html>hello</html>", b"200 OK", b"Content-Type: text/html\r\n")]),
]


def cut(code: str, outcome: str) -> Want:
    """What is only relayed cannot tell a failure any more: it ends without its end."""
    return Want(200, outcome, code, LIST[:9], broken=True)


FORWARDED = [  # (what goes wrong, what is played, what comes of it)
    ("reset before the status", [Reset()], fails("connection_reset", upstream=None)),
    ("closed inside the head", [HEAD[:30], Close()], fails("connection_reset", upstream=None)),
    ("stalls before the status", [Stall()], fails("first_byte_timeout", "timeout_first_byte", 504, None)),
    ("closed inside the body", [HEAD + LIST[:9], Close()], cut("stream_truncated", "truncated")),
    ("reset inside the body", [HEAD + LIST[:9], Reset()], cut("connection_reset", "upstream_error")),
    ("stalls inside the body", [HEAD + LIST[:9], Stall()], cut("idle_timeout", "timeout_idle")),
    ("closed inside a chunk", [CHUNKS + b"1b\r\n" + LIST[:9], Close()], cut("stream_truncated", "truncated")),
    (
        "garbage for a chunk",
        [CHUNKS + b"9\r\n" + LIST[:9] + b"\r\nzz\r\n", Close()],
        cut("stream_truncated", "truncated"),
    ),
]


def forwarded() -> List[Row]:
    """GET /v1/models from a provider that fails."""
    return [
        Row(GROUP, f"forwarded: {name}", script, want, arena=arena(name), method="GET", target="/v1/models")
        for name, script, want in FORWARDED
    ]


def arena(name: str) -> str:
    """Who waits for what stalls must not wait long."""
    return "hasty" if name.startswith("stalls") else "patient"


def translated() -> List[Row]:
    """Clients of every protocol in front of the same failures."""
    made = []
    for name, target, more in DIALECTS:
        for fault, script in FAULTS:
            for way in ("stream", "folded"):
                asked = {**more, "stream": way == "stream"}
                headers = [("X-DashScope-SSE", "enable")] if way == "stream" else []
                made.append(
                    Row(GROUP, f"{name}, {way}: {fault}", script, None, way, target=target, more=asked, headers=headers)
                )
    return made


def rows() -> List[Row]:
    return [*forwarded(), *translated()]
