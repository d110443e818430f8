"""An Ollama client's ask as an OpenAI chat body (spec 5.9)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from proxy.chat.ask import Ask
from proxy.chat.slots import word
from proxy.dialects.dialect import Wire
from proxy.dialects.ollama_calls import arguments_text
from proxy.dialects.ollama_parameters import read_parameters
from proxy.dialects.ollama_pictures import read_picture
from proxy.errors import failure

PROMPT = ("prompt", "system", "images")
IDLE = {"raw": (False,), "context": ([],), "template": ("",), "suffix": ("",)}  # what says the same as nothing
SPELLED = ("role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id")


def read_chat(ask: Ask) -> Wire:
    """A chat ask. Raises ProxyError 400 for messages that are none."""
    pending = Pending()
    messages = [_message(said, f"messages[{at}]", pending) for at, said in enumerate(ask.body.get("messages") or [])]
    return {**_head(ask), "messages": messages, **_rest(ask.body)}


def read_prompt(ask: Ask) -> Wire:
    """A generate ask as a chat: the system's message, and one of the user's."""
    body = ask.body
    system, prompt = body.get("system"), body.get("prompt") or ""
    messages: List[Wire] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": _content(prompt, body.get("images"), "images")})
    rest = {
        name: value for name, value in _rest(body).items() if name not in PROMPT and value not in IDLE.get(name, ())
    }
    return {**_head(ask), "messages": messages, **rest}


def read_bare(ask: Ask) -> Optional[Wire]:
    """A generate ask that means no chat, as OpenAI's completions have it: one to fill a gap, or one without a template.

    Without a template nothing but the prompt counts; None for any other ask, and for one with pictures.
    """
    body = ask.body
    if body.get("images") or not (body.get("suffix") or body.get("raw")):
        return None
    gone = {"images", "raw", *(["system", "template"] if body.get("raw") else [])}
    rest = {name: value for name, value in _rest(body).items() if name not in gone and value not in IDLE.get(name, ())}
    return {**_head(ask), "prompt": body.get("prompt") or "", **rest}


class Pending:
    """The calls of a conversation that have no result yet, oldest first, and how many calls there were."""

    def __init__(self) -> None:
        self._calls: List[Tuple[str, str]] = []
        self._count = 0

    def call(self, identity: str, name: str) -> str:
        """The id of one more call: its own, or one after its place, the same in every later ask."""
        identity = identity or f"call_{self._count}"
        self._count += 1
        self._calls.append((identity, name))
        return identity

    def turn(self) -> None:
        """New calls are made: results without an id are theirs, not those of calls before them."""
        self._calls.clear()

    def answer(self, identity: str, name: str) -> str:
        """The id of the call that a result is for: the one it says, else the first unanswered one (of that name)."""
        named = [call for call in self._calls if call[0] == identity or (not identity and name in ("", call[1]))]
        found = (named or ([] if identity else self._calls))[:1]
        for call in found:
            self._calls.remove(call)
            return call[0]
        return identity or f"call_{max(self._count - 1, 0)}"


def _head(ask: Ask) -> Wire:
    usage = {"stream_options": {"include_usage": True}} if ask.stream else {}
    return {"model": ask.model, "stream": ask.stream, **usage}


def _rest(body: Dict[str, Any]) -> Wire:
    said = read_parameters(body)
    rest = {name: value for name, value in said.items() if name not in ("model", "stream", "messages")}
    tools = rest.pop("tools", None)
    if tools:
        rest["tools"] = [{"type": "function", **tool} if isinstance(tool, dict) else tool for tool in tools]
    return rest


def _message(said: Any, where: str, pending: Pending) -> Wire:
    if not isinstance(said, dict):
        raise failure("invalid_type", f"Invalid type for '{where}': expected an object.", where)
    if not isinstance(said.get("content"), (str, type(None))):
        raise failure("invalid_type", f"Invalid type for '{where}.content': expected a string.", f"{where}.content")
    role = word(said, "role").lower() or "user"
    message: Wire = {"role": role, "content": _content(said.get("content"), said.get("images"), f"{where}.images")}
    if said.get("thinking"):
        message["reasoning_content"] = said["thinking"]
    calls = said.get("tool_calls")
    if isinstance(calls, list) and calls:
        pending.turn()
        message["tool_calls"] = [_call(call, f"{where}.tool_calls[{at}]", pending) for at, call in enumerate(calls)]
        message["content"] = message["content"] or None
    if role == "tool":
        message["tool_call_id"] = pending.answer(word(said, "tool_call_id"), word(said, "tool_name"))
    message.update((key, value) for key, value in said.items() if key not in SPELLED and value is not None)
    return message


def _content(text: Any, pictures: Any, where: str) -> Any:
    """A text, or parts where there are pictures."""
    if not pictures:
        return "" if text is None else text
    if not isinstance(pictures, list):
        raise failure("invalid_type", f"Invalid type for '{where}': expected an array.", where)
    parts: List[Wire] = [{"type": "text", "text": text}] if text else []
    return parts + [read_picture(picture, f"{where}[{at}]") for at, picture in enumerate(pictures)]


def _call(call: Any, where: str, pending: Pending) -> Wire:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise failure("invalid_type", f"Invalid type for '{where}': expected an object with a function.", where)
    inner = {key: value for key, value in function.items() if key not in ("index", "name", "arguments")}
    inner = {"name": word(function, "name"), "arguments": arguments_text(function.get("arguments")), **inner}
    others = {key: value for key, value in call.items() if key not in ("id", "type", "function")}
    return {"id": pending.call(word(call, "id"), inner["name"]), "type": "function", "function": inner, **others}
