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
TIERS = {"auto": "auto", "standard_only": "default"}


def read_chat(ask: Ask) -> Wire:
    """The ask in OpenAI's words; what Anthropic alone can do is left out (``alone`` names it), the unknown is kept.

    Raises ProxyError 400 for content that has no place there.
    """
    body = ask.body
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
    tools = ask.body.get("tools")
    if any(_is_foreign(tool) for tool in (tools if isinstance(tools, list) else ())):
        names.append("tools")
    return tuple(names)


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
    own = [_tool(tool) for tool in tools if not _is_foreign(tool)]
    return {"tools": own} if own else {}


def _tool_choice(value: Any, chat: Wire) -> Wire:
    """Which tool to call; nothing where no tools are left, for OpenAI refuses that."""
    if not isinstance(value, dict) or not chat.get("tools"):
        return {}
    said: Wire = {}
    if value.get("type") == "tool":
        said["tool_choice"] = {"type": "function", "function": {"name": short_name(word(value, "name"))}}
    elif value.get("type") in CHOICES:
        said["tool_choice"] = CHOICES[value["type"]]
    return {**said, "parallel_tool_calls": False} if value.get("disable_parallel_tool_use") is True else said


def _is_foreign(tool: Any) -> bool:
    """Whether a tool is one that Anthropic defined: its type has a date (reference 1.5)."""
    return isinstance(tool, dict) and tool.get("type") not in (None, "custom")


def _tool(tool: Mapping[str, Any]) -> Wire:
    schema = tool.get("input_schema")
    inner: Wire = {"name": short_name(word(tool, "name"))}
    if word(tool, "description"):
        inner["description"] = tool["description"]
    inner["parameters"] = schema if isinstance(schema, dict) else {"type": "object", "properties": {}}
    if isinstance(tool.get("strict"), bool):
        inner["strict"] = tool["strict"]
    return {"type": "function", "function": inner}


def _thinking(value: Any) -> Wire:
    """How hard to think; ``adaptive`` says nothing that the effort does not, ``disabled`` is what the others do."""
    budget = value.get("budget_tokens") if isinstance(value, dict) and value.get("type") == "enabled" else None
    return {"reasoning_effort": effort_of(budget)} if isinstance(budget, int) else {}


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
