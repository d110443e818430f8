"""The parameters of an OpenAI ask as DashScope has them: one table, and what must be judged together (spec 4.6)."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple

from proxy.chat.slots import is_number
from proxy.dialects.dashscope_tools import write_tools

Wire = Dict[str, Any]
Mapped = Callable[[Any], Wire]

ELSEWHERE = frozenset(("model", "messages", "stream", "stream_options"))
TOOLS = frozenset(("tools", "functions", "tool_choice", "function_call"))
OURS = frozenset(("incremental_output", "result_format"))
MOST_LOGPROBS = 5
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
MOST_SEED, NEGATIVE_SEEDS = 2**63, 2**31
# No twin there; the values beside them change nothing, so that leaving them out loses nothing.
WITHOUT_TWIN: Dict[str, Tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "user": ("",),
    "metadata": ({},),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "logit_bias": ({},),
    "prediction": (),
    "verbosity": ("medium",),
    "prompt_cache_key": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
    "safety_identifier": (),
    "moderation": (),
}


class Spelled(NamedTuple):
    """Parameters for the provider, and the names of those that have no twin."""

    parameters: Wire
    dropped: List[str]


def write_parameters(chat: Mapping[str, Any], *, stream: bool) -> Spelled:
    """Everything of an ask but its model and messages; a key that nobody knows is a parameter as it stands."""
    parameters: Wire = {}
    dropped: List[str] = []
    for name, value in chat.items():
        if value is None or name in ELSEWHERE or name in TOOLS or name in OURS:
            continue
        if name in WITHOUT_TWIN:
            dropped += [] if value in WITHOUT_TWIN[name] else [name]
        else:
            mapped = MAPPED[name](value) if name in MAPPED else {name: value}
            dropped += [name] if LOST in mapped else []
            parameters.update((key, told) for key, told in mapped.items() if key != LOST)
    for name, value in EXPLICIT.items():
        parameters.update(value(chat.get(name)))
    tools, lost = write_tools(chat)
    return Spelled(
        {"result_format": "message", **({"incremental_output": True} if stream else {}), **parameters, **tools},
        dropped + lost,
    )


LOST = ""  # marks a mapping that could not tell all


def _temperature(value: Any) -> Wire:
    """[0, 2): two itself is an error there."""
    return {"temperature": 1.99 if is_number(value) and value >= 2 else value}


def _top_p(value: Any) -> Wire:
    """(0, 1]; older models refuse 1 too, which means the same as almost 1."""
    return {"top_p": (0.001 if value <= 0 else min(value, 0.9999)) if is_number(value) else value}


def _seed(value: Any) -> Wire:
    """Natural numbers below 2^63."""
    if not isinstance(value, int) or isinstance(value, bool):
        return {"seed": value}
    return {"seed": -value % NEGATIVE_SEEDS if value < 0 else value % MOST_SEED}


def _top_logprobs(value: Any) -> Wire:
    return {"top_logprobs": min(value, MOST_LOGPROBS) if is_number(value) else value}


def _effort(value: Any) -> Wire:
    """Thinking is on or off there."""
    return {"enable_thinking": value != "none"} if value in EFFORTS else {LOST: None}


def _thinking(value: Any) -> Wire:
    """The switch as some other vendors have it."""
    if not isinstance(value, dict):
        return {"enable_thinking": bool(value)}
    budget = value.get("budget_tokens")
    return {
        "enable_thinking": value.get("type") != "disabled",
        **({"thinking_budget": budget} if is_number(budget) else {}),
    }


def _template(value: Any) -> Wire:
    """Of a chat template's arguments one is known."""
    said = value if isinstance(value, dict) else {}
    known = {name: said[name] for name in ("enable_thinking",) if isinstance(said.get(name), bool)}
    return known if known.keys() == said.keys() else {**known, LOST: None}


def _web_search(value: Any) -> Wire:
    return {"enable_search": True, **({LOST: None} if value else {})}


def _said(name: str) -> Mapped:
    return lambda value: {} if value is None else {name: value}


MAPPED: Dict[str, Mapped] = {
    "max_tokens": _said("max_tokens"),
    "max_completion_tokens": _said("max_tokens"),
    "temperature": _temperature,
    "top_p": _top_p,
    "seed": _seed,
    "top_logprobs": _top_logprobs,
    "reasoning_effort": _effort,
    "thinking": _thinking,
    "think": _thinking,
    "chat_template_kwargs": _template,
    "web_search_options": _web_search,
}
# Whatever else speaks of the same: these win.
EXPLICIT: Dict[str, Mapped] = {
    "max_completion_tokens": _said("max_tokens"),
    "enable_thinking": _said("enable_thinking"),
    "thinking_budget": _said("thinking_budget"),
    "enable_search": _said("enable_search"),
}
