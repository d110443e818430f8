"""What it cost, in both accounts: Anthropic counts cached tokens beside the input, OpenAI inside (reference 1.11)."""

from __future__ import annotations

from typing import Any, Mapping

from proxy.chat.slots import is_number
from proxy.dialects.anthropic_tables import OWN
from proxy.dialects.dialect import Wire

INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def read_usage(usage: Mapping[str, Any]) -> Wire:
    """OpenAI's mapping of Anthropic's; the very numbers that Anthropic told stay beside it."""
    fresh, read, written = (count(usage.get(name)) for name in INPUTS)
    output = count(usage.get("output_tokens"))
    details = usage.get("output_tokens_details")
    thought = details.get("thinking_tokens") if isinstance(details, dict) else None
    prompt = fresh + read + written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": count(thought)},
        OWN: dict(usage),
    }


def write_usage(counts: Mapping[str, Any]) -> Wire:
    """Anthropic's mapping of OpenAI's: as Anthropic told it, else by the table; what nobody knows is left out."""
    own = counts.get(OWN)
    if isinstance(own, dict):
        return dict(own)
    details = counts.get("prompt_tokens_details")
    inner = details if isinstance(details, dict) else {}
    read = count(inner.get("cached_tokens")) or count(counts.get("prompt_cache_hit_tokens"))
    written = count(inner.get("cache_write_tokens"))
    usage: Wire = {}
    if is_number(counts.get("prompt_tokens")):
        usage["input_tokens"] = max(count(counts["prompt_tokens"]) - read - written, 0)
        usage.update({"cache_creation_input_tokens": written, "cache_read_input_tokens": read})
    if is_number(counts.get("completion_tokens")):
        usage["output_tokens"] = count(counts["completion_tokens"])
    spent = counts.get("completion_tokens_details")
    thought = spent.get("reasoning_tokens") if isinstance(spent, dict) else None
    if thought is not None:
        usage["output_tokens_details"] = {"thinking_tokens": count(thought)}
    return usage


def add_usage(usage: Wire, said: Any) -> None:
    """A later account overwrites what it tells; what it leaves out or calls null stays (reference 1.4)."""
    if isinstance(said, dict):
        usage.update((name, value) for name, value in said.items() if value is not None or name not in usage)


def count(value: Any) -> int:
    """A number of tokens; whatever else stands there is none."""
    return int(value) if is_number(value) and value > 0 else 0
