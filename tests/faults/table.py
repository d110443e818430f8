"""The matrix as README and docs/FAULTS.md show it, from what a run counted."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable

from proxy_process import ROOT

from faults.hosted import REFUSALS
from faults.row import Row, wanted

README, DOCS = ROOT / "README.md", ROOT / "docs" / "FAULTS.md"
BEGIN, END = "<!-- faults: made by `make faults` -->\n", "<!-- end of faults -->\n"


def summary(rows: list[Row], survived: dict[str, int], transports: int) -> str:
    """How many rows there are of each group, how often they were played, and how often all was as it must be."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    lines = [
        f"| {group} | {len(its)} | {len(its) * transports} | {sum(survived[row.title] for row in its)} |"
        for group, its in groups.items()
    ]
    together = f"| **together** | **{len(rows)}** | **{len(rows) * transports}** | **{sum(survived.values())}** |"
    return "\n".join(
        ["| what goes wrong | rows | faults | survived |", "| --- | --- | --- | --- |", *lines, together, ""]
    )


def every(rows: Iterable[Row]) -> str:
    """All rows with what comes of them, and all that the host refuses."""
    lines = ["# The fault matrix", "", "Made by `make faults`; README tells what is checked of each row.", ""]
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines += ["", f"## {group}", "", "| fault | status | outcome | code |", "| --- | --- | --- | --- |"]
        want = wanted(row)
        assert want, row.title
        lines.append(f"| {cell(row.name)} | {want.status} | {want.outcome} | {want.code or ''} |")
    lines += ["", "## What the HTTP host refuses itself", "", "These reach no journal and no provider.", ""]
    lines += ["| what is said | status |", "| --- | --- |"]
    lines += [f"| {one.name} | {one.status or 'none: it hangs up after `--client_timeout`'} |" for one in REFUSALS]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text that can stand in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[").replace("*", "\\*")


def shown(path: Path) -> str:
    """What stands in README between the two marks, or the whole of another file."""
    text = path.read_text("utf-8") if path.exists() else ""
    return text.partition(BEGIN)[2].partition(END)[0] if path == README else text


def show(path: Path, text: str) -> None:
    """Put it there."""
    if path == README:
        before, _, rest = path.read_text("utf-8").partition(BEGIN)
        text = before + BEGIN + text + END + rest.partition(END)[2]
    path.write_text(text, "utf-8")
