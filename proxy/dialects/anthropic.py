"""Anthropic's Messages: blocks in order, and streams that begin and end each of them."""

from __future__ import annotations

from proxy.dialects.anthropic_ask import carry, read_ask, write_ask
from proxy.dialects.anthropic_failures import BEATING, status_of, write_failed, write_failed_stream
from proxy.dialects.anthropic_read_chat import alone, read_chat
from proxy.dialects.anthropic_reply import read_reply, write_reply
from proxy.dialects.anthropic_spoken import write_stream
from proxy.dialects.anthropic_stream import mend_stream, read_stream
from proxy.dialects.anthropic_write_chat import write_chat
from proxy.dialects.dialect import Dialect
from proxy.dialects.failures import read_failure
from proxy.dialects.verbatim import leave_alone
from proxy.framing.sse import read_sse

ANTHROPIC = Dialect(
    name="anthropic",
    family="anthropic",
    path="/messages",
    served=("/v1/messages", "/anthropic/v1/messages"),  # the second for clients whose base ends so
    content_type="text/event-stream; charset=utf-8",
    heartbeat=BEATING,
    read_frames=read_sse,
    read_ask=read_ask,
    write_ask=write_ask,
    read_chat=read_chat,
    write_chat=write_chat,
    read_reply=read_reply,
    write_reply=write_reply,
    read_stream=read_stream,
    write_stream=write_stream,
    read_failure=read_failure,
    write_failed=write_failed,
    write_failed_stream=write_failed_stream,
    mend_stream=mend_stream,
    mend_reply=leave_alone,
    unread=lambda ask: tuple(alone(ask)),
    status=status_of,
    carry=carry,
    request_id="request-id",
    headers=("anthropic-",),
    query=("beta",),
)
