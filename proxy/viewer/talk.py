"""Asks and answers of any dialect as one kind of conversation for the page's chat tab. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import msgspec

from proxy.chat.reply import Call, Choice
from proxy.dialects import DIALECTS, Dialect
from proxy.dialects.json_text import write_json
from proxy.errors import ProxyError

Talk = Dict[str, Any]

# What has a place of its own in the conversation; everything else of an ask is a parameter
PLACED = ("messages", "model", "tools", "functions")


def dialect_of(name: Any, path: Any) -> Optional[Dialect]:
    """The dialect that a line names, or the one asked at its path where an older line names none."""
    if isinstance(name, str) and name in DIALECTS:
        return DIALECTS[name]
    bare = path.partition("?")[0].rstrip("/") if isinstance(path, str) and name is None else ""
    return next((dialect for dialect in DIALECTS.values() if bare in dialect.served), None)


def asked(dialect: Optional[Dialect], body: Any) -> Optional[Talk]:
    """An ask: ``turns``, ``tools``, ``parameters``; None if it cannot be told so."""
    if dialect is None or not isinstance(body, dict):
        return None
    try:
        chat = dialect.read_chat(dialect.read_ask(write_json(body)))
        turns = [turn for message in _list(chat.get("messages")) for turn in _turn(message)]
        tools = [_tool(tool) for tool in _list(chat.get("tools") or chat.get("functions"))]
        rest = {name: value for name, value in chat.items() if name not in PLACED and value is not None}
        return {"turns": turns, "tools": tools, "parameters": rest}
    except Exception:  # it is shown as JSON then; whatever a dialect cannot read must not hide the exchange
        return None


def answered(dialect: Optional[Dialect], body: Any) -> Optional[Talk]:
    """An answer: a turn for each choice, or the failure that it tells; None if it cannot be told so."""
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("error"), dict) and "choices" not in body:
        return {"turns": [], "failure": body["error"]}
    try:
        reply = dialect.read_reply(body) if dialect is not None else None
    except ProxyError as error:
        return {"turns": [], "failure": {"message": error.failed.message, "code": error.failed.code}}
    except Exception:  # as above
        return None
    return None if reply is None else {"turns": [_choice(choice) for choice in reply.choices], "usage": reply.usage}


def _turn(message: Any) -> List[Talk]:
    if not isinstance(message, dict):
        return [_said("?", [_json(message)])]
    reasoning = next((message[name] for name in ("reasoning_content", "reasoning") if message.get(name)), "")
    calls = [_call(call) for call in _list(message.get("tool_calls"))]
    if isinstance(message.get("function_call"), dict):
        calls.append(_call({"function": message["function_call"]}))
    turn = _said(str(message.get("role")), _parts(message.get("content")), _text(reasoning), calls)
    return [{**turn, "name": message.get("name"), "answers": message.get("tool_call_id")}]


def _choice(choice: Choice) -> Talk:
    parts = _parts(choice.text if choice.text is not None else choice.content)
    if choice.refusal:
        parts.append({"kind": "refusal", "text": choice.refusal})
    if choice.audio:
        parts.append(_json({"audio": choice.audio}))
    calls = [_made(call) for call in choice.calls]
    told = _said(choice.role, parts, "\n".join(dict.fromkeys(choice.reasoning.values())), calls)
    return {**told, "reason": choice.reason}


def _said(role: str, parts: List[Talk], reasoning: str = "", calls: Optional[List[Talk]] = None) -> Talk:
    return {"role": role, "parts": parts, "reasoning": reasoning, "calls": calls or []}


def _parts(content: Any) -> List[Talk]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"kind": "text", "text": content}]
    return [_part(part) for part in content] if isinstance(content, list) else [_json(content)]


def _part(part: Any) -> Talk:
    if isinstance(part, str):
        return {"kind": "text", "text": part}
    if isinstance(part, dict) and isinstance(part.get("text"), str) and set(part) <= {"type", "text", "cache_control"}:
        return {"kind": "text", "text": part["text"]}
    return _json(part)


def _json(value: Any) -> Talk:
    return {"kind": "json", "value": value}


def _call(call: Any) -> Talk:
    inner = call.get("function") or call.get("custom") or {} if isinstance(call, dict) else {}
    given = inner.get("arguments", inner.get("input", "")) if isinstance(inner, dict) else call
    name = inner.get("name") if isinstance(inner, dict) else None
    return {"id": call.get("id") if isinstance(call, dict) else None, "name": name, "arguments": _text(given)}


def _made(call: Call) -> Talk:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def _tool(tool: Any) -> Talk:
    inner = (tool.get("function") or tool) if isinstance(tool, dict) else {}
    if not isinstance(inner, dict):
        return {"name": "?", "description": ""}
    return {"name": str(inner.get("name")), "description": _text(inner.get("description") or "")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []
