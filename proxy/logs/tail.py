"""``logs tail``: the newest exchanges, and then each as it ends, over rotation."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Optional

import click

from proxy.archive import Filter
from proxy.archive.files import CLIENT, listing, newest_lines
from proxy.archive.filters import spelled
from proxy.archive.lines import COLUMNS, read_row
from proxy.archive.words import found_in
from proxy.logs.asked import tell_absence, with_filter, with_folder
from proxy.logs.saying import in_one_line, say, value_free_of_controls
from proxy.logs.spelling import to_json

LOOK = 0.2  # seconds between two looks at whether there is more
NAME = "client_interaction.jsonl"


@click.command()
@click.option("--lines", "-n", default=10, show_default=True, type=click.IntRange(0), metavar="N", help="How many to begin with.")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with what comes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_filter
@with_folder
def tail(folder: str, wanted: Filter, lines: int, follow: bool, as_json: bool) -> None:
    """Show the newest exchanges and follow. Colours go away in a pipe and with NO_COLOR."""
    tell_absence(folder)
    journal = Follower(Path(folder))  # opened first, so that nothing falls between what was and what comes
    with journal:
        for row in reversed(list(_newest(Path(folder), wanted, lines, journal.offset))):
            _show(row, as_json)
        while follow:
            for line in journal.lines():
                row = fitting(line, wanted)
                if row is not None:
                    _show(row, as_json)
            time.sleep(LOOK)


def _show(row: Dict[str, Any], as_json: bool) -> None:
    say(value_free_of_controls(to_json(row)) if as_json else in_one_line(row))


def fitting(line: bytes, wanted: Filter) -> Optional[Dict[str, Any]]:
    """The exchange of a client's line, if it is one that is wanted."""
    found = read_row(line, bool(wanted.text))
    if found is None:
        return None
    row = {"logging_id": found.logging_id, "timestamp": spelled(found.at), **dict(zip(COLUMNS, found.columns))}
    if not wanted.fits(row, found.at) or (wanted.text and not found_in(wanted.text, found.text)):
        return None
    return row


def _newest(folder: Path, wanted: Filter, count: int, offset: int) -> Iterator[Dict[str, Any]]:
    """The newest exchanges that fit, newest first, up to ``offset`` of the file of today."""
    files, _ = listing(folder, {})
    for file in files if count else ():
        if file.side != CLIENT:
            continue
        for line in newest_lines(folder, file, offset if file.name == NAME else None):
            row = fitting(line, wanted)
            if row is not None:
                yield row
                count -= 1
                if not count:
                    return


class Follower:
    """The client's journal from its present end on, over rotation, truncation and absence."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError if there is no such folder."""
        os.listdir(str(folder))
        self._folder = folder
        self._path = folder / NAME
        self._file: Optional[IO[bytes]] = self._open()
        self._rest = b""
        self.offset = self._file.seek(0, os.SEEK_END) if self._file else 0

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def lines(self) -> List[bytes]:
        """The lines that have been completed since the last look."""
        found = self._read()
        while self._is_another():
            found += self._read()  # what was written between reading and renaming
            following = self._following()
            self._close()
            self._file, self._rest = following, b""
            if following is None:
                break
            found += self._read()
        return found

    def _read(self) -> List[bytes]:
        if self._file is None:
            return []
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # cut, as copytruncate does
            self._file.seek(0)
            self._rest = b""
        whole, end, rest = (self._rest + self._file.read()).rpartition(b"\n")
        self._rest = rest
        return whole.split(b"\n") if end else []

    def _is_another(self) -> bool:
        try:
            return self._file is None or not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except OSError:  # the next one is not there yet
            return False

    def _following(self) -> Optional[IO[bytes]]:
        """The file that was begun after ours, which may have been put aside since; the present one if ours is gone."""
        stat = os.fstat(self._file.fileno()) if self._file else None
        ours = f"{stat.st_dev}:{stat.st_ino}:" if stat else "none"
        files = [one for one in listing(self._folder, {})[0] if one.side == CLIENT and not one.packed]
        newer = list(takewhile(lambda one: not one.stat.startswith(ours), files))
        if stat and newer and len(newer) < len(files):
            with suppress(OSError):
                return (self._folder / newer[-1].name).open("rb")
        return self._open()

    def _open(self) -> Optional[IO[bytes]]:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
