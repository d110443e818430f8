"""``logs export``: exchanges in the formats of other programs."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from typing import IO, Any, Counter as Counts, Iterable, Iterator

import click

from proxy.archive import Filter
from proxy.logs.asked import opened, progress, with_filter, with_folder
from proxy.logs.forms import FORMS
from proxy.logs.saying import shown


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    required=True,
    help="finetuning: OpenAI's fine-tuning JSONL; sharegpt: conversations as JSONL; csv: a row an exchange, without "
    "what was said; har: an HTTP archive.",
)
@click.option("--output", "-o", default="-", metavar="FILE", help="Where to. [default: standard output]")
@with_filter
@with_folder
def export(folder: str, wanted: Filter, form: str, output: str) -> None:
    """Export exchanges, the oldest first.

    As examples (finetuning, sharegpt) go chats that are complete, tools included; how many were left out, and why, is
    said on standard error.
    """
    total, lines = opened(folder).each(wanted)
    left: Counts[str] = Counter()
    with ExitStack() as stack:
        bar = stack.enter_context(progress(total, "Exporting"))
        out: IO[Any] = stack.enter_context(click.open_file(output, "w", encoding="utf-8", atomic=_is_file(output)))
        for piece in FORMS[form](_counted(lines, bar), lambda why: left.update([why])):
            out.write(shown(piece) if output == "-" else piece)
    told = f"{total - sum(left.values())} of {total} exchanges exported"
    why = ", ".join(f"{number} {reason}" for reason, number in left.most_common())
    click.echo(told + (f"; left out: {why}" if why else ""), err=True)


def _is_file(output: str) -> bool:
    """Whether this is, or will be, a plain file, which a whole export takes the place of; no device, pipe or link."""
    return output != "-" and (not os.path.lexists(output) or (os.path.isfile(output) and not os.path.islink(output)))


def _counted(lines: Iterable[bytes], bar: Any) -> Iterator[bytes]:
    for line in lines:
        yield line
        bar.update(1)
