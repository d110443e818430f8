"""Anthropic's words and OpenAI's, side by side: why an answer ended, how hard to think, what models can take."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, NamedTuple, Optional, Tuple

OWN = "anthropic"  # the key for what only this dialect understands, at each level of a reply
DEFAULT_MAX_TOKENS = 8192  # the protocol wants a number where OpenAI's does not
# The signature of thinking that nobody signed: clients want one, and a provider must never be sent it.
UNSIGNED = "proxy-unsigned-v1"
SEARCH_TOOL = "web_search"

# Reference 1.14: why Anthropic stopped, in OpenAI's words.
REASONS: Dict[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "compaction": "length",
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# Reference 1.13: how many tokens of thinking an effort is worth to models that take a budget.
BUDGETS: Dict[str, int] = {"low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
LEAST_BUDGET = 1024
EFFORTS: Dict[str, str] = {"minimal": "low", **{effort: effort for effort in BUDGETS}}


class Abilities(NamedTuple):
    """What a model takes: how it is told to think (``none``, ``budget``, ``adaptive``), and which parameters.

    ``samples``: temperature and the like at other than their defaults; ``both``: temperature beside top_p;
    ``formats``: ``output_config.format``.
    """

    thinking: str
    samples: bool
    both: bool
    formats: bool


VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2})(?!\d))?")
# Reference 1.2 and 1.13, by the first version that is so; models of other makers are taken for the middle ones.
ABILITIES: Tuple[Tuple[Tuple[int, int], Abilities], ...] = (
    ((4, 7), Abilities("adaptive", False, False, True)),
    ((4, 6), Abilities("adaptive", True, False, True)),
    ((4, 5), Abilities("budget", True, False, True)),
    ((4, 1), Abilities("budget", True, False, False)),
    ((3, 7), Abilities("budget", True, True, False)),
    ((0, 0), Abilities("none", True, True, False)),
)
OTHERS = Abilities("budget", True, True, True)


def abilities_of(model: str) -> Abilities:
    """What a model of this name takes."""
    found = VERSION.search(model)
    if found is None:
        return OTHERS
    version = (int(found.group(1)), int(found.group(2) or 0))
    return next(abilities for first, abilities in ABILITIES if version >= first)


def effort_of(budget: int) -> str:
    """OpenAI's word for a budget of thinking tokens (reference 1.9; wider at the top, for agents ask for a lot)."""
    return next((effort for effort, least in (("high", 8192), ("medium", 2048)) if budget >= least), "low")


# Reference 1.8.
TYPES: Dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
OWN_TYPES: FrozenSet[str] = frozenset(TYPES.values())
TOO_LONG = "prompt is too long"

# Blocks that only Anthropic's servers write: tools that they ran, and what came of them.
CALL = "tool_use"
THINKING: FrozenSet[str] = frozenset(("thinking", "redacted_thinking"))

# Reference 1.2 and 1.16: the attribution that a coding agent puts first; it spoils other providers' prompt caches.
ATTRIBUTION = "x-anthropic-billing-header"
REMINDER: Tuple[str, str] = ("<system-reminder>\n", "\n</system-reminder>")


def type_of(status: int, told: Optional[str] = None) -> str:
    """Anthropic's type of a failure: the one the provider told if it is one, else by the status."""
    if told in OWN_TYPES and told is not None:
        return told
    return TYPES.get(status) or TYPES[400 if status < 500 else 500]
