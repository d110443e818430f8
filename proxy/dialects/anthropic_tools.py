"""OpenAI's tools as Anthropic's: definitions, and which one to call (reference 1.13)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from proxy.chat.slots import word
from proxy.dialects.anthropic_names import clean_name
from proxy.dialects.anthropic_tables import SEARCH_TOOL
from proxy.dialects.dialect import Wire
from proxy.errors import failure

Tools = List[Wire]

ANY_OBJECT: Wire = {"type": "object", "properties": {}}
FREE_TEXT: Wire = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
SEARCH_TYPE = "web_search_20250305"
KEPT = ("cache_control", "defer_loading", "eager_input_streaming", "allowed_callers", "input_examples")
CHOICES = {"auto": "auto", "none": "none", "required": "any"}


def write_tools(chat: Mapping[str, Any], called: List[str]) -> Tools:
    """All tools of an ask; those that the messages call and nobody defined get a definition that allows anything."""
    told = [tool for tool in _list(chat.get("tools")) if isinstance(tool, dict)]
    told += [{"type": "function", "function": tool} for tool in _list(chat.get("functions")) if isinstance(tool, dict)]
    tools = [_tool(tool) for tool in told]
    if isinstance(chat.get("web_search_options"), dict):
        tools.append(_search(chat["web_search_options"]))
    names = {tool.get("name") for tool in tools}
    if len(names) < len(tools) and len({_name_in(tool) for tool in told}) < len({_raw(tool) for tool in told}):
        raise failure(
            "invalid_value", "Two tools would get the same name (A-Z, a-z, 0-9, _ and - are taken here).", "tools"
        )
    return [*tools, *({"name": name, "input_schema": ANY_OBJECT} for name in called if name not in names)]


def _raw(tool: Wire) -> str:
    inner = tool.get("function") or tool.get("custom") or tool
    return word(inner, "name") if isinstance(inner, dict) else ""


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []


def _tool(tool: Wire) -> Wire:
    kind = tool.get("type", "function")
    inner = tool.get("custom") if kind == "custom" else tool.get("function")
    if not isinstance(inner, dict):
        if "input_schema" in tool or kind not in ("function", "custom"):
            return tool  # a tool of Anthropic's own, from a client that knows whom it talks to
        raise failure("invalid_value", "A tool needs a function with a name.", "tools")
    said: Wire = {"name": clean_name(word(inner, "name"))}
    if word(inner, "description"):
        said["description"] = inner["description"]
    said["input_schema"] = FREE_TEXT if kind == "custom" else _schema(inner.get("parameters"))
    if inner.get("strict") is True:
        said["strict"] = True
    said.update((key, tool[key]) for key in KEPT if key in tool)
    return said


def _schema(told: Any) -> Wire:
    if not isinstance(told, dict) or not told:
        return ANY_OBJECT
    return told if "type" in told else {"type": "object", **told}


def _search(options: Mapping[str, Any]) -> Wire:
    """OpenAI's search of the web is Anthropic's tool for it."""
    place = options.get("user_location")
    where = place.get("approximate") if isinstance(place, dict) else None
    near = {"user_location": {"type": "approximate", **where}} if isinstance(where, dict) else {}
    return {"type": SEARCH_TYPE, "name": SEARCH_TOOL, **near}


def write_choice(chat: Mapping[str, Any], tools: Tools) -> Optional[Wire]:
    """Which tool to call; None where nothing is said of it, or there are no tools (Anthropic refuses that)."""
    if not tools:
        return None
    told = chat.get("tool_choice", chat.get("function_call"))
    said: Optional[Wire] = {"type": CHOICES[told]} if isinstance(told, str) and told in CHOICES else None
    if isinstance(told, dict):
        said = _named(told, tools)
    if chat.get("parallel_tool_calls") is False and (said is None or said["type"] != "none"):
        said = {**(said or {"type": "auto"}), "disable_parallel_tool_use": True}
    return said


def _named(told: Mapping[str, Any], tools: Tools) -> Optional[Wire]:
    """One tool by its name; or some that are allowed: the others are taken from ``tools``."""
    allowed: Any = told.get("allowed_tools")
    if isinstance(allowed, dict):
        names = {_name_in(tool) for tool in _list(allowed.get("tools"))}
        tools[:] = [tool for tool in tools if tool.get("name") in names] or tools
        return {"type": CHOICES.get(allowed.get("mode", "auto"), "auto")}
    if told.get("type") in ("auto", "any", "none") or (told.get("type") == "tool" and told.get("name")):
        return dict(told)
    name = _name_in(told)
    return {"type": "tool", "name": name} if name else None


def _name_in(told: Any) -> str:
    known: Dict[str, Any] = told if isinstance(told, dict) else {}
    inner = known.get("function") or known.get("custom") or known
    return clean_name(word(inner, "name")) if isinstance(inner, dict) and inner.get("name") else ""
