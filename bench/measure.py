"""One round of one lane on one target: the load, the CPU it cost, and everything that must be true of the answers."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional

from bench import load, meaning, processes
from bench.lanes import Ask, Lane
from bench.targets import Target

LATE = 20_000  # microseconds from a token's departure to its arrival, beyond what the way without a proxy takes
SETTLE = 10  # seconds until all lines of the journals must be there


class Bench:
    """What all rounds share: a folder for bodies, whether wrk is there, how much of each count is asked."""

    def __init__(self, folder: Path, with_wrk: bool, share: float) -> None:
        self.folder = folder
        self.with_wrk = with_wrk
        self.share = share

    def round(self, lane: Lane, target: Target, direct: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        """Measure; ``direct`` is this round without a proxy, for comparison."""
        ask = lane.of(target.name)
        count = max(4, round(lane.count * self.share * lane.shares.get(target.name.split(" ")[0], 1)))
        late = LATE + (direct["delay"].get("max", 0) if direct and "delay" in direct else 0)
        lines = target.journaled()
        if lane.memory and target.pid:
            processes.forget_peak(target.pid)
        before, waited, used = processes.peak(target.pid), processes.waited(target.pid), processes.cpu(target.pid)
        said = self._load(lane, ask, target, count, late)
        found = _faults(said, count)
        found += _journal_faults(target, lines, count)
        used = processes.cpu(target.pid) - used
        said["waited"] = processes.waited(target.pid) - waited
        if lane.memory and target.pid:
            said["grown"] = processes.peak(target.pid) - before
        if lane.same and direct and not set(said.get("hashes", {})) <= set(direct.get("hashes", {})):
            found.append("other bytes than the provider's")
        operations = count * (lane.tokens if lane.per == "token" else 1)
        return {**said, "cpu_us": 1e6 * used / operations, "operations": operations, "faults": found}

    def warm(self, lane: Lane, target: Target) -> List[str]:
        """A few answers that do not count; what is wrong with the meaning of one of them."""
        ask, lines = lane.of(target.name), target.journaled()
        wrong = []
        if ask is lane.asked and not lane.same:
            wrong = meaning.faults(target.port, ask, lane.tokens)
        if not wrong:
            number = 4 if target.name == "litellm" else max(4, lane.conns // 4)
            said = self._load(replace(lane, wrk=False), ask, target, number, LATE)
            once = ask is lane.asked and not lane.same
            wrong = _faults(said, number) + _journal_faults(target, lines, number + once)
        return wrong

    def body(self, ask: Ask) -> Optional[Path]:
        """The ask's body as a file."""
        if ask.body is None:
            return None
        text = json.dumps(ask.body)
        path = self.folder / f"{abs(hash(text))}.json"
        path.write_text(text)
        return path

    def _load(self, lane: Lane, ask: Ask, target: Target, count: int, late: int) -> Dict[str, Any]:
        body = self.body(ask)
        if lane.wrk and self.with_wrk and body is not None:
            want = self.folder / "want"
            if target.name == "direct":
                want.write_text(re.sub(r"@\d+#", "@#", meaning.ask_once(target.port, ask).decode()))
            exact = target.name != "litellm"  # it writes its answers anew
            return load.wrk(target.port, ask.path, body, want if exact else None, count, lane.conns, 120)
        return load.ask(
            target.port,
            path=ask.path,
            method=ask.method,
            header=list(ask.headers),
            body=body,
            upload=ask.upload or None,
            n=count,
            conns=min(count, lane.conns),
            rate=lane.rate * (lane.shares.get(target.name, 1) if lane.per == "token" else 1),
            tokens=lane.tokens or None,
            last=lane.last,
            late=late,
            timeout=120,
        )


def _faults(said: Dict[str, Any], count: int) -> List[str]:
    found = [f"{said[name]} {name}" for name in ("failed", "torn", "wrong", "unfinished") if said.get(name)]
    if said["answers"] != count:
        found.append(f"{said['answers']} answers of {count}")
    return found


def _journal_faults(target: Target, before: Optional[List[int]], count: int) -> List[str]:
    """Wait for the last lines, written once the client has its bytes; there must be as many as answers."""
    if before is None:
        return []
    want, end = [number + count for number in before], time.monotonic() + SETTLE
    while target.journaled() != want and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    got = target.journaled()
    return [] if got == want else [f"journal lines {got}, answers {want}"]
