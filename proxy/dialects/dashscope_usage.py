"""What an answer cost, in DashScope's words and in OpenAI's: one table both ways (spec 4.4, 4.7)."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

Wire = Dict[str, Any]

COUNTS = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "total_tokens": "total_tokens"}
OUTPUT_DETAILS, PROMPT_DETAILS = "output_tokens_details", "prompt_tokens_details"
COMPLETION_DETAILS = "completion_tokens_details"
MEDIA = ("image_tokens", "audio_tokens", "video_tokens")
NOTHING: Wire = dict.fromkeys(COUNTS, 0)


def read_usage(said: Mapping[str, Any]) -> Wire:
    """OpenAI's usage mapping; what it has no name for stays under its own, so that ``write_usage`` finds it again."""
    counts: Wire = {ours: number(said.get(theirs)) for theirs, ours in COUNTS.items()}
    if not isinstance(said.get("total_tokens"), int):
        counts["total_tokens"] = counts["prompt_tokens"] + counts["completion_tokens"]
    if said.keys() == COUNTS.keys():  # most frames of a stream have one
        return counts
    counts.update((key, value) for key, value in said.items() if key not in (*COUNTS, OUTPUT_DETAILS, PROMPT_DETAILS))
    if OUTPUT_DETAILS in said:
        counts[COMPLETION_DETAILS] = said[OUTPUT_DETAILS]
    details = said.get(PROMPT_DETAILS)
    if isinstance(details, dict) or details is None:
        media = _media(said)
        details = {**media, **details} if details else media or details
    if details or PROMPT_DETAILS in said:
        counts[PROMPT_DETAILS] = details
    return counts


def write_usage(counts: Mapping[str, Any]) -> Wire:
    """DashScope's usage mapping."""
    said: Wire = {theirs: number(counts.get(ours)) for theirs, ours in COUNTS.items()}
    if not isinstance(counts.get("total_tokens"), int):
        said["total_tokens"] = said["input_tokens"] + said["output_tokens"]
    renamed = (*COUNTS.values(), COMPLETION_DETAILS, PROMPT_DETAILS)
    said.update((key, value) for key, value in counts.items() if key not in renamed and key not in COUNTS)
    if COMPLETION_DETAILS in counts:
        said[OUTPUT_DETAILS] = counts[COMPLETION_DETAILS]
    if PROMPT_DETAILS in counts:
        details, media = counts[PROMPT_DETAILS], _media(counts)
        if isinstance(details, dict) and media:
            details = {key: value for key, value in details.items() if media.get(key) != value}
        if details or not media:
            said[PROMPT_DETAILS] = details
    return said


def total(costs: Sequence[Wire]) -> Wire:
    """The usage of several choices, each of which told its own: the prompt counts once, what was said adds up.

    The one that was told last comes last.
    """
    last = costs[-1]
    if len(costs) < 2:
        return last
    output = sum(number(cost.get("output_tokens")) for cost in costs)
    said = {**last, "output_tokens": output}
    if isinstance(last.get("total_tokens"), int):
        said["total_tokens"] = last["total_tokens"] - number(last.get("output_tokens")) + output
    if isinstance(last.get(OUTPUT_DETAILS), dict):
        every = [cost[OUTPUT_DETAILS] for cost in costs if isinstance(cost.get(OUTPUT_DETAILS), dict)]
        said[OUTPUT_DETAILS] = {
            key: sum(number(one.get(key)) for one in every) if isinstance(value, int) else value
            for key, value in last[OUTPUT_DETAILS].items()
        }
    return said


def share(said: Wire, *, last: bool) -> Wire:
    """What one of several choices tells at its end, so that the shares add up to the whole: the last one tells all."""
    if last:
        return said
    first = {key: value for key, value in said.items() if key in COUNTS}
    return {**first, "output_tokens": 0, "total_tokens": first.get("input_tokens", 0)}


def told(said: Any) -> Optional[Wire]:
    """A usage that says something; zeros are what a frame carries as long as nothing is known."""
    return said if isinstance(said, dict) and any(said.values()) else None


def number(value: Any) -> int:
    """A count; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _media(said: Mapping[str, Any]) -> Wire:
    """Counts of the prompt by kind, which OpenAI has among the details of the prompt."""
    details = said.get("input_tokens_details")
    media = {key: said[key] for key in MEDIA if isinstance(said.get(key), int)}
    return {**media, **details} if isinstance(details, dict) else media
