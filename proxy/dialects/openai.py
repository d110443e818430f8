"""OpenAI's chat completions: the dialect that everybody claims to speak."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from proxy.chat.ask import Ask
from proxy.dialects.dialect import Asked, Dialect, Mender, Stamp, Wire
from proxy.dialects.failures import envelope, read_failure
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_ask import read_ask, write_ask
from proxy.dialects.openai_custom import settle
from proxy.dialects.openai_repair import StreamMender, mend_reply_json
from proxy.dialects.openai_reply import read_reply, write_reply
from proxy.dialects.openai_spoken import write_failed_stream, write_stream
from proxy.dialects.openai_stream import read_stream
from proxy.errors import Headers
from proxy.framing.sse import read_sse

CONTENT_TYPE = "text/event-stream; charset=utf-8"
OWN_HEADERS = ("openai-",)  # organization, project, beta, version
KEYS = ("x-api-key", "api-key")
HEARTBEAT = b": keep-alive\n\n"


def mend_stream(
    ask: Ask, stamp: Stamp, *, repair: bool, show_usage: bool, asked_usage: bool, completions: bool = False
) -> Mender:
    """Begin the repair of a verbatim stream."""
    return StreamMender(
        ask,
        repair=repair,
        show_usage=show_usage,
        asked_usage=asked_usage,
        fallback_id=stamp.id,
        fallback_created=stamp.created,
        completions=completions,
    )


def mend_reply(reply: Wire, ask: Ask, stamp: Stamp, *, completions: bool = False) -> List[str]:
    """Mend a decoded whole answer in place; the names of the repairs."""
    return mend_reply_json(reply, ask, fallback_id=stamp.id, fallback_created=stamp.created, completions=completions)


def read(body: bytes, headers: Sequence[Tuple[str, str]] = ()) -> Ask:
    """Read a chat ask; its headers say nothing that its body does not."""
    return read_ask(body)


def restate(ask: Ask, *, stream: bool, ask_usage: bool, options: bool = True) -> Asked:
    """The client's ask in the mode that counts."""
    return Asked(write_ask(ask, stream=stream, ask_usage=ask_usage, options=options))


def read_chat(ask: Ask) -> Wire:
    """A chat ask is what the others are translated to."""
    return ask.body


def write_chat(chat: Wire, *, stream: bool, options: bool = True) -> Asked:
    """A translated ask: usage is asked for, since other protocols always tell it."""
    body = {**chat, "stream": stream}
    body.pop("thinking", None)  # another vendor's; what of it can be said stands in reasoning_effort
    if stream and options:
        body["stream_options"] = {"include_usage": True}
    return Asked(write_json(body))


def carry(headers: Headers, *, stored: bool = False) -> Headers:
    """Whatever header other protocols show their key in, here it is a bearer token."""
    others = [(name, value) for name, value in headers if name.lower() not in KEYS]
    key = next((value for name, value in headers if name.lower() in KEYS), "")
    if not key or any(name.lower() == "authorization" for name, _ in others):
        return others
    return [*others, ("Authorization", f"Bearer {key}")]


OPENAI = Dialect(
    name="openai",
    family="openai",
    path="/chat/completions",
    served=("/v1/chat/completions", "/chat/completions"),
    read_frames=read_sse,
    read_chat=read_chat,
    write_chat=write_chat,
    carry=carry,
    content_type=CONTENT_TYPE,
    heartbeat=HEARTBEAT,
    read_ask=read,
    write_ask=restate,
    read_reply=read_reply,
    write_reply=write_reply,
    read_stream=read_stream,
    write_stream=write_stream,
    read_failure=read_failure,
    write_failed=envelope,
    write_failed_stream=write_failed_stream,
    mend_stream=mend_stream,
    mend_reply=mend_reply,
    settle=settle,
    headers=OWN_HEADERS,
    lossless=True,
)
