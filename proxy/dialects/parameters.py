"""OpenAI's own parameters by name: what may be told of an ask without repeating what a client made up."""

from __future__ import annotations

from typing import Iterable

# Spec 1.1 and 1.9; values are never told, only these names.
_NAMES = """
audio best_of echo frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt
prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed
service_tier stop store stream stream_options suffix temperature tool_choice tools top_logprobs top_p user verbosity
web_search_options
"""
KNOWN = frozenset(_NAMES.split())
LONGEST = 1024


def told_dropped(names: Iterable[str]) -> str:
    """The value of X-Forward-Dropped: known names as they are, the number of the others, 1 KB at most."""
    dropped = list(names)
    told = [name for name in dropped if name in KNOWN]
    unknown = len(dropped) - len(told)
    text = ", ".join([*told, f"unknown:{unknown}"] if unknown else told)
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(",")[0]
