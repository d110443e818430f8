"""A question: OpenAI's shape plus one open mapping, of which only what is needed is understood."""

from __future__ import annotations

from typing import Any, Dict, Optional

from msgspec import Struct


class Ask(Struct, frozen=True):
    """What the client wants: ``body`` is its JSON with every key it sent, known or not; never mutate it.

    ``show_usage``: the client asked for usage in its stream. ``named_tool``: it forced one tool by name, in which case
    a finish reason of ``stop`` beside a tool call is what OpenAI itself answers. ``raw``: the very bytes it came in.
    """

    model: str
    stream: bool
    body: Dict[str, Any]
    show_usage: bool = False
    named_tool: Optional[str] = None
    raw: bytes = b""
