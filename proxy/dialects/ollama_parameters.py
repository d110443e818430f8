"""Parameters by table: what Ollama's are called elsewhere, and what of OpenAI's Ollama has (spec 5.5, 5.8, 5.9)."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from proxy.dialects.dialect import Wire
from proxy.errors import failure

# Options that have the same name in a chat body, where many servers read them.
SHARED = frozenset(
    ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "top_k", "min_p", "typical_p", "stop")
)
_LOCAL = """
num_keep num_predict repeat_last_n repeat_penalty num_ctx num_batch num_gpu main_gpu use_mmap use_mlock num_thread
draft_num_predict numa low_vram f16_kv logits_all vocab_only embedding_only tfs_z mirostat mirostat_tau mirostat_eta
penalize_newline
"""
LOCAL = frozenset(_LOCAL.split())
OPTIONS: Dict[str, str] = {
    **{name: name for name in SHARED | LOCAL},
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "repetition_penalty": "repeat_penalty",
}
# Parameters beside the options that Ollama has under the same name.
SAME = ("logprobs", "top_logprobs", "keep_alive", "truncate", "shift", "_debug_render_only")
# Parameters that mean something to Ollama only: other kinds of providers have no twin of them.
OWN = LOCAL | {"keep_alive", "truncate", "shift", "_debug_render_only", "template", "raw", "context", "suffix"}
EFFORTS: Dict[str, Any] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "ultra": "max",
    "max": "max",
}
# What is said elsewhere, or is what happens anyway; values that would change something are in ``idle``.
HANDLED = frozenset(
    ("model", "messages", "stream", "stream_options", "tools", "functions", "tool_choice", "function_call", "n")
    + ("options", "format", "response_format")
)
IDLE: Dict[str, Tuple[Any, ...]] = {
    "parallel_tool_calls": (True,),
    "store": (False,),
    "modalities": (["text"],),
    "logit_bias": ({},),
    "service_tier": ("auto", "default"),
    "metadata": ({},),
}
THINKING = ("think", "reasoning_effort", "reasoning", "enable_thinking", "thinking", "chat_template_kwargs")


def read_parameters(body: Mapping[str, Any]) -> Wire:
    """Ollama's parameters under the names of a chat body; those without a twin keep their own."""
    said = {name: body[name] for name in body if name not in ("messages", "options", "format", "think")}
    said.update(_read_options(body.get("options") or {}))
    wanted = body.get("format")
    if wanted not in (None, "", "json") and not isinstance(wanted, dict):
        raise failure("invalid_value", "Invalid value for 'format': json, or a JSON schema.", "format")
    if wanted == "json":
        said["response_format"] = {"type": "json_object"}
    elif isinstance(wanted, dict) and wanted:
        said["response_format"] = {"type": "json_schema", "json_schema": {"name": "response", "schema": wanted}}
    think = body.get("think")
    if isinstance(think, bool):
        said["reasoning_effort"] = "medium" if think else "none"
    elif isinstance(think, str) and think in EFFORTS:
        said["reasoning_effort"] = "xhigh" if EFFORTS[think] == "max" else think
    elif think:
        raise failure("invalid_value", "Invalid value for 'think': true, false, low, medium, high or max.", "think")
    return {name: value for name, value in said.items() if value is not None}


def _read_options(options: Mapping[str, Any]) -> Wire:
    said = {name: value for name, value in options.items() if name not in ("num_predict", "repeat_penalty")}
    limit = options.get("num_predict")
    if isinstance(limit, (int, float)) and limit > 0:  # -1 and -2 are no limit
        said["max_tokens"] = int(limit)
    if options.get("repeat_penalty") is not None:
        said["repetition_penalty"] = options["repeat_penalty"]
    return said


def write_parameters(chat: Mapping[str, Any]) -> Tuple[Wire, List[str]]:
    """Ollama's parameters for a chat body, and the names of those that it has no twin of.

    Raises ProxyError ``unsupported_value`` for several choices: Ollama gives one.
    """
    if chat.get("n") not in (None, 1):
        raise failure("unsupported_value", f"This provider gives one choice, not {chat['n']!r}.", "n")
    said = {name: chat[name] for name in SAME if chat.get(name) is not None}
    if isinstance(said.get("logprobs"), int) and not isinstance(said["logprobs"], bool):
        said["logprobs"], said["top_logprobs"] = True, said["logprobs"]  # as the older completions have it
    known = {*HANDLED, *SAME, *OPTIONS, *THINKING}
    lost = {name for name in chat if name not in known and not _is_idle(chat, name)}
    think, unread = _write_think(chat)
    said.update({"think": think} if think is not None else {})
    wanted, understood = _write_format(chat)
    said.update({"format": wanted} if wanted is not None else {})
    options = write_options(chat)
    said.update({"options": options} if options else {})
    lost.update(unread if understood else [*unread, "response_format"])
    return said, [name for name in chat if name in lost]


def write_options(chat: Mapping[str, Any]) -> Wire:
    """Ollama's options out of a chat body; an ``options`` object in it says the last word."""
    options = {own: chat[name] for name, own in OPTIONS.items() if chat.get(name) is not None}
    given = chat.get("options")
    options.update(given if isinstance(given, dict) else {})
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    return {name: value for name, value in options.items() if value is not None}


def _is_idle(chat: Mapping[str, Any], name: str) -> bool:
    return chat[name] is None or chat[name] in IDLE.get(name, ())


def _write_think(chat: Mapping[str, Any]) -> Tuple[Optional[Any], List[str]]:
    """The first of the many ways to ask for thinking that says anything; and what of them says something else."""
    found: Optional[Any] = None
    unread: List[str] = []
    for name in THINKING:
        value = chat.get(name)
        think = _READ_THINK[name](value) if value is not None else None
        found = think if found is None else found
        if value is not None and (think is None or (name == "chat_template_kwargs" and len(value) > 1)):
            unread.append(name)
    return found, unread


def _level(value: Any) -> Optional[Any]:
    if isinstance(value, bool):
        return value
    return EFFORTS.get(value) if isinstance(value, str) else None


def _inside(name: str, value: Any) -> Optional[Any]:
    return _level(value.get(name)) if isinstance(value, dict) else None


def _switched(value: Any) -> Optional[bool]:
    kind = value.get("type") if isinstance(value, dict) else None
    return {"enabled": True, "adaptive": True, "disabled": False}.get(kind) if isinstance(kind, str) else None


_READ_THINK: Dict[str, Callable[[Any], Optional[Any]]] = {
    "think": _level,
    "reasoning_effort": _level,
    "reasoning": partial(_inside, "effort"),
    "enable_thinking": _level,
    "thinking": _switched,
    "chat_template_kwargs": partial(_inside, "enable_thinking"),
}


def _write_format(chat: Mapping[str, Any]) -> Tuple[Optional[Any], bool]:
    """Ollama's ``format``, and whether what was asked for could be said."""
    if chat.get("format"):
        return chat["format"], True
    wanted = chat.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        named = wanted.get("json_schema") if isinstance(wanted, dict) else None
        schema = named.get("schema") if isinstance(named, dict) else None
        return (schema if isinstance(schema, dict) and schema else "json"), True
    if kind == "json_object":
        return "json", True
    return None, wanted is None or kind == "text"
