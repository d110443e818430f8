"""Why an answer ended, in OpenAI's words: one table for foreign ones, and one rule for calls (spec 1.8, C28, C29)."""

from __future__ import annotations

from typing import Dict, Iterable, Optional

REASONS: Dict[str, str] = {
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "max_length": "length",
    "tool_use": "tool_calls",
    "function_calls": "tool_calls",
    "safety": "content_filter",
    "content_filtered": "content_filter",
    "sensitive": "content_filter",
    "data_inspection": "content_filter",
}


def said_reason(value: object) -> Optional[str]:
    """A ``finish_reason`` that says something: not null, empty, or the word "null" (C28)."""
    return value if isinstance(value, str) and value not in ("", "null") else None


def mended_reason(reason: str, kinds: Iterable[str], named_tool: Optional[str] = None) -> str:
    """The OpenAI word for ``reason``; "stop" beside a call made (``kinds``: the calls' kinds) names the call.

    Not where the ask named its tool: OpenAI itself answers "stop" then (spec 1.3). Words that are neither OpenAI's nor
    in the table stay as they are.
    """
    plain = REASONS.get(reason.lower(), reason)
    return plain if plain != "stop" or named_tool else missing_reason(kinds)


def missing_reason(kinds: Iterable[str]) -> str:
    """The reason of a choice that the provider ended without one (spec 1.6(i))."""
    made = set(kinds)
    if made - {"function_call"}:
        return "tool_calls"
    return "function_call" if made else "stop"
