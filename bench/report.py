"""A run as markdown: what it cost, how long it took, which bars were met. Every figure comes from the results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from bench.bars import BARS, Results, cpu, faults, ratio
from bench.lanes import LANES, TITLES

NAMES = {"nginx": "nginx", "proxy": "this proxy", "openai-forward": "openai-forward", "litellm": "LiteLLM"}
MARKS = ("<!-- results -->\n", "<!-- /results -->")


def number(value: float) -> str:
    """Three figures, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(rows: Iterable[List[str]]) -> str:
    """Rows as markdown, the first one being the head."""
    head, *rest = rows
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rest]]
    return "\n".join(lines)


def _targets(results: Results) -> List[str]:
    """The columns: all targets in the order of the run, but for the one without anybody in between."""
    found: Dict[str, None] = {}
    for lane in results.values():
        found.update(dict.fromkeys(name for name in lane if name != "direct" and " x" not in name))
    return list(found)


def costs(results: Results) -> str:
    """CPU of an operation, and how many times nginx's."""
    targets = _targets(results)
    rows = [["lane", "of", *(NAMES.get(name, name) for name in targets)]]
    for lane in results:
        if lane not in LANES or lane == "l":
            continue
        row = [f"({lane}) {TITLES[lane]}", LANES[lane].per]
        rows.append([*row, *(_cost(results, lane, name) for name in targets)])
    return table(rows) if rows[1:] else ""


def _cost(results: Results, lane: str, target: str) -> str:
    used = cpu(results, lane, target)
    if not used:
        return ""
    told = results[lane][target]
    times = ratio(used, cpu(results, lane, "nginx"))
    spread = f"{number(told['least'])}-{number(told['most'])}"
    shown = f"{number(used)} us ({spread})"
    return shown + (f", **{number(times)}x**" if times and target != "nginx" else "")


def times(results: Results) -> str:
    """What a client saw: a token's delay in lanes of streams, the whole answer's time in the others."""
    targets = ["direct", *_targets(results)]
    rows = [["lane", "ms", *(NAMES.get(name, name) for name in targets)]]
    for lane in results:
        kind = "first" if lane == "k" else "delay" if lane in "bcfg" else "whole"
        told = {"first": "first token", "delay": "each token", "whole": "whole answer"}[kind]
        shown = [_time(results[lane].get(name, {}), kind) for name in targets] if lane in LANES and lane != "l" else []
        if any(shown):
            rows.append([f"({lane}) {TITLES[lane]}", f"{told}: p50 / p99 / max", *shown])
    return table(rows) if rows[1:] else ""


def _time(told: Dict[str, Any], kind: str) -> str:
    found = [told.get(f"{kind}_{part}") for part in ("p50", "p99", "max")]
    return "" if None in found else " / ".join(number(value / 1000) for value in found)  # type: ignore[operator]


def memory(results: Results) -> str:
    """The lanes that count memory and starts."""
    parts = []
    idle, starts = results.get("i", {}), results.get("j", {})
    if idle:
        counts = sorted({count for told in idle.values() for count in told}, key=int)
        rows = [["(i) KB of each idle stream", *(f"{int(count):,} streams" for count in counts)]]
        for name, told in idle.items():
            each = [told.get(count, {}).get("bytes_each") for count in counts]
            rows.append([NAMES.get(name, name), *("" if one is None else number(one / 1024) for one in each)])
        parts.append(table(rows))
    if starts:
        rows = [["(j)", "start, s", "memory of all its processes, MB", "largest process, resident, MB"]]
        for name, told in starts.items():
            sizes = [told["memory"] / (1 << 20), told["resident_worker"] / (1 << 20)]
            rows.append([NAMES.get(name, name), number(told["seconds"]), *(number(size) for size in sizes)])
        parts.append(table(rows))
    return "\n\n".join(parts)


def bars(results: Results) -> str:
    """Each bar, what was measured, and whether that is enough."""
    rows = [["lane", "bar", "limit", "measured", "met"]]
    for bar in BARS:
        value = bar.value(results)
        if value is not None:
            limit = f"{'>=' if bar.least else '<='} {bar.limit:g} {bar.unit}" + (
                f", aim {bar.aim:g}" if bar.aim else ""
            )
            met = "yes" if bar.met(value) else "**no**"
            rows.append([f"({bar.lane})", bar.what, limit, f"{number(value)} {bar.unit}", met])
    return table(rows) if rows[1:] else ""


def late(results: Results) -> str:
    """How many tokens were late in each round, and how much of its time the target was ready and got no processor."""
    rows = [["lane", "target", "tokens of a round", "late in each round", "waited for a processor"]]
    for lane, targets in results.items():
        for name, told in targets.items():
            if lane in LANES and any(told.get("late") or []) and name != "direct":
                of = told["rounds"][0]["delay"]["count"]
                shown = [f"{of:,}", " ".join(map(str, told["late"])), f"{100 * told['waited']:.0f} % of the time"]
                rows.append([f"({lane})", NAMES.get(name, name), *shown])
    return table(rows) if rows[1:] else ""


def machine(told: Dict[str, Any]) -> str:
    """The kind of machine and the versions, in one paragraph."""
    versions = ", ".join(f"{name} {value}" for name, value in told["versions"].items() if value)
    load = told.get("load", [0])[0]
    return (
        f"{told['date']}; {told['cores']} cores of a {told['processor']}, {told['system']}; {versions}. "
        f"Load average at the start: {load:.1f}. "
        f"Whole answers were asked by {told['whole_by']}, all others by bench/load.c. "
        f"Medians of {told['rounds']} interleaved rounds, least and most in brackets."
    )


def text(run: Dict[str, Any], plots: Optional[List[str]] = None) -> str:
    """The whole report."""
    results = run["lanes"]
    wrong = faults(results)
    parts = [machine(run["machine"])]
    if wrong:
        parts.append("**These lanes do not count:**\n\n" + "\n".join(f"- {one}" for one in wrong))
    sections = [
        ("CPU time of one operation", costs(results)),
        ("What a client saw", times(results)),
        ("Memory and starts", memory(results)),
        ("Bars", bars(results)),
        ("Tokens that came later than 20 ms (beyond the slowest one without a proxy in the same round)", late(results)),
    ]
    shown = "\n".join(f"![{Path(plot).stem}]({plot})" for plot in plots or [])
    parts += [shown] if shown else []
    parts += [f"### {title}\n\n{body}" for title, body in sections if body]
    return "\n\n".join(parts) + "\n"


def publish(path: Path, report: str) -> None:
    """Put the report between the marks of a page."""
    page = path.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1]), re.S)
    assert pattern.search(page), f"{path} has no marks for results"
    path.write_text(pattern.sub(lambda _: MARKS[0] + "\n" + report + "\n" + MARKS[1], page), encoding="utf-8")
