"""DashScope's own protocol: text and multimodal generation, streamed by header, in frames that may repeat it all."""

from __future__ import annotations

from functools import partial

from proxy.dialects.dashscope_ask import read_ask, write_ask
from proxy.dialects.dashscope_asked import amend, write_chat
from proxy.dialects.dashscope_chat import read_chat
from proxy.dialects.dashscope_failures import write_failed, write_failed_stream
from proxy.dialects.dashscope_forms import MULTIMODAL_PATH, TEXT_PATH
from proxy.dialects.dashscope_reply import read_reply, write_reply
from proxy.dialects.dashscope_spoken import write_stream
from proxy.dialects.dashscope_stream import read_stream
from proxy.dialects.dashscope_watch import mend_stream
from proxy.dialects.dialect import Dialect
from proxy.dialects.failures import read_failure
from proxy.dialects.openai import carry
from proxy.dialects.verbatim import leave_alone
from proxy.framing.sse import read_sse

BASE = "/api/v1"

DASHSCOPE = Dialect(
    name="dashscope",
    family="dashscope",
    path=TEXT_PATH,
    served=(BASE + TEXT_PATH, BASE + MULTIMODAL_PATH),
    content_type="text/event-stream;charset=UTF-8",
    heartbeat=b":keep-alive\n\n",
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
    amend=amend,
    variants=((MULTIMODAL_PATH, partial(write_chat, parts=True)),),
    carry=carry,
    headers=("x-dashscope-",),
)
