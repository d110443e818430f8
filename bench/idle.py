"""Two lanes that count no CPU: what an idle stream holds, and what a start takes."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from typing import Any, Dict

from bench import load, processes
from bench.lanes import CHAT, JSON, KEY, TALK

STREAMS = (1000, 2500, 5000)


def streams(run: Any, provider: int) -> Dict[str, Any]:
    """Memory of an idle stream: the growth from none to 1,000, 2,500 and 5,000 of them, divided by their number."""
    counts = [number for number in STREAMS if run.share >= 1 or number <= 1000]
    found: Dict[str, Any] = {}
    for kind in run.kinds:
        if kind == "direct" or kind == "litellm":  # LiteLLM takes minutes to open as many
            continue
        found[kind] = {}
        for number in counts if kind in run.ours or kind == "nginx" else counts[:1]:  # peers take long to open more
            more = ["--max_exchanges", str(counts[-1] + 500)] if kind in run.ours else []
            target = run.start(kind, provider, more=more)
            try:
                found[kind][str(number)] = _held(target, number)
            except (OSError, ValueError, subprocess.SubprocessError) as wrong:
                found[kind][str(number)] = {"faults": [f"gave up: {wrong}"]}
            finally:
                target.stop()
    return found


def _held(target: Any, number: int) -> Dict[str, Any]:
    body = target.folder / "idle.json"
    body.write_text(json.dumps({"model": "bench-i-1-0", "messages": TALK, "stream": True}))
    load.ask(target.port, path=CHAT, header=[KEY, JSON], body=body, n=20, conns=20, tokens=1, hold=True, timeout=20)
    time.sleep(1)
    before = processes.memory(target.pid)
    line = load.words(
        target.port,
        path=CHAT,
        header=[KEY, JSON],
        body=body,
        n=number,
        conns=number,
        rate=400,
        tokens=1,
        hold=True,
        timeout=60,
    )
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
        assert holding.stdout is not None and holding.stdin is not None
        said = json.loads(holding.stdout.readline())
        time.sleep(1)
        grown = processes.memory(target.pid) - before
        used = processes.cpu(target.pid)
        time.sleep(2)
        used = processes.cpu(target.pid) - used
        holding.stdin.close()
    faults = [] if said["held"] == number else [f"{said['held']} of {number} streams open"]
    return {"bytes_each": grown / max(1, said["held"]), "idle_cpu_share": used / 2, "before": before, "faults": faults}


def starts(run: Any, provider: int) -> Dict[str, Any]:
    """Seconds from the start to the first healthy answer, and what a worker holds then; the median of several."""
    found: Dict[str, Any] = {}
    for kind in run.kinds:
        if kind == "direct":
            continue
        times, held, each = [], [], []
        for _ in range(2 if kind == "litellm" else max(2, run.rounds)):
            target = run.start(kind, provider)
            time.sleep(0.5)
            times.append(target.took)
            held.append(processes.memory(target.pid))
            each.append(max(processes.resident(one) for one in processes.family(target.pid)))
            target.stop()
        found[kind] = {
            "seconds": statistics.median(times),
            "least": min(times),
            "memory": statistics.median(held),
            "resident_worker": statistics.median(each),
        }
    return found
