"""`python -m bench`: what `make bench` runs once everything is set up."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, Dict, Type

from bench import load, report, targets
from bench.bars import faults
from bench.lanes import TITLES
from bench.machine import describe
from bench.plots import draw
from bench.run import Run, say

OURS = "proxy"
RESULTS = targets.ROOT / "bench" / "results"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--lanes", default=",".join(sorted(TITLES)), help="a,b,...; h is h-up and h-down")
    parser.add_argument("--targets", default="direct,nginx,proxy,openai-forward,litellm")
    parser.add_argument("--rounds", type=int, default=0, help="5, or 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="a quarter of the answers, fewer rounds")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the proxy")
    parser.add_argument("--checkout", action="append", default=[], help="NAME=FOLDER: another checkout as a target")
    parser.add_argument("--openai-forward", default="", help="the interpreter of its environment")
    parser.add_argument("--litellm", default="", help="the interpreter of its environment")
    parser.add_argument("--proxy-args", default=os.environ.get("PROXY_ARGS", ""), help="more flags for the proxy")
    parser.add_argument("--no-wrk", action="store_true")
    parser.add_argument("--nice", type=int, default=0, help="niceness of all that takes part; below 0 needs root")
    parser.add_argument("--json", default="", help="where to write the results; else bench/results")
    return parser.parse_args()


def kinds(args: argparse.Namespace) -> Dict[str, Type[targets.Target]]:
    """The targets that can run here, in the order in which each round takes them."""
    targets.Proxy.python = os.path.abspath(args.python)
    found: Dict[str, Type[targets.Target]] = {"direct": targets.Direct}
    if targets.nginx():
        found["nginx"] = targets.Nginx
    else:
        say("nginx is not installed: no ratios to it")
    found[OURS] = targets.Proxy
    for word in args.checkout:
        name, _, folder = word.partition("=")
        found[name] = targets.other_checkout(name, folder, targets.Proxy.python)
    for name, kind in (("openai-forward", targets.OpenaiForward), ("litellm", targets.LiteLLM)):
        kind.python = os.path.abspath(vars(args)[name.replace("-", "_")] or "")
        if os.path.isfile(kind.python):
            found[name] = kind
    wanted = {"direct", *args.targets.split(","), *(word.partition("=")[0] for word in args.checkout)}
    return {name: kind for name, kind in found.items() if name in wanted}


def main() -> int:
    """Run the lanes, write and print what they gave; 1 if a lane does not count, whatever its figures."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
    if args.nice:
        os.setpriority(os.PRIO_PROCESS, 0, args.nice)
        targets.prefer(os.getpid())
    load.built("mock")
    load.built("load")
    wanted = args.lanes.split(",")
    lanes = [name for name in sorted(TITLES) if {name, name.split("-")[0]} & set(wanted)]
    chosen = kinds(args)
    ours = [name for name in chosen if name == OURS or name in [word.partition("=")[0] for word in args.checkout]]
    has_wrk = load.wrk_version() != "" and not args.no_wrk
    if not has_wrk:
        say("wrk is not installed: bench/load.c asks for whole answers too")
    rounds = args.rounds or (3 if args.quick else 5)
    about = describe(chosen, has_wrk, rounds)
    run = Run(chosen, ours, shlex.split(args.proxy_args), rounds=rounds, share=0.25 if args.quick else 1, wrk=has_wrk)
    results = {"machine": about, "lanes": run.lanes(lanes)}
    write(results, args, whole=set(lanes) == set(TITLES) and not args.quick)
    wrong = faults(results["lanes"])
    for one in wrong:
        say(f"does not count: {one}")
    return 1 if wrong else 0


def write(results: Dict[str, Any], args: argparse.Namespace, whole: bool) -> None:
    """The results as JSON, table and plots; a whole run goes into BENCHMARKS.md as well."""
    stem = results["machine"]["date"] if whole else "partial"
    path = Path(args.json or RESULTS / f"{stem}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    plots = draw(results["lanes"], path.parent, path.stem)
    told = report.text(results, plots)
    path.with_suffix(".md").write_text(told, encoding="utf-8")
    print(told)
    if whole and not args.json:
        near = [f"{path.parent.relative_to(targets.ROOT)}/{name}" for name in plots]
        report.publish(targets.ROOT / "BENCHMARKS.md", report.text(results, near))


if __name__ == "__main__":
    sys.exit(main())
