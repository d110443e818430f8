"""Tools and the choice among them: functions only, and no way to force any of them (spec 4.6)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Set, Tuple

Wire = Dict[str, Any]


def write_tools(chat: Mapping[str, Any]) -> Tuple[Wire, List[str]]:
    """``tools`` and ``tool_choice``, and the names of the parameters of which something was lost."""
    offered = _offered(chat)
    tools = [tool for tool in offered if isinstance(tool, dict) and tool.get("type", "function") == "function"]
    choice, allowed = _choice(chat)
    if allowed:
        tools = [tool for tool in tools if _name(tool) in allowed]
    lost = ["tools"] if len(tools) < len(offered) and not allowed else []
    if not tools:
        return {}, lost + (["tool_choice"] if choice not in (None, "auto", "none") else [])
    if choice == "required" and len(tools) > 1:
        lost.append("tool_choice")  # there is no way to say it
    if choice == "required":
        choice = _named(_name(tools[0])) if len(tools) == 1 else "auto"
    return {"tools": tools, **({"tool_choice": choice} if choice is not None else {})}, lost


def _offered(chat: Mapping[str, Any]) -> List[Any]:
    """The tools of the ask; the deprecated functions are tools too."""
    tools = chat.get("tools")
    if isinstance(tools, list):
        return tools
    functions = chat.get("functions")
    functions = functions if isinstance(functions, list) else []
    return [{"type": "function", "function": function} for function in functions]


def _choice(chat: Mapping[str, Any]) -> Tuple[Any, Set[str]]:
    """The choice in DashScope's words, or ``required``, and the names it is restricted to, if it is."""
    choice = chat.get("tool_choice")
    if choice is None:
        choice = chat.get("function_call")
    if not isinstance(choice, dict):
        return choice, set()
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        said = allowed if isinstance(allowed, dict) else choice
        tools = said.get("tools")
        return said.get("mode", "auto"), {_name(tool) for tool in (tools if isinstance(tools, list) else [])}
    return _named(_name(choice)), set()


def _name(said: Any) -> str:
    """The name that a tool, or a choice of one, has."""
    if not isinstance(said, dict):
        return ""
    inner = said.get("function") or said.get("custom")
    name = inner.get("name") if isinstance(inner, dict) else said.get("name")
    return name if isinstance(name, str) else ""


def _named(name: str) -> Wire:
    return {"type": "function", "function": {"name": name}}
