"""Parameters that protocols have by name: what may be told of an ask without repeating what a client made up."""

from __future__ import annotations

from typing import Iterable

# Spec 1.1, 1.9, 4.6, 5.5 and reference 1.2; values are never told, only these names.
_NAMES = """
audio best_of echo frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt
prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed
service_tier stop store stream stream_options suffix temperature tool_choice tools top_logprobs top_p user verbosity
web_search_options

cache_control container context_management diagnostics inference_geo mcp_servers output_config output_format speed
stop_sequences system thinking top_k

context draft_num_predict embedding_only f16_kv format images keep_alive logits_all low_vram main_gpu min_p mirostat
mirostat_eta mirostat_tau num_batch num_ctx num_gpu num_keep num_predict num_thread numa options penalize_newline raw
repeat_last_n repeat_penalty shift template tfs_z think truncate typical_p use_mlock use_mmap vocab_only

dimension enable_search enable_thinking incremental_output instruct output_type repetition_penalty result_format
search_options text_type thinking_budget vl_high_resolution_images
"""
KNOWN = frozenset(_NAMES.split())

# What the methods of OpenAI's library take by name in each of its releases since 1.45, by the path that they ask; what
# else an ask may hold (a provider's own parameters, newer ones) goes in as ``extra_body``.
_EITHER = "frequency_penalty logit_bias logprobs max_tokens model n presence_penalty seed stop stream stream_options"
_CHAT = "max_completion_tokens messages parallel_tool_calls response_format tool_choice tools top_logprobs"
METHODS = {
    "/chat/completions": frozenset(f"{_EITHER} temperature top_p user {_CHAT}".split()),
    "/completions": frozenset(f"{_EITHER} temperature top_p user best_of echo prompt suffix".split()),
}
REQUIRED = {"/chat/completions": frozenset(("messages", "model")), "/completions": frozenset(("model", "prompt"))}
LONGEST = 1024


def told_dropped(names: Iterable[str]) -> str:
    """The value of X-Forward-Dropped: known names as they are, the number of the others, 1 KB at most."""
    dropped = list(names)
    told = [name for name in dropped if name in KNOWN]
    unknown = len(dropped) - len(told)
    text = ", ".join([*told, f"unknown:{unknown}"] if unknown else told)
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(",")[0]
