"""The numbers of all workers as Prometheus reads them."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import accumulate
from typing import Any, Dict, Iterator, List, Tuple

from proxy.crew import Answer
from proxy.crew.tally import Series, Sums
from proxy.metrics.names import COUNTERS, GAUGES, HISTOGRAMS, TIMED, TOKENS, Histogram
from proxy.version import VERSION


def installed() -> bool:
    """Whether the extra is there."""
    return find_spec("prometheus_client") is not None


def exposed(sums: Sums, answers: List[Answer], accept: str) -> Tuple[bytes, str]:
    """The text and its type, in the form that the scraper accepts; ``answers`` are those of the workers that live."""
    from prometheus_client import CollectorRegistry, exposition

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(sums, answers))
    encode, kind = exposition.choose_encoder(accept)
    return encode(registry), kind


class _Collected:
    """What prometheus_client calls a collector."""

    def __init__(self, sums: Sums, answers: List[Answer]) -> None:
        self._answers = answers
        self._by_name: Dict[str, List[Tuple[Series, List[float]]]] = {}
        for (name, *labels), values in sorted(sums.items()):
            self._by_name.setdefault(name, []).append((tuple(labels), values))

    def collect(self) -> Iterator[Any]:
        """All families."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, help, labels in COUNTERS:
            family = CounterMetricFamily(name, help, labels=labels)
            counted = self._by_name.get(name, [])
            for words, values in counted or ([] if labels else [((), [0.0])]):
                if values[0] or name != TOKENS:
                    family.add_metric(words, values[0])
            yield family
        for histogram in HISTOGRAMS:
            yield self._timed(histogram)
        yield GaugeMetricFamily("forward_workers", "Worker processes that have answered", len(self._answers))
        for name, help in GAUGES:
            yield GaugeMetricFamily(name, help, sum(answer.get(name, 0) for answer in self._answers))
        info = GaugeMetricFamily("forward_build_info", "Always 1", labels=("version",))
        info.add_metric((VERSION,), 1)
        yield info

    def _timed(self, histogram: Histogram) -> Any:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(histogram.name, histogram.help, labels=TIMED)
        ends = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
        for words, values in self._by_name.get(histogram.name, []):
            if any(values):
                family.add_metric(words, list(zip(ends, accumulate(values[:-1]))), values[-1])
        return family
