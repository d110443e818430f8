"""Images, documents and other content, both ways: Anthropic's blocks and OpenAI's content parts."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any, Dict, List, Mapping

from proxy.chat.slots import word
from proxy.dialects.anthropic_tables import CALL, THINKING
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import write_json
from proxy.errors import ProxyError, failure

Blocks = List[Wire]

PDF, PLAIN = "application/pdf", "text/plain"
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
DATA_URI = re.compile(r"data:([^;,]*)(?:;[^;,]*)*?(;base64)?,(.*)", re.DOTALL)
TEXTS = ("text", "input_text", "output_text", "refusal")
OWN_BLOCKS = frozenset(("image", "document", "search_result"))
UNSAID = frozenset((CALL, *THINKING, "container_upload", "tool_reference", "compaction"))


def read_media(block: Mapping[str, Any], where: str = "messages") -> Blocks:
    """A block of a user's or of a tool's result as content parts. Raises ProxyError 400 for what none can hold."""
    kind = word(block, "type")
    if kind == "text":
        return _text_part(word(block, "text"))
    if kind == "image":
        return [_image(_source(block, where), where)]
    if kind == "document":
        return _document(block, _source(block, where), where)
    if kind == "search_result":
        found = [word(inner, "text") for inner in block.get("content") or () if isinstance(inner, dict)]
        return _text_part("\n".join(text for text in (word(block, "title"), word(block, "source"), *found) if text))
    return [] if kind in UNSAID or kind.endswith("_tool_result") else _text_part(write_json(block).decode())


def _text_part(text: str) -> Blocks:
    return [{"type": "text", "text": text}] if text else []


def _source(block: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    source = block.get("source")
    if not isinstance(source, dict):
        raise failure("invalid_type", f"{where}.source: a block of type {block.get('type')} needs a source.", where)
    return source


def _image(source: Mapping[str, Any], where: str) -> Wire:
    if source.get("type") == "base64":
        return _picture(f"data:{word(source, 'media_type')};base64,{word(source, 'data')}")
    if source.get("type") == "url":
        return _picture(word(source, "url"))
    raise unsaid("image", source, where)


def _picture(url: str) -> Wire:
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Mapping[str, Any], source: Mapping[str, Any], where: str) -> Blocks:
    """A document: a file of its own, or the text of it under its title."""
    kind = source.get("type")
    title = word(block, "title")
    if kind == "base64":
        data = f"data:{word(source, 'media_type') or PDF};base64,{word(source, 'data')}"
        return [{"type": "file", "file": {"filename": title or "document.pdf", "file_data": data}}]
    if kind == "text":
        return _text_part("\n".join(text for text in (title, word(block, "context"), word(source, "data")) if text))
    if kind == "content":
        content = source.get("content")
        inner = content if isinstance(content, list) else [{"type": "text", "text": content}]
        parts = [part for each in inner if isinstance(each, dict) for part in read_media(each, where)]
        return [*_text_part("\n".join(text for text in (title, word(block, "context")) if text)), *parts]
    raise unsaid("document", source, where)


def unsaid(what: str, source: Mapping[str, Any], where: str) -> ProxyError:
    """The refusal of content that lies where the other side cannot get it."""
    text = f"{where}.source: the provider's protocol takes no {what} whose source is {source.get('type')!r}."
    return failure("unsupported_value", text, where)


def write_parts(content: Any) -> Blocks:
    """OpenAI's content, a string or parts, as blocks; blank texts are left out, for Anthropic refuses them."""
    if isinstance(content, str):
        return _text_part(content) if content.strip() else []
    parts = content if isinstance(content, list) else []
    blocks: Blocks = []
    for part in parts:
        if isinstance(part, str):
            blocks += write_parts(part)
        elif isinstance(part, dict):
            for block in _write_part(part):
                marked = part.get("cache_control") if "cache_control" not in block else None
                blocks.append({**block, "cache_control": marked} if marked else block)
    return blocks


def write_texts(content: Any) -> Blocks:
    """The texts alone, for turns that take nothing else: what the system says, and the model."""
    if isinstance(content, list):
        content = [part for part in content if isinstance(part, str) or _is_text(part)]
    return write_parts(content)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in TEXTS


def _write_part(part: Mapping[str, Any]) -> Blocks:
    kind = word(part, "type")
    if kind in OWN_BLOCKS and isinstance(part.get("source"), (dict, str)):
        return [dict(part)]  # a client that knows whom it talks to
    if kind in TEXTS:
        return write_parts(word(part, "text") or word(part, "refusal"))
    if kind == "image_url":
        told: Any = part.get("image_url")
        return [_write_image(told if isinstance(told, str) else word(told or {}, "url"))]
    if kind == "file" and isinstance(part.get("file"), dict):
        return [_write_file(part["file"])]
    raise failure("unsupported_value", f"The provider's protocol takes no content of type {kind!r}.", "messages")


def _write_image(url: str) -> Wire:
    found = DATA_URI.match(url)
    if found is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind = found.group(1).lower().replace("image/jpg", "image/jpeg")
    if kind not in PICTURES or not found.group(2):
        text = f"An image can be {', '.join(PICTURES)} in base64 here, not {kind or 'of no type'}."
        raise failure("unsupported_value", text, "messages")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": found.group(3)}}


def _write_file(file: Mapping[str, Any]) -> Wire:
    data = word(file, "file_data")
    found = DATA_URI.match(data)
    kind, text = (found.group(1).lower(), found.group(3)) if found else (PDF, data)
    if not data or not (kind == PDF or kind.startswith("text/")):
        raise failure("unsupported_value", "A file can be a PDF or a text here, given as file_data.", "messages")
    source: Dict[str, Any] = {"type": "base64", "media_type": PDF, "data": text}
    if kind != PDF:
        source = {"type": "text", "media_type": PLAIN, "data": _decoded(text, bool(found and found.group(2)))}
    name = word(file, "filename")
    return {"type": "document", "source": source, **({"title": name} if name else {})}


def _decoded(text: str, base64: bool) -> str:
    try:
        return b64decode(text).decode("utf-8", "replace") if base64 else text
    except ValueError:
        raise failure("invalid_value", "A file's base64 cannot be read.", "messages") from None
