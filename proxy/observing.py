"""Who else is told of each exchange that has ended: metrics, where they are installed, and traces, if wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, List

from proxy.exchange import Observer, Parts
from proxy.metrics import Metrics
from proxy.metrics.exposition import installed
from proxy.metrics.paths import Paths
from proxy.tracing import tracing_of


def observed(parts: Parts, spoken: Iterable[str]) -> Parts:
    """The parts with their observers; ``spoken`` are the paths of asks. Raises ConfigError."""
    label = Paths(spoken).label
    observers: List[Observer] = []
    if installed():
        observers.append(Metrics(parts.crew.tally, parts.journal, label).observe)
    tracing = tracing_of(parts.settings, parts.family.name, parts.provider.where, label)
    if tracing is not None:
        observers.append(tracing.observe)
    return replace(parts, tracing=tracing, observers=observers)
