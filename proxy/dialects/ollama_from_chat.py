"""An OpenAI chat body as an ask for Ollama (spec 5.8)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from proxy.chat.slots import word
from proxy.dialects.dialect import Asked, Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.ollama_calls import arguments_of
from proxy.dialects.ollama_parameters import write_parameters
from proxy.dialects.ollama_pictures import write_picture
from proxy.errors import failure

ROLES = {"developer": "system", "function": "tool"}
SPELLED = frozenset(
    ("role", "content", "name", "refusal", "audio", "annotations", "reasoning_content", "reasoning", "thinking")
    + ("tool_calls", "function_call", "tool_call_id", "tool_name")
)
CUSTOM = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
PICTURES = ("image_url", "input_audio")
PROMPTED = ("prompt", "suffix", "system", "template", "raw", "context")


def write_chat(chat: Wire, *, stream: bool, options: bool = True) -> Asked:
    """The ask for /api/chat. Raises ProxyError 400 for what Ollama cannot be told, naming the field."""
    said, dropped = write_parameters(chat)
    names: Dict[str, str] = {}
    messages = [_message(item, f"messages[{at}]", names) for at, item in enumerate(chat.get("messages") or [])]
    tools, enforced = _write_tools(chat)
    body: Wire = {"model": chat.get("model"), "messages": messages, "stream": stream, **said}
    if tools:
        body["tools"] = tools
    if not enforced:
        dropped.append("tool_choice" if chat.get("tool_choice") else "function_call")
    return Asked(write_json(body), dropped=tuple(name for name in chat if name in dropped))


def write_prompt(chat: Wire, *, stream: bool, options: bool = True) -> Asked:
    """The ask for /api/generate where there is a prompt; a chat is one for /api/chat (whose answers are read as well).

    Raises ProxyError 400 as ``write_chat`` does.
    """
    prompt = chat.get("prompt")
    if not isinstance(prompt, str):
        return write_chat(chat, stream=stream)._replace(path="/api/chat")
    said, dropped = write_parameters(chat)
    prompted = {name: chat[name] for name in PROMPTED if chat.get(name)}
    body: Wire = {"model": chat.get("model"), "prompt": prompt, "stream": stream, **prompted, **said}
    return Asked(write_json(body), dropped=tuple(name for name in dropped if name not in PROMPTED))


def _message(item: Any, where: str, names: Dict[str, str]) -> Wire:
    """One message; ``names`` remembers what the calls so far were for, by their ids."""
    if not isinstance(item, dict):
        raise failure("invalid_type", f"Invalid type for '{where}': expected an object.", where)
    role = word(item, "role").lower()
    text, pictures = _content(item.get("content"), f"{where}.content")
    message: Wire = {"role": ROLES.get(role, role), "content": text or word(item, "refusal")}
    thinking = word(item, "reasoning_content") or word(item, "reasoning") or word(item, "thinking")
    if thinking and role == "assistant":
        message["thinking"] = thinking
    if pictures:
        message["images"] = pictures
    calls = _calls(item, where, names)
    if calls:
        message["tool_calls"] = calls
    if message["role"] == "tool":
        identity = word(item, "tool_call_id")
        name = word(item, "name") or word(item, "tool_name") or names.get(identity, "")
        message.update({"tool_call_id": identity} if identity else {})
        message.update({"tool_name": name} if name else {})
    message.update((key, value) for key, value in item.items() if key not in SPELLED)
    return message


def _content(content: Any, where: str) -> Tuple[str, List[str]]:
    """The texts of a content, joined by line feeds, and its pictures."""
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise failure("invalid_type", f"Invalid type for '{where}': expected a string or an array.", where)
    texts, pictures = [], []
    for at, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            texts.append(part)
        elif kind in PICTURES:
            pictures.append(write_picture(part, f"{where}[{at}]"))
        elif kind in ("text", "refusal") and isinstance(part.get(kind), str):
            texts.append(part[kind])
        else:
            raise failure(
                "unsupported_value", f"This provider takes no content part of type {kind!r}.", f"{where}[{at}]"
            )
    return "\n".join(texts), pictures


def _calls(item: Mapping[str, Any], where: str, names: Dict[str, str]) -> List[Wire]:
    calls = item.get("tool_calls")
    said = [_call(call, at, f"{where}.tool_calls[{at}]") for at, call in enumerate(calls or [])]
    if isinstance(item.get("function_call"), dict):
        said.append(_call({"function": item["function_call"]}, len(said), f"{where}.function_call"))
    names.update({call["id"]: call["function"]["name"] for call in said if call.get("id")})
    return said


def _call(call: Any, place: int, where: str) -> Wire:
    inner = call.get("function") or call.get("custom") if isinstance(call, dict) else None
    if not isinstance(inner, dict):
        raise failure("invalid_type", f"Invalid type for '{where}': expected an object with a function.", where)
    told = inner.get("arguments")
    arguments = {"input": inner["input"]} if "input" in inner else told if isinstance(told, dict) else None
    if arguments is None:
        arguments = arguments_of(told) if isinstance(told, str) else {} if told is None else None
    if arguments is None:
        where += ".function.arguments"
        raise failure("invalid_value", f"Invalid value for '{where}': this provider takes JSON objects only.", where)
    function = {"index": place, "name": word(inner, "name"), "arguments": arguments}
    return {"id": call["id"], "function": function} if word(call, "id") else {"function": function}


def _write_tools(chat: Mapping[str, Any]) -> Tuple[List[Wire], bool]:
    """The tools that may be called, and whether the choice among them is what was asked for."""
    tools = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(chat.get("tools") or [])]
    tools += [{"type": "function", "function": function} for function in chat.get("functions") or []]
    choice = chat.get("tool_choice") or chat.get("function_call") or "auto"
    if choice in ("none", "auto"):
        return (tools if choice == "auto" else []), True
    named = _named(choice)
    if named is None:
        return tools, False
    chosen = [tool for tool in tools if tool["function"].get("name") in named]
    allowed = choice.get("allowed_tools") if isinstance(choice, dict) else None
    return chosen, isinstance(allowed, dict) and allowed.get("mode") == "auto"


def _named(choice: Any) -> Optional[List[str]]:
    """The names that a choice names; None if it names none."""
    if not isinstance(choice, dict):
        return None
    allowed = choice.get("allowed_tools")
    chosen = allowed.get("tools") if isinstance(allowed, dict) else [choice]
    inner = [item.get("function") or item.get("custom") or item for item in chosen or [] if isinstance(item, dict)]
    return [word(item, "name") for item in inner if isinstance(item, dict)]


def _tool(tool: Any, where: str) -> Wire:
    """A function as it is; a custom tool as a function of one text."""
    kind = tool.get("type", "function") if isinstance(tool, dict) else None
    inner = tool.get(kind) if isinstance(kind, str) and isinstance(tool, dict) else None
    if kind not in ("function", "custom") or not isinstance(inner, dict):
        raise failure("unsupported_value", f"This provider takes no tool of type {kind!r}.", where)
    if kind == "function":
        return {"type": "function", **tool}
    described = {key: inner[key] for key in ("name", "description") if inner.get(key)}
    return {"type": "function", "function": {**described, "parameters": CUSTOM}}
