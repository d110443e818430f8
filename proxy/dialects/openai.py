"""OpenAI's chat completions: the dialect that everybody claims to speak."""

from __future__ import annotations

from typing import List

from proxy.chat.ask import Ask
from proxy.dialects.dialect import Dialect, Mender, Stamp, Wire
from proxy.dialects.failures import envelope, read_failure
from proxy.dialects.openai_ask import read_ask, write_ask
from proxy.dialects.openai_repair import StreamMender, mend_reply_json
from proxy.dialects.openai_reply import read_reply, write_reply
from proxy.dialects.openai_spoken import write_failed_stream, write_stream
from proxy.dialects.openai_stream import read_stream

CONTENT_TYPE = "text/event-stream; charset=utf-8"
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


OPENAI = Dialect(
    name="openai",
    path="/chat/completions",
    content_type=CONTENT_TYPE,
    heartbeat=HEARTBEAT,
    read_ask=read_ask,
    write_ask=write_ask,
    read_reply=read_reply,
    write_reply=write_reply,
    read_stream=read_stream,
    write_stream=write_stream,
    read_failure=read_failure,
    write_failed=envelope,
    write_failed_stream=write_failed_stream,
    mend_stream=mend_stream,
    mend_reply=mend_reply,
)
