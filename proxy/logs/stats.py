"""``logs stats``: numbers, tokens and percentiles by group."""

from __future__ import annotations

from typing import Any, Dict, List

import click

from proxy.archive import Filter
from proxy.archive.questions import GROUPS
from proxy.logs.asked import opened, table, with_filter, with_folder
from proxy.logs.saying import flat, say
from proxy.logs.spelling import to_json

NUMBERS = (
    ("n", "n"),
    ("errors", "errors"),
    ("tokens_in", "tokens in"),
    ("tokens_out", "out"),
    ("p50_ms", "p50 ms"),
    ("p95_ms", "p95"),
    ("p99_ms", "p99"),
    ("ttft_p50_ms", "first p50 ms"),
    ("ttft_p95_ms", "p95"),
    ("ttft_p99_ms", "p99"),
)


@click.command()
@click.option("--by", metavar="COLUMNS", default="model,outcome", show_default=True, help=f"What a row stands for: {', '.join(GROUPS)}.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all percentiles.")
@with_filter
@with_folder
def stats(folder: str, wanted: Filter, by: str, as_json: bool) -> None:
    """Show numbers, tokens and exact percentiles by model and outcome, or by other columns."""
    names = [name.strip() for name in by.split(",") if name.strip()]
    try:
        groups = opened(folder).stats(wanted, names)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    if as_json:
        for group in groups:
            say(to_json(group))
    elif not groups:
        say("No exchange fits.")
    else:
        say(table([*names, *(head for _, head in NUMBERS)], [_cells(group, names) for group in groups], len(names)))


def _cells(group: Dict[str, Any], names: List[str]) -> List[str]:
    texts = ["-" if group[name] is None else flat(group[name]) for name in names]
    return [*texts, *(_number(group[name]) for name, _ in NUMBERS)]


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,.0f}"
