"""Failures as Ollama's clients know them: a text under one key, and as a line of its own inside a stream (spec 5.6)."""

from __future__ import annotations

from proxy.chat.events import Failed
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.ollama_forms import besides


def write_failed(failed: Failed) -> Wire:
    """Ollama's error: a text, and what else the provider told (``signin_url``)."""
    return {**besides(failed.extra, ("error",)), "error": failed.message}


def write_failed_stream(failed: Failed, before: bytes = b"") -> bytes:
    """A failure inside the stream is its last line."""
    return write_json(write_failed(failed)) + b"\n"
