"""How hard Anthropic's models shall think and how freely choose: rules that depend on the model (reference 1.13)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from proxy.chat.slots import is_number, word
from proxy.dialects.anthropic_tables import BUDGETS, CALL, EFFORTS, LEAST_BUDGET, THINKING, Abilities
from proxy.dialects.dialect import Wire

FORCED = ("any", "tool")
SAMPLING = ("temperature", "top_p", "top_k")


def write_thinking(chat: Mapping[str, Any], body: Wire, turns: List[Wire], able: Abilities, dropped: List[str]) -> Wire:
    """``thinking`` and the effort of ``output_config``; where they are not possible they are named in ``dropped``."""
    own = chat.get("thinking")
    said: Wire = {"output_config": chat["output_config"]} if isinstance(chat.get("output_config"), dict) else {}
    if isinstance(own, dict):
        return {**said, "thinking": own}
    told = word(chat, "reasoning_effort")
    if not told or told == "none":
        return said
    effort = EFFORTS.get(told)
    if effort is None or able.thinking == "none" or _is_unfit(body, turns, able):
        dropped.append("reasoning_effort")
        return said
    if able.thinking == "adaptive":
        output = {**said.get("output_config", {}), "effort": effort}
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": output}
    budget = min(BUDGETS[effort], body["max_tokens"] * 3 // 4)  # what is left is for the answer
    if budget < LEAST_BUDGET:
        dropped.append("reasoning_effort")
        return said
    return {**said, "thinking": {"type": "enabled", "budget_tokens": budget}}


def _is_unfit(body: Wire, turns: List[Wire], able: Abilities) -> bool:
    """Whether thinking would be refused: a tool is forced, or an open turn with calls came without its thinking."""
    forced = able.thinking == "budget" and (body.get("tool_choice") or {}).get("type") in FORCED
    return forced or _has_forgotten(turns)


def _has_forgotten(turns: List[Wire]) -> bool:
    """The last turn with calls came without thinking, and no other turn has any (litellm#18926)."""
    kinds = [{block.get("type") for block in turn["content"]} for turn in turns if turn["role"] == "assistant"]
    calling = [kind for kind in kinds if CALL in kind]
    return bool(calling) and not calling[-1] & THINKING and not any(kind & THINKING for kind in kinds)


def write_sampling(chat: Mapping[str, Any], body: Wire, able: Abilities, dropped: List[str]) -> Wire:
    """Temperature and the like, in Anthropic's range; not beside thinking, nor for models that refuse them."""
    told: Dict[str, Any] = {name: chat[name] for name in SAMPLING if is_number(chat.get(name))}
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    gone = list(told) if thinks or not able.samples else []
    if not able.both and "temperature" in told and "top_p" in told and "top_p" not in gone:
        gone.append("top_p")
    dropped += [name for name in gone if not (name != "top_k" and told[name] == 1)]
    said = {name: value for name, value in told.items() if name not in gone}
    if "temperature" in said:
        said["temperature"] = min(max(said["temperature"], 0), 1)
    if "top_p" in said:
        said["top_p"] = min(max(said["top_p"], 0), 1)
    return said
