"""An ask in Anthropic's protocol as an OpenAI chat body, for providers that speak another one (reference 1.9)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Callable, Dict, Mapping, Tuple

from proxy.chat.ask import Ask
from proxy.chat.slots import word
from proxy.dialects.anthropic_heard import read_messages
from proxy.dialects.anthropic_names import short_name
from proxy.dialects.anthropic_schemas import is_strict
from proxy.dialects.anthropic_tables import effort_of
from proxy.dialects.dialect import Wire
from proxy.errors import failure

# What only Anthropic's own servers can do; other providers would refuse it, or not know what it is.
ALONE = ("cache_control", "container", "context_management", "mcp_servers", "inference_geo", "speed", "diagnostics")
ELSEWHERE = ("model", "system", "messages", "tool_choice")
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
USER_LENGTH = 64
SHAPES: Dict[str, Tuple[Tuple[type, ...], str]] = {
    "system": ((str, list), "a string or text blocks"),
    "tools": ((list,), "an array"),
    "tool_choice": ((dict,), "an object"),
    "stop_sequences": ((list,), "an array of strings"),
    "thinking": ((dict,), "an object"),
    "metadata": ((dict,), "an object"),
    "output_config": ((dict,), "an object"),
}
KINDS = {"tool_choice": ("auto", "any", "tool", "none"), "thinking": ("enabled", "disabled", "adaptive")}
TIERS = {"auto": "auto", "standard_only": "default"}


def read_chat(ask: Ask) -> Wire:
    """The ask in OpenAI's words; what Anthropic alone can do is left out (``alone`` names it), the unknown is kept.

    Raises ProxyError 400 for content that has no place there.
    """
    body = ask.body
    check(body)
    chat: Wire = {"model": ask.model, "messages": read_messages(body)}
    for name, value in body.items():
        if not (name in _READ or name in ALONE or name in ELSEWHERE):
            chat[name] = value
    for name, read in _READ.items():
        if name in body:
            chat.update(read(body[name]))
    return {**chat, **_tool_choice(body.get("tool_choice"), chat)}


def alone(ask: Ask) -> Tuple[str, ...]:
    """The names of what ``read_chat`` leaves out, for those who tell the client what was dropped."""
    names = [name for name in ALONE if ask.body.get(name) is not None]
    told, choice = ask.body.get("tools"), ask.body.get("tool_choice")
    gone = [tool for tool in (told if isinstance(told, list) else ()) if _is_foreign(tool)]
    if gone:
        names.append("tools")
    if isinstance(choice, dict) and word(choice, "name") in {word(tool, "name") for tool in gone}:
        names.append("tool_choice")
    return tuple(names)


def check(body: Mapping[str, Any]) -> None:
    """Raise ProxyError 400 for a parameter of a shape that says nothing: it must not get lost without a word."""
    for name, (kinds, wanted) in SHAPES.items():
        if body.get(name) is not None and not isinstance(body[name], kinds):
            raise failure("invalid_type", f"{name}: expected {wanted}.", name)
    for name, known in KINDS.items():
        value = body.get(name)
        if isinstance(value, dict) and value.get("type") not in known:
            raise failure("invalid_value", f"{name}.type: expected one of {', '.join(known)}.", f"{name}.type")
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "tool" and not word(choice, "name"):
        raise failure("invalid_value", "tool_choice.name: a tool's name is missing.", "tool_choice.name")
    for name in ("stop_sequences", "tools"):
        kind = str if name == "stop_sequences" else dict
        for place, item in enumerate(body.get(name) or []):
            if not isinstance(item, kind):
                where = f"{name}.{place}"
                raise failure("invalid_type", f"{where}: expected {'a string' if kind is str else 'an object'}.", where)


def _max_tokens(value: Any) -> Wire:
    if value == 0:
        text = "max_tokens: 0 only warms Anthropic's prompt cache, which this provider has not."
        raise failure("unsupported_value", text, "max_tokens")
    return {"max_tokens": value}


def _stop(value: Any) -> Wire:
    return {"stop": list(value)} if isinstance(value, list) and value else {}


def _tools(value: Any) -> Wire:
    """Tools of the client's own; those that Anthropic defined are left out."""
    tools = [tool for tool in value if isinstance(tool, dict)] if isinstance(value, list) else []
    own = [_tool(tool, f"tools.{place}") for place, tool in enumerate(tools) if not _is_foreign(tool)]
    return {"tools": own} if own else {}


def _tool_choice(value: Any, chat: Wire) -> Wire:
    """Which tool to call; nothing where no tools are left, for OpenAI refuses that."""
    if not isinstance(value, dict) or not chat.get("tools"):
        return {}
    said: Wire = {}
    if value.get("type") == "tool":
        name = short_name(word(value, "name"))
        if name in {tool["function"]["name"] for tool in chat["tools"]}:  # OpenAI refuses a choice that is not offered
            said["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif value.get("type") in CHOICES:
        said["tool_choice"] = CHOICES[value["type"]]
    return {**said, "parallel_tool_calls": False} if value.get("disable_parallel_tool_use") is True else said


def _is_foreign(tool: Any) -> bool:
    """Whether a tool is one that Anthropic defined: its type has a date (reference 1.5)."""
    return isinstance(tool, dict) and tool.get("type") not in (None, "custom")


def _tool(tool: Mapping[str, Any], where: str) -> Wire:
    if not word(tool, "name"):
        raise failure("invalid_value", f"{where}.name: a tool needs a name.", f"{where}.name")
    schema = tool.get("input_schema")
    inner: Wire = {"name": short_name(word(tool, "name"))}
    if word(tool, "description"):
        inner["description"] = tool["description"]
    inner["parameters"] = schema if isinstance(schema, dict) else {"type": "object", "properties": {}}
    if isinstance(tool.get("strict"), bool):
        inner["strict"] = tool["strict"]
    return {"type": "function", "function": inner}


def _thinking(value: Any) -> Wire:
    """How hard to think; ``adaptive`` says nothing that the effort does not.

    The rest goes on in its own words too, for those who have a switch and a budget.
    """
    kind = value.get("type") if isinstance(value, dict) else "adaptive"
    budget = value.get("budget_tokens") if kind == "enabled" else None
    effort = {"reasoning_effort": effort_of(budget)} if isinstance(budget, int) else {}
    return {**effort, "thinking": value} if kind != "adaptive" else effort


def _format(value: Any) -> Wire:
    schema = value.get("schema") if isinstance(value, dict) and value.get("type") == "json_schema" else None
    if not isinstance(schema, dict):
        return {}
    named: Wire = {"name": "structured_output", "schema": schema, "strict": is_strict(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _output(value: Any) -> Wire:
    told = value if isinstance(value, dict) else {}
    effort = "xhigh" if told.get("effort") == "max" else word(told, "effort")
    return {**({"reasoning_effort": effort} if effort else {}), **_format(told.get("format"))}


def _metadata(value: Any) -> Wire:
    user = word(value, "user_id") if isinstance(value, dict) else ""
    if len(user) > USER_LENGTH:
        user = sha256(user.encode("utf-8", "replace")).hexdigest()
    return {"user": user} if user else {}


def _tier(value: Any) -> Wire:
    return {"service_tier": TIERS[value]} if isinstance(value, str) and value in TIERS else {}


_READ: Dict[str, Callable[[Any], Wire]] = {
    "max_tokens": _max_tokens,
    "stop_sequences": _stop,
    "thinking": _thinking,
    "output_format": _format,
    "output_config": _output,
    "metadata": _metadata,
    "service_tier": _tier,
    "tools": _tools,
}
