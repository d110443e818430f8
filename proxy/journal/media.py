"""Images, sound and documents inside JSON: told by their shape, and described instead of copied.

Text that only looks like base64 (a signature, encrypted reasoning, a long word) stays. What goes is a ``data:`` URL, or
a long string of nothing but base64 that either begins like a known file or stands beside a word for its format.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Dict, Optional

SHORTEST = 256  # characters

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_DATA_URL = re.compile(r"data:([\w.+/-]*)(?:;[\w.=+-]+)*;base64,", re.IGNORECASE)
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_MARKED = bytes(65 if byte in _DIGITS else 32 for byte in range(256))
_RUN = b"A" * SHORTEST

# The first bytes of files; each is long enough not to occur by chance.
_BEGINNINGS = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_INSIDE = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BOXES = {b"avif": "image/avif", b"heic": "image/heic", b"M4A ": "audio/mp4"}
# What may stand beside the data: its media type, or a word for its format; a transcript is beside speech only.
_TYPES = ("media_type", "mime_type", "mimeType")
_MEDIA_TYPE = re.compile(r"(?:image|audio|video|application)/[\w.+-]+")
_FORMATS = {"wav", "mp3", "flac", "opus", "ogg", "aac", "m4a", "pcm", "pcm16", "g711_ulaw", "g711_alaw", "webm", "mp4"}


def may_hold_media(data: bytes) -> bool:
    """Say whether encoded JSON may hold media; a false alarm costs time only."""
    return len(data) > SHORTEST and _RUN in data.translate(_MARKED)


def without_media(value: Any, beside: Optional[Dict[str, Any]] = None) -> Any:
    """The same JSON value with each piece of media as ``{"type", "bytes", "sha256"}``."""
    if isinstance(value, str):
        return _described(value, beside or {}) if len(value) >= SHORTEST else value
    if isinstance(value, list):
        return [without_media(item, beside) for item in value]
    if isinstance(value, dict):
        return {key: without_media(item, value) for key, item in value.items()}
    return value


def _described(text: str, beside: Dict[str, Any]) -> Any:
    url = _DATA_URL.match(text)
    start = url.end() if url else 0
    if not _BASE64.fullmatch(text, start):
        return text
    known = url[1] or "text/plain" if url else _type_of(text, beside)
    if not known:
        return text
    content = _decoded(text[start:])
    return {"type": known, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _type_of(text: str, beside: Dict[str, Any]) -> str:
    begin = _decoded(text[:64])
    for first, known in _BEGINNINGS:
        if begin.startswith(first):
            return known
    if begin.startswith(b"RIFF"):
        return _INSIDE.get(begin[8:12], "application/octet-stream")
    if begin[4:8] == b"ftyp":
        return _BOXES.get(begin[8:12], "video/mp4")
    return _told_beside(beside)


def _told_beside(beside: Dict[str, Any]) -> str:
    for name in _TYPES:
        said = beside.get(name)
        if isinstance(said, str) and _MEDIA_TYPE.fullmatch(said):
            return said
    form = beside.get("format")
    if isinstance(form, str) and form in _FORMATS:
        return f"audio/{form}"
    return "audio/*" if isinstance(beside.get("transcript"), str) else ""


def _decoded(text: str) -> bytes:
    bare = text.rstrip("=")
    whole = bare[: len(bare) - (len(bare) % 4 == 1)]  # one digit too many says nothing
    return base64.b64decode(whole + "=" * (-len(whole) % 4), b"-_" if "-" in whole or "_" in whole else None)
