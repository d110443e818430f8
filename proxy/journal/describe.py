"""Bodies as the journal shows them: JSON as values, short text as text, everything else as a descriptor."""

from __future__ import annotations

import json
import re
from email.message import Message
from typing import Any, NamedTuple

import msgspec

from proxy.journal.redact import hide_in_urls

# How much text is kept as it is, and how long a form field may be to be shown; bytes.
LONGEST_TEXT = 65_536
LONGEST_FIELD = 1_024

_TEXTUAL = re.compile(r"text/|.*(?:json|xml|javascript|urlencoded|event-stream|yaml|graphql)", re.IGNORECASE)
_DECODER = msgspec.json.Decoder()
_BOM = b"\xef\xbb\xbf"
_NOT_JSON = object()


class Body(NamedTuple):
    """A whole body as it came, to be understood when it is written down."""

    content_type: str
    data: bytes


def describe(content_type: str, size: int, name: str | None = None, **more: Any) -> dict[str, Any]:
    """Give a descriptor in place of a body: its media ``type``, ``size`` in bytes, and ``name`` if it is known."""
    named = {} if name is None else {"name": name}
    return {"type": content_type or "application/octet-stream", "size": size, **named, **more}


def body_for_journal(content_type: str, body: bytes | None, size: int) -> Any:
    """Show a body of ``size`` bytes of which the first (at best all) are at hand; None if there was none.

    JSON is recognised by what it is, as clients and providers mislabel it (C06, product.md "examples" 2).
    """
    body = body or b""
    if not size:
        return None
    if content_type.lower().startswith("multipart/"):
        return describe(_bare(content_type), size, parts=_parts(content_type, body))
    if len(body) < size:
        return describe(content_type, size)
    value = _json(body, claimed="json" in content_type.lower())
    return _text(content_type, body) if value is _NOT_JSON else value


def _json(body: bytes, claimed: bool) -> Any:
    body = body[3:] if body.startswith(_BOM) else body
    if not claimed and body.lstrip()[:1] not in (b"{", b"["):
        return _NOT_JSON
    try:
        return _DECODER.decode(body)
    except (ValueError, RecursionError, msgspec.MsgspecError):  # msgspec 0.18 has no ValueError among its bases
        pass
    try:  # NaN, lone surrogates and 1e999 are in real traffic; only the stricter reader above refuses them
        return json.loads(body.decode(), parse_constant=str)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _text(content_type: str, body: bytes) -> Any:
    if len(body) > LONGEST_TEXT or b"\0" in body or not (not content_type or _TEXTUAL.match(content_type)):
        return describe(content_type, len(body))
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return describe(content_type, len(body))
    # A form is spelled as a query is, so its credentials go by the same names.
    return hide_in_urls(f"&{text}")[1:] if "urlencoded" in content_type else text


def _bare(content_type: str) -> str:
    return content_type.split(";")[0].strip()


def _parts(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """List what is visible of a multipart body; the last part's size is unknown when the body was cut inside it."""
    boundary = _parameter(content_type, "content-type", "boundary")
    if not boundary:
        return []
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "replace"))
    inner = pieces[1:-1] if pieces[-1].startswith(b"--") else pieces[1:]
    shown = [_part(piece, whole=number < len(pieces) - 2) for number, piece in enumerate(inner)]
    return [part for part in shown if part]


def _part(piece: bytes, whole: bool) -> dict[str, Any]:
    head, end, content = piece.partition(b"\r\n\r\n")
    if not end:
        return {}
    fields = dict(line.split(": ", 1) for line in head.decode("utf-8", "replace").split("\r\n") if ": " in line)
    fields = {name.lower(): value for name, value in fields.items()}
    disposition = fields.get("content-disposition", "")
    part: dict[str, Any] = {"field": _parameter(disposition, "content-disposition", "name")}
    filename = _parameter(disposition, "content-disposition", "filename")
    size = len(content) if whole else None
    if filename or "content-type" in fields:
        return {**part, "name": filename, "type": fields.get("content-type"), "size": size}
    if whole and len(content) <= LONGEST_FIELD:
        return {**part, "value": content.decode("utf-8", "replace")}
    return {**part, "size": size}


def _parameter(value: str, header: str, name: str) -> str | None:
    message = Message()
    try:
        message[header] = re.sub(r"[\r\n]", " ", value)
        found = message.get_param(name, header=header)
    except (ValueError, IndexError, AttributeError):
        return None
    return found[2] if isinstance(found, tuple) else found if isinstance(found, str) else None
