"""`python -m bench`: what `make bench` runs once everything is set up."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from typing import Dict, List, Type

from bench import load, targets
from bench.lanes import TITLES
from bench.run import Run, say

OURS = "proxy"


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
    parser.add_argument("--json", default="", help="where to write the results")
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
    """Run the lanes, write the results; 1 if something was not as it must be."""
    args = arguments()
    load.built("mock"), load.built("load")
    lanes: List[str] = [name for name in TITLES if name.split("-")[0] in args.lanes.split(",") or name in args.lanes.split(",")]
    chosen = kinds(args)
    ours = [name for name in chosen if name == OURS or name in [word.partition("=")[0] for word in args.checkout]]
    has_wrk = load.wrk_version() != "" and not args.no_wrk
    run = Run(
        chosen,
        ours,
        shlex.split(args.proxy_args),
        rounds=args.rounds or (3 if args.quick else 5),
        share=0.25 if args.quick else 1,
        wrk=has_wrk,
    )
    if not has_wrk:
        say("wrk is not installed: bench/load.c asks for whole answers too")
    results = run.lanes(sorted(lanes))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
