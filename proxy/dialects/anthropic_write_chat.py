"""An OpenAI chat body as an ask to Anthropic (reference 1.13); what has no twin there is named."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from proxy.chat.slots import word
from proxy.dialects.anthropic_schemas import fit_schema
from proxy.dialects.anthropic_tables import DEFAULT_MAX_TOKENS, Abilities, abilities_of
from proxy.dialects.anthropic_thinking import write_sampling, write_thinking
from proxy.dialects.anthropic_told import write_messages
from proxy.dialects.anthropic_tools import write_choice, write_tools
from proxy.dialects.chat_checks import check_chat
from proxy.dialects.dialect import Asked, Wire
from proxy.dialects.json_text import write_json
from proxy.errors import failure

MAX_TOKENS = ("max_completion_tokens", "max_tokens")
TAKEN = frozenset(
    ("model", "messages", *MAX_TOKENS, "temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "functions")
    + ("function_call", "parallel_tool_calls", "response_format", "reasoning_effort", "user", "service_tier", "stream")
    + ("stream_options", "thinking", "output_config", "modalities", "web_search_options")
)
# Anthropic's own, from clients that know whom they talk to.
OWN = frozenset(("cache_control", "container", "context_management", "mcp_servers", "inference_geo", "speed", "system"))
# Values that ask for nothing; a parameter with such a value is no loss.
IDLE: Dict[str, Any] = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0, "logprobs": False, "store": False}
TIERS = {"auto": "auto", "default": "standard_only"}
JSON_ONLY = "Respond with a single JSON object only, without any text around it."
BY_SCHEMA = "Respond with a single JSON value only, without any text around it, that this JSON schema describes:\n"
SEPARATE = ("@", "+")  # what a user's name must not contain: it may be an e-mail address or a telephone number


def write_chat(chat: Wire, *, stream: bool, options: bool = True) -> Asked:
    """The body for ``/messages``. Raises ProxyError 400 for what Anthropic cannot do at all."""
    refuse(chat)
    check_chat(chat)
    able = abilities_of(word(chat, "model"))
    told = write_messages(chat["messages"] if isinstance(chat.get("messages"), list) else [])
    dropped = _dropped(chat)
    body: Wire = {"model": chat.get("model"), "max_tokens": _max_tokens(chat)}
    tools = write_tools(chat, told.called)
    choice = write_choice(chat, tools)
    body.update({name: chat[name] for name in sorted(OWN) if chat.get(name) is not None and name != "system"})
    body["messages"] = told.turns
    body.update({"tools": tools} if tools else {})
    body.update({"tool_choice": choice} if choice else {})
    body.update(_stop(chat.get("stop"), dropped))
    body.update(write_thinking(chat, body, told.turns, able, dropped))
    body.update(write_sampling(chat, body, able, dropped))
    system = [*told.system, *_format(chat.get("response_format"), body, able)]
    body.update({"system": _plain(system)} if system else {})
    body.update(_other(chat, dropped))
    if stream:
        body["stream"] = True
    return Asked(write_json(body), (), "", tuple(dropped))


def refuse(chat: Mapping[str, Any]) -> None:
    """Raise ProxyError 400 for an ask whose answer could not be what was asked for."""
    several = chat.get("n")
    if isinstance(several, int) and several > 1:
        raise failure("unsupported_value", "The provider's protocol has one answer only: n must be 1.", "n")
    modalities = chat.get("modalities")
    if chat.get("audio") or (isinstance(modalities, list) and set(modalities) - {"text"}):
        raise failure("unsupported_value", "The provider's protocol has text answers only.", "modalities")


def _dropped(chat: Mapping[str, Any]) -> List[str]:
    """The names of what has no twin, unless its value asks for nothing."""
    return [
        name
        for name, value in chat.items()
        if name not in TAKEN and name not in OWN and value is not None and (name not in IDLE or value != IDLE[name])
    ]


def _max_tokens(chat: Mapping[str, Any]) -> int:
    told = next((chat[name] for name in MAX_TOKENS if chat.get(name) is not None), DEFAULT_MAX_TOKENS)
    if not isinstance(told, int) or isinstance(told, bool) or told < 1:
        raise failure("invalid_value", "max_tokens must be a positive integer.", "max_tokens")
    return told


def _stop(told: Any, dropped: List[str]) -> Wire:
    """Always an array; blank ones would be refused."""
    stops = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    said = [stop for stop in stops if isinstance(stop, str) and stop.strip()]
    dropped += ["stop"] if len(said) < len(stops) else []
    return {"stop_sequences": said} if said else {}


def _format(told: Any, body: Wire, able: Abilities) -> List[Wire]:
    """Structured output: as a parameter where the model takes it, else as words of the system, which are returned."""
    kind = told.get("type") if isinstance(told, dict) else None
    if kind == "json_object":
        return [{"type": "text", "text": JSON_ONLY}]
    named = told.get("json_schema") if kind == "json_schema" else None
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        return []
    if able.formats:
        form = {"type": "json_schema", "schema": fit_schema(schema)}
        body["output_config"] = {**body.get("output_config", {}), "format": form}
        return []
    return [{"type": "text", "text": BY_SCHEMA + write_json(schema).decode()}]


def _plain(system: List[Wire]) -> Any:
    """One text is said as a string, which every version of the protocol takes."""
    return system[0]["text"] if len(system) == 1 and system[0].keys() == {"type", "text"} else system


def _other(chat: Mapping[str, Any], dropped: List[str]) -> Wire:
    said: Wire = {}
    user = word(chat, "user")
    if user and not any(mark in user for mark in SEPARATE):
        said["metadata"] = {"user_id": user}
    elif user:
        dropped.append("user")
    tier = chat.get("service_tier")
    if isinstance(tier, str) and tier in TIERS:
        said["service_tier"] = TIERS[tier]
    elif tier is not None:
        dropped.append("service_tier")
    return said
