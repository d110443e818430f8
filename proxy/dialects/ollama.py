"""Ollama's own protocol, both ends: /api/chat and /api/generate, a JSON object a line."""

from __future__ import annotations

from functools import partial
from typing import Optional

from proxy.chat.ask import Ask
from proxy.chat.reply import Reply
from proxy.dialects.dialect import Dialect
from proxy.dialects.failures import read_failure
from proxy.dialects.ollama_ask import loaded, loading, read_ask, write_ask
from proxy.dialects.ollama_failures import write_failed, write_failed_stream
from proxy.dialects.ollama_forms import CHAT, CHAT_NAME, GENERATE, GENERATE_NAME, Form
from proxy.dialects.ollama_from_chat import write_chat, write_prompt
from proxy.dialects.ollama_parameters import OWN
from proxy.dialects.ollama_reading import is_end, read_reply, read_stream, says
from proxy.dialects.ollama_speaking import write_reply, write_stream
from proxy.dialects.ollama_to_chat import read_bare, read_chat, read_prompt
from proxy.dialects.openai import carry
from proxy.dialects.verbatim import leave_alone, watching
from proxy.framing.ndjson import read_ndjson


def alone(ask: Ask, form: Form = CHAT) -> Optional[Reply]:
    """The answer to an ask that only loads or unloads a model, which providers of other kinds do not do."""
    return loaded(ask, form) if loading(ask) else None


OLLAMA = Dialect(
    name=CHAT_NAME,
    family="ollama",
    path="/api/chat",
    served=("/api/chat",),
    content_type="application/x-ndjson",
    heartbeat=b"",
    read_frames=read_ndjson,
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
    mend_stream=watching(is_end, says),
    mend_reply=leave_alone,
    carry=carry,
    own=OWN,
    alone=alone,
)

OLLAMA_GENERATE = OLLAMA._replace(
    name=GENERATE_NAME,
    path="/api/generate",
    served=("/api/generate",),
    read_ask=partial(read_ask, form=GENERATE),
    read_chat=read_prompt,
    write_chat=write_prompt,
    read_prompt=read_bare,
    takes=frozenset(("suffix",)),
    write_reply=partial(write_reply, form=GENERATE),
    write_stream=partial(write_stream, form=GENERATE),
    alone=partial(alone, form=GENERATE),
)
