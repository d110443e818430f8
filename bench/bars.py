"""The bars: what a run has to show, and what it showed. Ratios inside one run only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional

Results = Dict[str, Dict[str, Any]]
BUSY = 0.1  # share of a round that the proxy was ready to run and did not: a machine that others use
GROWTH = 8 << 20  # bytes that 10 MB bodies, two at a time, may add to the memory's peak: less than one of them


@dataclass(frozen=True)
class Bar:
    """``least``: the value must reach the limit; else it must not exceed it. ``aim``: what is really wanted."""

    lane: str
    what: str
    value: Callable[[Results], Optional[float]]
    limit: float
    unit: str = "x"
    least: bool = False
    aim: Optional[float] = None

    def met(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value >= self.limit if self.least else value <= self.limit


def cpu(results: Results, lane: str, target: str) -> Optional[float]:
    """Microseconds of CPU for an operation; None where it was not measured."""
    found = results.get(lane, {}).get(target, {})
    return found.get("cpu_us") or None


def ratio(above: Optional[float], below: Optional[float]) -> Optional[float]:
    """One divided by the other, if both are known."""
    return above / below if above and below else None


def _over(lane: str, target: str = "nginx") -> Callable[[Results], Optional[float]]:
    return lambda results: ratio(cpu(results, lane, "proxy"), cpu(results, lane, target))


def _under(lane: str, peer: str) -> Callable[[Results], Optional[float]]:
    return lambda results: ratio(cpu(results, lane, peer), cpu(results, lane, "proxy"))


def _lanes(lane: str, other: str, times: float = 1) -> Callable[[Results], Optional[float]]:
    def value(results: Results) -> Optional[float]:
        found = ratio(cpu(results, lane, "proxy"), cpu(results, other, "proxy"))
        return found and found / times

    return value


def _grown(lane: str) -> Callable[[Results], Optional[float]]:
    def value(results: Results) -> Optional[float]:
        grown = results.get(lane, {}).get("proxy", {}).get("grown")
        return None if grown is None else grown / (1 << 20)

    return value


def _idle(results: Results) -> Optional[float]:
    found = [one["bytes_each"] for one in results.get("i", {}).get("proxy", {}).values() if "bytes_each" in one]
    return max(found) / 1024 if found else None


def _start(name: str, scale: float) -> Callable[[Results], Optional[float]]:
    def value(results: Results) -> Optional[float]:
        found = results.get("j", {}).get("proxy", {}).get(name)
        return None if found is None else found / scale

    return value


def _added(results: Results) -> Optional[float]:
    found = [results.get("k", {}).get(target, {}).get("first_p50") for target in ("proxy", "direct")]
    return None if None in found else (found[0] - found[1]) / 1000


def _workers(results: Results) -> Optional[float]:
    return ratio(cpu(results, "l", "proxy x2"), cpu(results, "l", "proxy"))


BARS: List[Bar] = [
    Bar("a", "whole answers: CPU of nginx's", _over("a"), 30, aim=20),
    Bar("a", "cheaper than openai-forward", _under("a", "openai-forward"), 3, least=True),
    Bar("a", "cheaper than LiteLLM", _under("a", "litellm"), 20, least=True),
    Bar("b", "paced tokens: CPU of nginx's", _over("b"), 4, aim=2.5),
    Bar("b", "cheaper than openai-forward", _under("b", "openai-forward"), 2.5, least=True),
    Bar("b", "cheaper than LiteLLM", _under("b", "litellm"), 15, least=True),
    Bar("c", "burst tokens: CPU of nginx's", _over("c"), 14, aim=8),
    Bar("d", "stream -> whole, of (c) for an answer", _lanes("d", "c", 100), 1.3),
    Bar("e", "whole -> stream, of (a)", _lanes("e", "a"), 1.3),
    Bar("f", "DashScope -> OpenAI, of (b)", _lanes("f", "b"), 2.5),
    Bar("g", "OpenAI -> Anthropic, of (b)", _lanes("g", "b"), 2.5),
    Bar("h", "10 MB up: CPU of nginx's", _over("h-up"), 3),
    Bar("h", "10 MB down: CPU of nginx's", _over("h-down"), 3),
    Bar("h", "10 MB up: growth of the memory's peak", _grown("h-up"), GROWTH >> 20, "MB"),
    Bar("h", "10 MB down: growth of the memory's peak", _grown("h-down"), GROWTH >> 20, "MB"),
    Bar("i", "memory of an idle stream", _idle, 40, "KB"),
    Bar("j", "start to first healthy answer", _start("seconds", 1), 1, "s"),
    Bar("j", "resident memory of an idle worker", _start("resident_worker", 1 << 20), 60, "MB"),
    Bar("k", "added median time to first token", _added, 2, "ms"),
    Bar("l", "CPU of an answer with 2 workers, of 1", _workers, 1.1),
]


def faults(results: Results) -> List[str]:
    """Why lanes do not count: what was wrong with our answers, bytes, journals, or in every round with their time."""
    found = []
    for lane, targets in results.items():
        for target, told in targets.items():
            if not target.startswith("proxy"):
                continue
            parts = told.values() if lane == "i" else [told]
            wrong = [fault for part in parts for fault in (*part.get("unfit", ()), *part.get("faults", ()))]
            if told.get("late") and min(told["late"]):
                wrong.append(_lateness(told))
            found += [f"lane {lane}, {target}: {one}" for one in wrong]
    return found


def _lateness(told: Dict[str, Any]) -> str:
    """Late in every round: by its own fault, or because the machine kept it from running all the time."""
    rounds = told["rounds"]
    of = rounds[0].get("delay", {}).get("count", 0)
    waited = min(one["waited"] / one["seconds"] for one in rounds)
    busy = (
        f"; cannot be judged, the proxy waited for a processor {100 * waited:.0f} % of the time"
        if waited > BUSY
        else ""
    )
    return f"late tokens in every round: {told['late']} of {of:,}{busy}"
