"""The results as pictures. The only module that needs matplotlib."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Dict, List

from bench.bars import Results, cpu
from bench.lanes import LANES
from bench.report import NAMES

COLOURS = {"nginx": "#8a8f98", "proxy": "#1f6feb", "openai-forward": "#d29922", "litellm": "#cf222e"}


def draw(results: Results, folder: Path, stem: str) -> List[str]:
    """Two pictures, as SVG; the names of the files. None if matplotlib is not there."""
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9})
    import matplotlib.pyplot as plt

    made = []
    for name, picture in (("cpu", _costs), ("delays", _delays)):
        figure, axes = plt.subplots(figsize=(8, 3.4))
        if picture(axes, results):
            path = folder / f"{stem}-{name}.svg"
            figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
            made.append(path.name)
        plt.close(figure)
    return made


def _costs(axes: Any, results: Results) -> bool:
    lanes = [lane for lane in results if lane in LANES and lane != "l" and cpu(results, lane, "nginx")]
    for at, (target, colour) in enumerate(COLOURS.items()):
        shown = [(place, cpu(results, lane, target), cpu(results, lane, "nginx")) for place, lane in enumerate(lanes)]
        found = [(place + (at - 1.5) * 0.2, used / base) for place, used, base in shown if used and base]
        bars = axes.bar([x for x, _ in found], [y for _, y in found], 0.19, color=colour, label=NAMES[target])
        if target != "nginx":
            axes.bar_label(bars, [f"{y:.3g}" for _, y in found], fontsize=5)
    axes.set_yscale("log")
    named = ["\n".join([f"({lane})", *textwrap.wrap(LANES[lane].title, 16)]) for lane in lanes]
    axes.set_xticks(range(len(lanes)), named, fontsize=6)
    axes.set_ylabel("CPU time, times nginx's")
    axes.legend(fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return bool(lanes)


def _delays(axes: Any, results: Results) -> bool:
    told: Dict[str, Any] = results.get("b", {})
    parts = ("p50", "p90", "p99", "p999", "max")
    for target, colour in {"direct": "#000000", **COLOURS}.items():
        rounds = [one["delay"] for one in told.get(target, {}).get("rounds", []) if one.get("delay", {}).get("count")]
        if rounds:
            middle = [sorted(one[part] / 1000 for one in rounds)[len(rounds) // 2] for part in parts]
            axes.plot(parts, middle, marker="o", color=colour, label=NAMES.get(target, "no proxy"))
    if not axes.lines:
        return False
    axes.axhline(20, color="#cccccc", linestyle="--")
    axes.set_yscale("log")
    axes.set_ylabel("(b) delay of a paced token, ms")
    axes.legend(fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return True
