"""What is counted and timed of every exchange, in numbers that all workers share and that outlive them.

``prometheus_client`` spells them when somebody asks; counting does without it, at a few additions an exchange. Its own
way over several workers costs more and keeps files of every worker there ever was, and asking the living ones would
lose what the dead have counted, which looks to Prometheus like a counter that began anew.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from proxy.aside import system_lock
from proxy.crew.tally import Tally
from proxy.journal import Journal, Record
from proxy.metrics.names import DROPS, HISTOGRAMS, LOST, REQUESTS, TOKENS
from proxy.metrics.values import COUNTED, OTHER, gaps_of, usage_of, values_of

MODELS = 100  # names of models a worker tells apart; the rest is OTHER (an attacker could invent any number)
LONGEST = 100  # characters of a model's name
CAPACITY = 10_000  # combinations of labels whose places are remembered
BOUNDS = tuple(histogram.bounds for histogram in HISTOGRAMS)


class Places(NamedTuple):
    """Where the numbers of one combination of labels are; -1: nowhere, as there was no room."""

    requests: int
    tokens: Tuple[int, ...]
    histograms: Tuple[int, ...]


class Metrics:
    """Takes in one record after the other; ``path_of`` gives the label for a path, out of a table that ends."""

    def __init__(self, tally: Tally, journal: Journal, path_of: Callable[[str], str]) -> None:
        self._tally = tally
        self._journal = journal
        self._path_of = path_of
        self._places: Dict[Tuple[str, ...], Places] = {}
        self._models: Dict[str, None] = {}
        self._dropped = self._lost = 0
        self._lock = system_lock()  # nothing in it waits; a lock of gevent's costs as much as all that it guards
        tally.place((LOST,))  # while there is room
        tally.place((DROPS,))

    def observe(self, record: Record) -> None:
        """Count one exchange that has ended."""
        labels = (
            self._path_of(record.path),
            self._model(record),
            record.send_mode or "none",
            record.return_mode or "none",
            str(record.status or "none"),
            record.outcome or "none",
        )
        with self._lock:
            places = self._places.get(labels) or self._placed(labels)
            self._add(places.requests, 1)
            usage = usage_of(record.usage)
            if usage is not None:
                for place, count in zip(places.tokens, usage):
                    self._add(place, count)
            self._time(places.histograms, values_of(record, usage))
            if record.clock is not None:
                self._add_gaps(places.histograms[-1], record.clock)
            self._count_drops()

    def _add(self, place: int, amount: float) -> None:
        if place >= 0:
            self._tally.numbers[place] += amount

    def _time(self, places: Tuple[int, ...], measured: Tuple[Optional[float], ...]) -> None:
        """Each bucket's own count and the sum; who reads adds the buckets up."""
        numbers = self._tally.numbers
        for place, seconds, bounds in zip(places, measured, BOUNDS):
            if seconds is not None and place >= 0:
                numbers[place + bisect_left(bounds, seconds)] += 1
                numbers[place + len(bounds) + 1] += seconds

    def _add_gaps(self, place: int, clock: Dict[str, Any]) -> None:
        counts, seconds = gaps_of(clock)
        for at, amount in enumerate((*counts, seconds), place):
            if amount and place >= 0:
                self._tally.numbers[at] += amount

    def _placed(self, labels: Tuple[str, ...]) -> Places:
        if len(self._places) >= CAPACITY:
            self._places.clear()
        tally, (path, model, send_mode, return_mode, _, _) = self._tally, labels
        timed = (path, model, send_mode, return_mode)
        places = self._places[labels] = Places(
            tally.place((REQUESTS, *labels)),
            tuple(tally.place((TOKENS, path, model, kind)) for kind in COUNTED),
            tuple(tally.place((one.name, *timed), len(one.bounds) + 2) for one in HISTOGRAMS),
        )
        self._add(tally.place((LOST,)), tally.lost - self._lost)
        self._lost = tally.lost
        return places

    def _model(self, record: Record) -> str:
        """The provider's name of the model, if a provider has answered for it: others may be anybody's invention."""
        name = (record.sent_model or record.model or "none").encode("utf-8", "replace").decode()
        if name in self._models or name == "none":
            return name
        if len(self._models) < MODELS and len(name) <= LONGEST and record.outcome == "complete":
            told = self._tally.words(REQUESTS, 2) - {OTHER, "none"}  # those of workers that are gone count
            self._models.update(dict.fromkeys(told))
            if len(self._models) < MODELS or name in self._models:
                self._models[name] = None
                return name
        return OTHER

    def _count_drops(self) -> None:
        drops = self._journal.drops
        if drops != self._dropped:
            self._add(self._tally.place((DROPS,)), drops - self._dropped)
            self._dropped = drops
