"""What providers say, byte by byte and written by hand: the literal answers that the end-to-end plays are made of.

Only the arithmetic of HTTP framing is computed (``whole``, ``chunk``); every JSON text stands here, or in ``plays``, as
it travels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, NamedTuple

from provider import Heard, Script

PLAYS = Path(__file__).parent / "plays"

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
OLD_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def whole(body: bytes, status: bytes = b"200 OK", headers: bytes = JSON) -> bytes:
    """A complete answer with a Content-Length."""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked encoding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def frames(text: bytes) -> list[bytes]:
    """An SSE text cut after each blank line."""
    return [frame + b"\n\n" for frame in text.split(b"\n\n") if frame]


def streamed(text: bytes) -> list[bytes]:
    """A complete chunked stream, one chunk a frame."""
    return [STREAM_HEAD, *(chunk(frame) for frame in frames(text)), END]


class Story(NamedTuple):
    """One answer told twice: as a stream (with usage, as asked for) and as a whole. ``ask`` is what asks for it."""

    name: str
    ask: dict[str, object]
    stream: bytes
    whole: bytes

    @property
    def unmetered(self) -> bytes:
        """The stream as it is told when usage was not asked for."""
        kept = (frame for frame in frames(self.stream) if b'"choices":[]' not in frame)
        return b"".join(kept).replace(b',"usage":null', b"")


def read(name: str, **ask: object) -> Story:
    """A story from the two files of its name."""
    return Story(name, ask, (PLAYS / f"{name}.sse").read_bytes(), (PLAYS / f"{name}.json").read_bytes())


HELLO = [{"role": "user", "content": "Hello?"}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
TIME = {
    "type": "function",
    "function": {"name": "time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}},
}

TEXT = read("text", messages=HELLO)
TOOLS = read("tools", messages=[{"role": "user", "content": "Weather and time?"}], tools=[WEATHER, TIME])
TWO = read("two_choices", messages=HELLO, n=2)
REASONING = read("reasoning", messages=HELLO)
LOGPROBS = read("logprobs", messages=HELLO, logprobs=True, top_logprobs=1)
REFUSAL = read("refusal", messages=HELLO)
COMPLETION = read("completion", prompt="Once", max_tokens=2, logprobs=1)
STORIES = [TEXT, TOOLS, TWO, REASONING, LOGPROBS, REFUSAL]


def tells(story: Story) -> Callable[[Heard], Script]:
    """The script of a provider that tells one story as it is asked to: streamed or whole, with usage or without."""

    def script(heard: Heard) -> Script:
        if not heard.json.get("stream"):
            return [whole(story.whole)]
        metered = (heard.json.get("stream_options") or {}).get("include_usage")
        return streamed(story.stream if metered else story.unmetered)

    return script


def token(text: bytes, reason: bytes = b"null", role: bytes = b"") -> bytes:
    """One chat chunk as an SSE frame: a piece of text, and perhaps a role and a finish reason (JSON)."""
    return (
        b'data: {"id":"chatcmpl-k","object":"chat.completion.chunk","created":1760000007,"model":"M","choices":[{'
        b'"index":0,"delta":{%s"content":"%s"},"logprobs":null,"finish_reason":%s}]}\n\n' % (role, text, reason)
    )


OPENING = token(b"", role=b'"role":"assistant",')
CLOSING = token(b"", b'"stop"')
SHORT = whole(
    b'{"id":"chatcmpl-s","object":"chat.completion","created":1760000008,"model":"M","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"short"},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
SHORT_STREAM = [STREAM_HEAD, chunk(OPENING), chunk(token(b"short")), chunk(CLOSING), chunk(DONE), END]
