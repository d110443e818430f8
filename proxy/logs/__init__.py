"""The journals from the terminal: ``python -m proxy logs tail|show|stats|export|query``."""

from __future__ import annotations

import sqlite3
import sys
from typing import Sequence

import click

import config
from proxy.logs.export import export
from proxy.logs.query import query
from proxy.logs.saying import nobody_reads
from proxy.logs.show import show
from proxy.logs.stats import stats
from proxy.logs.tail import tail


@click.group(
    context_settings={"token_normalize_func": lambda name: name.replace("-", "_"), "max_content_width": 120},
    help="Read the journals of --output_path (as flag, FORWARD_OUTPUT_PATH or in the file of --config).",
)
def logs() -> None:
    """Read the journals."""


for _command in (tail, show, stats, export, query):
    logs.add_command(_command)


def run(words: Sequence[str]) -> int:
    """Run one of the commands; returns the exit status. Raises click's exceptions for what was asked wrong."""
    if sys.stdout is None:
        raise click.ClickException("standard output is closed")
    try:
        with logs.make_context(f"{config.program()} logs", list(words) or ["--help"]) as context:
            logs.invoke(context)  # not main, which has an opinion of its own on broken pipes
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read has had enough
        nobody_reads()
        return 0
    except (OSError, sqlite3.Error) as exc:
        name = f"{exc.filename}: " if isinstance(exc, OSError) and exc.filename else ""
        raise click.ClickException(f"{name}{getattr(exc, 'strerror', None) or exc}") from exc
