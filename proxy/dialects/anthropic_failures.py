"""Failures as Anthropic spells them: its own types, its own envelope, and an event where a stream had begun."""

from __future__ import annotations

from typing import Any

from proxy.chat.events import Failed
from proxy.dialects.anthropic_tables import TOO_LONG, type_of
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import write_json

BEATING = b'event: ping\ndata: {"type":"ping"}\n\n'
# Keys of an error object that have a meaning here as well.
SHARED = ("details", "http_status")
NO_MONEY = ("insufficient_quota",)


def write_frame(said: Wire) -> bytes:
    """One event: its name is its type, without which the SDK does not see it."""
    name: str = said["type"]
    return b"event: " + name.encode() + b"\ndata: " + write_json(said) + b"\n\n"


def status_of(failed: Failed) -> int:
    """The HTTP status that Anthropic's SDK expects of such a failure (reference 1.8, 1.15)."""
    if _no_money(failed):
        return 402
    return {422: 400, 503: 529}.get(failed.status, failed.status)


def write_failed(failed: Failed) -> Wire:
    """Anthropic's envelope; the type is the provider's own where it told one of Anthropic's."""
    told: Any = failed.extra.get("upstream_type")
    error: Wire = {"type": "billing_error" if _no_money(failed) else type_of(failed.status, told)}
    error["message"] = _message(failed)
    error.update((name, failed.extra[name]) for name in SHARED if name in failed.extra)
    said: Wire = {"type": "error", "error": error}
    request_id = failed.extra.get("request_id")
    return {**said, "request_id": request_id} if isinstance(request_id, str) else said


def write_failed_stream(failed: Failed, before: bytes = b"") -> bytes:
    """The event that ends a stream in which something failed; nothing follows it, and no message_stop."""
    return write_frame(write_failed(failed))


def _no_money(failed: Failed) -> bool:
    return failed.code in NO_MONEY


def _message(failed: Failed) -> str:
    """Agents know a prompt that is too long by these words."""
    if failed.code == "context_length_exceeded" and not failed.message.lower().startswith(TOO_LONG):
        return f"{TOO_LONG}: {failed.message}"
    return failed.message
