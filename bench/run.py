"""A run: the lanes one after the other, in each the targets in turn, round by round, so that all share the weather."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Type

from bench import idle
from bench.lanes import LANES, Lane
from bench.load import Provider
from bench.measure import Bench
from bench.targets import Target

Results = Dict[str, Dict[str, Any]]
AGAIN = 2  # rounds more for a lane in whose every round a token of ours was late: the machine is shared


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


class Run:
    """``kinds``: the classes of the targets by name; ``flags``: more flags for the proxy."""

    def __init__(
        self, kinds: Dict[str, Type[Target]], ours: List[str], flags: List[str], *, rounds: int, share: float, wrk: bool
    ) -> None:
        self.kinds = kinds
        self.ours = ours
        self.flags = flags
        self.rounds = rounds
        self.share = share
        self.wrk = wrk
        self.slow: Dict[str, Target] = {}  # peers that take long to start stay

    def lanes(self, names: List[str]) -> Results:
        """All of these lanes."""
        results: Results = {}
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
            provider = Provider()
            stack.callback(provider.stop)
            stack.callback(lambda: [target.stop() for target in self.slow.values()])
            bench = Bench(Path(folder), self.wrk, self.share)
            special: Dict[str, Callable[..., Any]] = {"i": idle.streams, "j": idle.starts}
            for name in names:
                if name in special:
                    say(f"lane {name}")
                    results[name] = special[name](self, provider.port)
                else:
                    results[name] = self._lane(name, LANES[name], bench, provider.port)
        return results

    def _lane(self, name: str, lane: Lane, bench: Bench, provider: int) -> Dict[str, Any]:
        say(f"lane {name}: {lane.title}")
        with self._running(name, lane, provider) as targets:
            found: Dict[str, Any] = {}
            for target in list(targets):
                wrong = bench.warm(lane, target)
                found[target.label] = {"rounds": [], "unfit": wrong}
                if wrong:
                    say(f"  {target.label} is left out: {'; '.join(wrong)}")
                    targets.remove(target)
            rounds = self.rounds
            number = 0
            while number < rounds:
                self._round(lane, bench, targets, found)
                number += 1
                if number == rounds and rounds < self.rounds + AGAIN and self._late(found):
                    rounds += 1
        for one in found.values():
            one.update(summed(one["rounds"]))
        return found

    def _round(self, lane: Lane, bench: Bench, targets: List[Target], found: Dict[str, Any]) -> None:
        direct = None
        for target in list(targets):
            try:
                said = bench.round(lane, target, direct)
            except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as wrong:
                found[target.label]["unfit"].append(f"gave up: {wrong}"[:300])
                say(f"  {target.label} is left out: {wrong}")
                targets.remove(target)
                continue
            if target.name == "direct":
                direct = said
            found[target.label]["rounds"].append(said)
            late = f", {said['late']} late" if said.get("late") else ""
            slow = said.get("delay", {}).get("p99") or said.get("whole", {}).get("p99", 0)
            say(f"  {target.label:18} {said['cpu_us']:10.1f} us CPU, p99 {slow:8} us{late} {'; '.join(said['faults'])}")

    def _late(self, found: Dict[str, Any]) -> bool:
        return any(
            found[name]["rounds"] and all(one.get("late") for one in found[name]["rounds"])
            for name in found
            if name in self.ours
        )

    @contextlib.contextmanager
    def _running(self, name: str, lane: Lane, provider: int) -> Iterator[List[Target]]:
        targets: List[Target] = []
        with contextlib.ExitStack() as stack:
            for kind in list(self.kinds):
                if kind in ("direct", "nginx") or kind in self.ours:
                    for workers in (1, 2) if name == "l" and kind in self.ours else (1,):
                        targets.append(self.start(kind, provider, lane, workers))
                        stack.callback(targets[-1].stop)
                elif kind in lane.peers and name != "l":
                    targets += self._peer(kind, provider)
            yield targets

    def _peer(self, kind: str, provider: int) -> List[Target]:
        if kind not in self.slow:
            try:
                self.slow[kind] = self.kinds[kind](provider).start()
            except RuntimeError as wrong:
                say(f"  {wrong}")
                del self.kinds[kind]
                return []
        return [self.slow[kind]]

    def start(self, kind: str, provider: int, lane: Any = None, workers: int = 1, more: Sequence[str] = ()) -> Target:
        """A target, running; ours with the flags of the lane and of the whole run."""
        several = ["--workers", str(workers)] if workers > 1 else []
        flags = [*(lane.flags if lane else ()), *several, *self.flags, *more]
        target = self.kinds[kind](provider, flags if kind in self.ours else ())
        target.label = kind + (f" x{workers}" if workers > 1 else "")
        if lane and kind in self.ours:
            target.address = lane.address
        return target.start()


def summed(rounds: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The medians of the rounds, their spread, and what was wrong in any of them."""
    if not rounds:
        return {}
    costs = [one["cpu_us"] for one in rounds]
    told: Dict[str, Any] = {"cpu_us": statistics.median(costs), "least": min(costs), "most": max(costs)}
    for kind in ("delay", "first", "whole"):
        for part in ("p50", "p99", "max"):
            values = [one[kind][part] for one in rounds if part in one.get(kind, {})]
            if values:
                told[f"{kind}_{part}"] = statistics.median(values)
    told["late"] = [one.get("late", 0) for one in rounds]
    told["waited"] = statistics.median(one["waited"] / one["seconds"] for one in rounds)
    told["tokens"] = sum(one.get("delay", {}).get("count", 0) for one in rounds)
    told["faults"] = sorted({fault for one in rounds for fault in one["faults"]})
    if "grown" in rounds[0]:
        told["grown"] = max(one["grown"] for one in rounds)
    return told
