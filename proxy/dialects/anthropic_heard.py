"""A client's messages in Anthropic's protocol as OpenAI's messages (reference 1.9, golden V5)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from proxy.chat.slots import word
from proxy.dialects.anthropic_blocks import written_input
from proxy.dialects.anthropic_media import read_media
from proxy.dialects.anthropic_names import short_name
from proxy.dialects.anthropic_tables import ATTRIBUTION, CALL, REMINDER
from proxy.dialects.dialect import Wire
from proxy.errors import failure

Messages = List[Wire]
Blocks = List[Wire]

BELOW = "(image attached below)"
FAILED = "Error: "


def read_messages(body: Mapping[str, Any]) -> Messages:
    """All messages of an ask, what the system says first."""
    messages: Messages = []
    system = "\n\n".join(text for text in map(_text, blocks_of(body.get("system"))) if text)
    if system:
        messages.append({"role": "system", "content": system})
    waiting: Messages = []  # words of the system between calls and their results go behind the results
    called: Dict[str, str] = {}
    for at, message in enumerate(body["messages"]):
        blocks = blocks_of(message["content"])
        if message["role"] == "assistant":
            messages += waiting
            waiting = []
            messages += _assistant(blocks, f"messages.{at}.content")
            called = {word(block, "id"): word(block, "name") for block in blocks if block.get("type") == CALL}
        elif message["role"] == "system" and called:
            waiting += _system(blocks)
        elif message["role"] == "system":
            messages += _system(blocks)
        else:
            told = _user(blocks, called, f"messages.{at}.content")
            if not told:
                where = f"messages.{at}.content"
                raise failure("invalid_value", f"{where}: there is nothing in it that can be told.", where)
            messages += told + waiting
            waiting, called = [], {}
    return messages + waiting


def blocks_of(content: Any) -> Blocks:
    """Content as blocks: a string is one of text; attributions are nobody's business but Anthropic's."""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return [block for block in blocks if not word(block, "text").startswith(ATTRIBUTION)]


def _text(block: Mapping[str, Any]) -> str:
    return word(block, "text") if block.get("type") == "text" else ""


def _system(blocks: Blocks) -> Messages:
    """Words of the system in mid-conversation: many models' templates know them at the begin only."""
    text = "\n\n".join(text for text in map(_text, blocks) if text)
    return [{"role": "user", "content": text.join(REMINDER)}] if text else []


def _assistant(blocks: Blocks, where: str) -> Messages:
    """What the model said: text, reasoning, calls. What its provider's own tools did has no place here."""
    text = "".join(map(_text, blocks))
    thinking = "".join(word(block, "thinking") for block in blocks if block.get("type") == "thinking")
    calls = [_call(block, f"{where}.{place}") for place, block in enumerate(blocks) if block.get("type") == CALL]
    if not (text or thinking or calls):
        return []
    message: Wire = {"role": "assistant", "content": text or (None if calls else "")}
    if thinking:
        message["reasoning_content"] = thinking
    return [{**message, "tool_calls": calls}] if calls else [message]


def _call(block: Mapping[str, Any], where: str) -> Wire:
    for name in ("id", "name"):
        _needed(block, name, where)
    inner = {"name": short_name(word(block, "name")), "arguments": written_input(block.get("input"))}
    return {"id": word(block, "id"), "type": "function", "function": inner}


def _needed(block: Mapping[str, Any], name: str, where: str) -> None:
    if not word(block, name):
        raise failure("invalid_value", f"{where}.{name}: expected a string.", f"{where}.{name}")


def _user(blocks: Blocks, called: Mapping[str, str], where: str) -> Messages:
    """Results of calls first, each a message of its own, then one message with all the rest: images of results too."""
    messages: Messages = []
    pictures: Blocks = []
    parts: Blocks = []
    for place, block in enumerate(blocks):
        if block.get("type") == "tool_result":
            told, found = _result(block, called, f"{where}.{place}")
            messages.append(told)
            pictures += found
        else:
            parts += read_media(block, f"{where}.{place}")
    parts = pictures + parts
    if not parts:
        return messages
    lone = parts[0].get("text") if len(parts) == 1 else None
    return [*messages, {"role": "user", "content": lone if isinstance(lone, str) else parts}]


def _result(block: Mapping[str, Any], called: Mapping[str, str], where: str) -> Tuple[Wire, Blocks]:
    """The message of a result, which takes text only, and the parts that cannot be in it."""
    _needed(block, "tool_use_id", where)
    identity = word(block, "tool_use_id")
    texts: List[str] = []
    pictures: Blocks = []
    for place, inner in enumerate(blocks_of(block.get("content"))):
        for part in read_media(inner, f"{where}.content.{place}"):
            text = part.get("text")
            if isinstance(text, str):
                texts.append(text)
            else:
                pictures += [{"type": "text", "text": _caption(part, identity, called.get(identity))}, part]
    text = "\n".join(texts) or (BELOW if pictures else "")
    if block.get("is_error") is True:
        text = FAILED + text
    return {"role": "tool", "tool_call_id": identity, "content": text}, pictures


def _caption(part: Mapping[str, Any], identity: str, name: Optional[str]) -> str:
    what = "Image" if part.get("type") == "image_url" else "File"
    return f"{what} returned by tool call {identity}" + (f" ({name}):" if name else ":")
