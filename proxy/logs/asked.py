"""What all commands are asked in the same words: the folder, a filter; and the archive made ready for them."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import Any, Callable, List, Tuple, TypeVar

import click

import config
from proxy.archive import Archive, Filter
from proxy.archive.filters import NAMES

F = TypeVar("F", bound=Callable[..., Any])
TURN, PAUSE = 0.2, 0.02
LONG = 4 << 20  # bytes to take in that deserve a progress bar

_METAVARS = {"since": "TIME", "until": "TIME", "model": "NAME", "text": "WORDS"}
_HELP = {
    "outcome": "Outcomes, parted by commas; !complete: all but that.",
    "status": "What the client was shown: 404, 4xx, 400-499 or >=400, parted by commas.",
    "model": "A model as asked, as sent or as answered; * matches anything.",
    "path": "A path; * matches anything.",
    "text": 'Words in asks and answers, their beginnings, or "a phrase".',
    "since": "Not before a UTC time (2026-02-15T14:22:35), or an age (15m, 2h, 7d).",
    "until": "Before such a time.",
}


def with_folder(command: F) -> F:
    """Options that name the folder; the command gets ``folder``."""

    @functools.wraps(command)
    def found(output_path: str, config_file: str, **more: Any) -> Any:
        flags = [("--output_path", output_path), ("--config", config_file)]
        words = [word for flag, value in flags if value for word in (flag, value)]
        return command(folder=config.load(words, serving=False).output_path, **more)

    for names, metavar, told in (
        (("--config", "config_file"), "PATH", "TOML file of settings, which may name the folder."),
        (("--output_path",), "FOLDER", "Folder of the journals. [default: as the proxy's]"),
    ):
        found = click.option(*names, metavar=metavar, help=told)(found)
    return found  # type: ignore[return-value]


def with_filter(command: F) -> F:
    """Options that say which exchanges; the command gets ``wanted``."""

    @functools.wraps(command)
    def found(**given: Any) -> Any:
        told = {name: given.pop(name) for name in NAMES}
        try:
            wanted = Filter.read(told)
        except ValueError as exc:
            raise click.UsageError(str(exc)) from None
        return command(wanted=wanted, **given)

    for name in reversed(NAMES):
        found = click.option(f"--{name}", metavar=_METAVARS.get(name, name.upper()), help=_HELP[name])(found)
    return found  # type: ignore[return-value]


def tell_absence(folder: str) -> None:
    """Who looks into a folder without journals may have meant another."""
    if Path(folder).is_dir() and not any(Path(folder).glob("*_interaction.jsonl*")):
        click.echo(f"There are no journals in {Path(folder).absolute()} so far; --output_path names another folder.", err=True)


def opened(folder: str) -> Archive:
    """The archive with everything taken in; what takes long shows how far it is."""
    tell_absence(folder)
    archive = Archive(folder)
    left = archive.left()
    if left < LONG:
        while not archive.refresh():
            time.sleep(PAUSE)
        return archive
    with progress(left, "Reading the journals") as bar:
        while not archive.refresh(budget_s=TURN):
            now = archive.left()
            bar.update(left - now)
            left = now
            time.sleep(PAUSE)
    return archive


def progress(length: int, label: str) -> Any:
    """A progress bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        return Unseen()
    steps = max(1, length // 200)
    return click.progressbar(length=length, label=label, file=sys.stderr, update_min_steps=steps)


class Unseen:
    """A progress bar that nobody sees: before click 8.2 one cannot be hidden."""

    def __enter__(self) -> Unseen:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, steps: int) -> None:
        """Nothing to show."""


def table(heads: List[str], rows: List[List[str]], left: int) -> str:
    """Aligned columns; the first ``left`` of them to the left, the rest, which are numbers, to the right."""
    wide = [max(map(len, column)) for column in zip(heads, *rows)]
    lines = [_line(cells, wide, left) for cells in (heads, ["-" * width for width in wide], *rows)]
    return "\n".join(lines)


def _line(cells: List[str], wide: List[int], left: int) -> str:
    put: List[Tuple[str, int, bool]] = [(cell, width, at < left) for at, (cell, width) in enumerate(zip(cells, wide))]
    return "  ".join(cell.ljust(width) if first else cell.rjust(width) for cell, width, first in put).rstrip()
