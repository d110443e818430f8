"""Reads the metrics of a running proxy as Prometheus does."""

from __future__ import annotations

from typing import Any

from proxy_process import ProxyProcess
from raw_client import Call

LAST = "forward_overhead_seconds_count"  # of an exchange's numbers the last to be written: then all others are there


def scraped(running: ProxyProcess, target: str = "/_forward/metrics") -> dict[Any, float]:
    """All samples: the value by name and labels."""
    from prometheus_client.parser import text_string_to_metric_families

    call = Call(running.port, method="GET", target=target, host="127.0.0.1").rest()
    assert call.status == 200, call.got
    samples = {}
    for family in text_string_to_metric_families(call.content.decode()):
        for sample in family.samples:
            samples[(sample.name, *sorted(sample.labels.items()))] = sample.value
    return samples


def total(running: ProxyProcess, name: str, **labels: str) -> float:
    """The sum over the series of a name that have these labels."""
    wanted = set(labels.items())
    return sum(value for (named, *words), value in scraped(running).items() if named == name and wanted <= set(words))
