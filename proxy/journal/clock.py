"""A stream's own clock: when each batch of frames came, small enough to be kept for every stream."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Dict, Iterable, List, Sequence, Union

# A value, or a value and how often it follows itself.
Runs = List[Union[int, List[int]]]
SHORTEST_RUN = 4


def clock(began: float, moments: Sequence[float], sizes: Sequence[int]) -> Dict[str, Any]:
    """The journal's ``clock``: ms from ``began`` to the first batch, ms between batches, and frames in each.

    Gaps are those between rounded moments, so that their sum never drifts.
    """
    at = [round((moment - began) * 1000) for moment in moments]
    gaps = [after - before for before, after in zip(at, at[1:])]
    return {"start": at[0], "gaps": packed(gaps), "frames": packed(sizes)}


def packed(values: Iterable[int]) -> Runs:
    """``values`` with runs of the same one as ``[value, times]``."""
    runs: Runs = []
    for value, same in groupby(values):
        times = sum(1 for _ in same)
        runs += [[value, times]] if times >= SHORTEST_RUN else [value] * times
    return runs


def unpacked(runs: Iterable[Any]) -> List[int]:
    """The values again."""
    values: List[int] = []
    for run in runs:
        values += [run[0]] * run[1] if isinstance(run, list) else [run]
    return values
