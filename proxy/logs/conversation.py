"""One journaled exchange as a conversation in OpenAI's words, whatever its client spoke; pure."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

import msgspec

from proxy.dialects import DEFAULT, DIALECTS, Dialect
from proxy.errors import ProxyError

Wire = Dict[str, Any]
DEEPEST = 40


class Conversation(NamedTuple):
    """What was asked (an OpenAI chat body) and the message that answered it."""

    chat: Wire
    answer: Wire


class LeftOutError(Exception):
    """An exchange that makes no example; the text says why, in few words that many share."""


def conversation(line: Wire) -> Conversation:
    """The conversation of a client's line. Raises LeftOutError."""
    if line.get("outcome") != "complete":
        raise LeftOutError(f"not complete but {line.get('outcome')}")
    dialect = dialect_of(line)
    if dialect is None:
        raise LeftOutError("no chat")
    asked, answered = line.get("input"), line.get("output")
    if not isinstance(asked, dict) or not isinstance(answered, dict) or is_partial(asked) or is_partial(answered):
        raise LeftOutError("not recorded whole")
    try:
        chat = dialect.read_chat(dialect.read_ask(msgspec.json.encode(asked)))
        reply = DIALECTS[DEFAULT].write_reply(dialect.read_reply(answered))
    except (ProxyError, KeyError, IndexError, TypeError, ValueError, AttributeError, msgspec.MsgspecError) as exc:
        raise LeftOutError("not understood") from exc
    if not isinstance(chat.get("messages"), list) or not chat["messages"]:
        raise LeftOutError("no messages")
    answer = _first(reply)
    if answer is None:
        raise LeftOutError("no answer")
    return Conversation(chat, answer)


def dialect_of(line: Wire) -> Optional[Dialect]:
    """What the client spoke: as the line says, or as its path does in older ones."""
    named = line.get("client_dialect")
    if isinstance(named, str):
        return DIALECTS.get(named)
    path = str(line.get("path")).partition("?")[0].rstrip("/")
    return next((dialect for dialect in DIALECTS.values() if path in dialect.served), None)


def is_partial(value: Any, depth: int = 0) -> bool:
    """Whether something of a recorded value is missing: media, or what was too long for the journal."""
    if depth > DEEPEST:
        return False
    if isinstance(value, list):
        return any(is_partial(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return {"bytes", "sha256"} <= set(value) or any(is_partial(item, depth + 1) for item in value.values())
    return False


def text_of(content: Any) -> str:
    """The text of a message's content, be it a text or a list of parts."""
    if isinstance(content, str):
        return content
    parts: List[Any] = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts if isinstance(part, dict))


def _first(reply: Wire) -> Optional[Wire]:
    """The message of the first answer, if it says anything."""
    choices = reply.get("choices") or [{}]
    message = choices[0].get("message")
    if not isinstance(message, dict):
        return None
    says = message.get("content") or message.get("tool_calls") or message.get("function_call") or message.get("refusal")
    return message if says else None
