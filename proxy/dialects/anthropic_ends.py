"""Why an answer ended, both ways: Anthropic's ``stop_reason`` and what comes with it, OpenAI's ``finish_reason``."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional

from proxy.dialects.anthropic_tables import OWN, REASONS
from proxy.dialects.dialect import Wire

END_KEYS = ("stop_reason", "stop_sequence")


class Made(NamedTuple):
    """What an answer consists of, as far as its end depends on it: calls, a refusal, the stop text that it met."""

    calls: bool
    refused: bool = False
    matched: Optional[str] = None


def read_reason(told: Any) -> Optional[str]:
    """OpenAI's word for a stop reason; a word that nobody knows stays."""
    return REASONS.get(told, told) if isinstance(told, str) and told else None


def kept_end(told: Mapping[str, Any], calls: bool) -> Wire:
    """What must be kept of an answer's end and envelope for its way back: all that the writer would not say itself."""
    reason = read_reason(told.get("stop_reason"))
    derived = derive_end(reason, Made(calls))
    end = {key: told[key] for key in END_KEYS if key in told}
    others = {key: value for key, value in told.items() if key not in END_KEYS}
    kept = others if {**derived, **end} == derived else {**end, **others}
    return {OWN: kept} if kept else {}


def derive_end(reason: Optional[str], made: Made) -> Wire:
    """Anthropic's end of an answer that ended for OpenAI's ``reason`` (reference 1.10).

    A length wins over everything, for the last call may be cut; any call means ``tool_use``, whatever was told.
    """
    word = "end_turn"
    if reason == "length":
        word = "max_tokens"
    elif made.refused or reason == "content_filter":
        word = "refusal"
    elif made.calls:
        word = "tool_use"
    elif made.matched is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": made.matched}
    return {"stop_reason": word, "stop_sequence": None}


def matched_stop(extra: Mapping[str, Any]) -> Optional[str]:
    """The stop text that an answer met, from servers that tell it beside the finish reason."""
    told = extra.get("stop_reason", extra.get("matched_stop"))
    return told if isinstance(told, str) and told else None
