"""Where the time of one lane goes: py-spy looks at the proxy's worker. `make bench-profile LANE=a`."""

from __future__ import annotations

import argparse
import collections
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Counter, Dict, List

from bench import load
from bench.lanes import LANES
from bench.measure import Bench
from bench.processes import family
from bench.report import table
from bench.run import Run
from bench.targets import ROOT, Proxy

RATE = 500  # looks a second
TOP = 40
WAITING = "acquire_with_timeout (gevent"  # a thread of gevent's pool with nothing to do, which py-spy takes for busy


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--lane", default="a", choices=sorted(LANES))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--proxy-args", default="")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--checkout", default=str(ROOT), help="the folder of the proxy to look at")
    return parser.parse_args()


def record(pid: int, seconds: int, form: str, path: Path) -> subprocess.Popen[bytes]:
    """py-spy on one process."""
    spy = Path(sys.executable).parent / "py-spy"
    line = [str(spy), "record", "-p", str(pid), "-d", str(seconds), "-r", str(RATE), "-f", form, "-o", str(path)]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def tops(raw: Path) -> str:
    """The functions in which most time was spent: by themselves, and with all that they call."""
    alone: Counter[str] = collections.Counter()
    within: Counter[str] = collections.Counter()
    parcels: Counter[str] = collections.Counter()
    for line in raw.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        if WAITING in stack:
            continue
        parcels[parcel(stack.rpartition(";")[2])] += int(count)
        frames = [short(frame) for frame in stack.split(";")]
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    total = sum(alone.values()) or 1
    parts: List[str] = []
    for title, counts in (("code of", parcels), ("by itself", alone), ("with what it calls", within)):
        rows = [[title, "%"], *([f"`{name}`", f"{100 * count / total:.1f}"] for name, count in counts.most_common(TOP))]
        parts.append(table(rows))
    return f"{total} looks.\n\n" + "\n\n".join(parts) + "\n"


def parcel(frame: str) -> str:
    """Whose code a frame is: the first folder of its file's path, or the file."""
    return frame.partition(" (")[2].rstrip(")").rpartition(":")[0].split("/")[0] or "(none)"


def short(frame: str) -> str:
    """A function, with the last two parts of its file's path, without its line."""
    name, _, where = frame.partition(" (")
    file = where.rstrip(")").rpartition(":")[0] or where.rstrip(")")
    return f"{name} ({'/'.join(file.split('/')[-2:])})" if file else name


def main() -> int:
    """Profile, twice: for the picture and for the table."""
    args = arguments()
    lane = replace(LANES[args.lane], wrk=False)
    Proxy.python, Proxy.root = os.path.abspath(args.python), Path(args.checkout).resolve()
    stem = ROOT / "bench" / "results" / f"profile-{args.lane}"
    run = Run({"proxy": Proxy}, ["proxy"], shlex.split(args.proxy_args), rounds=1, share=1, wrk=False)
    provider = load.Provider()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        target = run.start("proxy", provider.port, lane)
        try:
            bench = Bench(Path(folder), False, 1)
            bench.warm(lane, target)
            worker = family(target.pid)[-1]
            forms: Dict[str, Path] = {"flamegraph": stem.with_suffix(".svg"), "raw": Path(folder) / "raw"}
            for form, path in forms.items():
                spying = record(worker, args.seconds, form, path)
                while spying.poll() is None:
                    bench.round(lane, target, None)
                if spying.returncode or not path.exists():
                    raise SystemExit("py-spy saw nothing; where the kernel forbids it to look (ptrace_scope), be root")
            stem.with_suffix(".md").write_text(tops(forms["raw"]), encoding="utf-8")
        finally:
            target.stop()
            provider.stop()
    print(stem.with_suffix(".md").read_text(encoding="utf-8"))
    print(f"{stem}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
