"""What form an answer has: its first bytes decide, not its Content-Type, which is often wrong (C06, C07)."""

from __future__ import annotations

from typing import Optional

BLANK = b" \t\r\n"
BOM = b"\xef\xbb\xbf"
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")


def sniff(begin: bytes) -> Optional[str]:
    """Return ``sse``, ``json`` or ``other`` for a body that begins like this, or None while that is open."""
    text = begin[len(BOM) :] if begin.startswith(BOM) else begin
    text = text.lstrip(BLANK)
    if not text or BOM.startswith(text):
        return None
    if text[:1] in (b"{", b"["):
        return "json"
    if text.startswith(FIELDS):
        return "sse"
    return None if any(field.startswith(text) for field in FIELDS) else "other"
