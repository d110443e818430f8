"""How many tokens an ask may have: an estimate for clients whose provider cannot count (reference 1.6)."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from proxy.chat.ask import Ask
from proxy.dialects.json_text import write_json

PER_IMAGE = 1600  # never the length of its base64 text
PER_PAGE = 60_000  # base64 characters of a document that hold about a page, which costs as much as an image
PER_MESSAGE = 3
PIECE = 4  # characters of ordinary text in a token
WIDE = "\u2e80"  # from here on a character is about a token: Chinese, Japanese, Korean, and most symbols
MEDIA = frozenset(("image", "document"))
COUNTED = ("system", "tools", "tool_choice", "output_config", "output_format")


def count_tokens(ask: Ask) -> int:
    """An estimate of the tokens of an ask in this dialect; at least 1."""
    body = ask.body
    messages = body.get("messages")
    total = sum(PER_MESSAGE + _count(message) for message in messages) if isinstance(messages, list) else 0
    return max(1, total + sum(_count(body.get(name)) for name in COUNTED))


def write_count(ask: Ask) -> Dict[str, int]:
    """The answer of ``/v1/messages/count_tokens``."""
    return {"input_tokens": count_tokens(ask)}


def count_text(text: str) -> int:
    """An estimate of the tokens of a text: four ordinary characters, or one wide one."""
    wide = 0 if text.isascii() else sum(character >= WIDE for character in text)
    return wide - (wide - len(text)) // PIECE  # rounded up


def weight(text: str) -> float:
    """About how many tokens a piece of a text adds: what pieces weigh adds up, whatever they are cut into."""
    wide = 0 if text.isascii() else sum(character >= WIDE for character in text)
    return wide + (len(text) - wide) / PIECE


def _count(value: Any) -> int:
    """The tokens of a value: texts as text, media by their kind, anything else by the length of its JSON."""
    if isinstance(value, str):
        return count_text(value)
    if isinstance(value, list):
        return sum(map(_count, value))
    if not isinstance(value, dict):
        return 0
    if value.get("type") in MEDIA:
        return _count_media(value)
    if "content" in value or value.get("type") in ("text", "thinking"):
        return sum(_count(value.get(name)) for name in ("text", "thinking", "content"))
    return count_text(write_json(value).decode())


def _count_media(block: Mapping[str, Any]) -> int:
    source = block.get("source")
    told: Mapping[str, Any] = source if isinstance(source, dict) else {}
    if block["type"] == "image":
        return PER_IMAGE
    if told.get("type") in ("text", "content"):
        return _count(told.get("data")) + _count(told.get("content"))
    data = told.get("data")
    pages = len(data) // PER_PAGE if isinstance(data, str) else 0
    return PER_IMAGE * max(1, pages)
