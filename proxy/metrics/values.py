"""What a record says in numbers."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from proxy.journal import Record
from proxy.metrics.names import FRAMES

OTHER = "other"
MOST = 1 << 53  # tokens; who says more says nothing
BUCKETS = tuple(round(bound * 1000) for bound in FRAMES)  # as the journal's clock counts: whole milliseconds
COUNTED = ("input", "output", "cached", "reasoning")


class Usage(NamedTuple):
    """Tokens, in the order of ``COUNTED``."""

    input: int
    output: int
    cached: int
    reasoning: int


def usage_of(told: Any) -> Optional[Usage]:
    """What a provider counted, whatever its protocol calls it; None if it said nothing of it."""
    if not isinstance(told, dict):
        return None
    came = _count(told, "prompt_tokens", "input_tokens", "prompt_eval_count")
    went = _count(told, "completion_tokens", "output_tokens", "eval_count")
    cached = _count(told, "cache_read_input_tokens") or _detail(told, "prompt_tokens_details", "cached_tokens")
    thought = _detail(told, "completion_tokens_details", "reasoning_tokens")
    return Usage(came, went, cached, thought)


def values_of(record: Record, usage: Optional[Usage]) -> Tuple[Optional[float], ...]:
    """The seconds of each of HISTOGRAMS but the last, in their order; None where a measure has none."""
    duration, first, overhead = record.duration_ms, record.ttft_ms, record.overhead_ms
    return (
        None if duration is None else duration / 1000,
        None if first is None else first / 1000,
        _per_token(record, usage),
        _longest_gap(record),
        None if overhead is None else overhead / 1000,
    )


def _count(told: Dict[str, Any], *names: str) -> int:
    for name in names:
        value = told.get(name)
        if isinstance(value, int) and 0 <= value <= MOST:
            return value
    return 0


def _detail(told: Dict[str, Any], group: str, name: str) -> int:
    details = told.get(group)
    return _count(details, name) if isinstance(details, dict) else 0


def _per_token(record: Record, usage: Optional[Usage]) -> Optional[float]:
    """Of a provider's stream: the time since the first token, over the tokens after it."""
    tokens = usage.output if usage is not None and usage.output else record.chunks or 0
    if record.ttft_ms is None or record.duration_ms is None or tokens < 2 or record.chunks is None:
        return None
    return max(0.0, record.duration_ms - record.ttft_ms) / (tokens - 1) / 1000


def _longest_gap(record: Record) -> Optional[float]:
    """From the journal's clock, whose runs of the same gap are pairs."""
    gaps = record.clock["gaps"] if record.clock is not None else None
    return max([gap if gap.__class__ is int else gap[0] for gap in gaps]) / 1000 if gaps else None


def gaps_of(clock: Dict[str, Any]) -> Tuple[List[int], float]:
    """How many gaps between frames are in each bucket of FRAMES (0 s where they came together), and their seconds."""
    counts = [0] * (len(BUCKETS) + 1)
    batches, total = 1, 0
    for gap in clock["gaps"]:
        ms, times = (gap, 1) if gap.__class__ is int else gap
        counts[bisect_left(BUCKETS, ms)] += times
        batches += times
        total += ms * times
    frames = sum(size if size.__class__ is int else size[0] * size[1] for size in clock["frames"])
    counts[0] += frames - batches
    return counts, total / 1000
