"""The archive: the journals read again, joined by ``logging_id`` and searchable. It never writes to them.

Everything here blocks: under gevent call it through ``aside``.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from itertools import groupby
from pathlib import Path
from time import monotonic
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar, Union

from proxy.archive import questions
from proxy.archive.files import Reader, line_at, read_lines
from proxy.archive.filters import Filter
from proxy.archive.index import Index, UnusableError, has_words
from proxy.archive.intake import BusyError, Intake
from proxy.archive.lines import id_of, read_line
from proxy.archive.words import found_in, text_of

__all__ = ["Archive", "Filter"]

T = TypeVar("T")
SIDES = ("client", "provider")
Lines = Dict[str, Optional[bytes]]
# Where SQLite has no full text search: the newest so many exchanges are read, for so many seconds at most.
SCANNED, SCAN_SECONDS = 5_000, 2.0
TRIES = 3


class Archive:
    """The journals of one folder. Any number of processes may have one of the same folder.

    ``words=False`` makes an index without full text; texts are then looked for in the newest exchanges only.
    """

    def __init__(self, folder: Union[str, Path], *, words: bool = True) -> None:
        self.folder = Path(folder)
        self._index = Index(self.folder, words)
        self._kept: Dict[str, Reader] = {}

    def refresh(self, *, budget_s: Optional[float] = None) -> bool:
        """Take in what is new, for ``budget_s`` seconds at most; True if nothing is left to take in.

        False at once if another process is doing it. Raises OSError if the folder cannot be read, or the disk is full.
        """
        try:
            return self._ask(lambda db: Intake(self.folder, db, self._kept).run(budget_s))
        except BusyError:
            return False

    def close(self) -> None:
        """Close what is open between two refreshes."""
        while self._kept:
            self._kept.popitem()[1].close()

    def left(self) -> int:
        """About how many bytes of the journals are not yet in the index."""
        return self._ask(lambda db: Intake(self.folder, db).left())

    def rows(self, wanted: Filter, *, before: Optional[str] = None, limit: int = 100) -> List[Dict[str, Any]]:
        """The newest exchanges that fit, a mapping each.

        ``before``: the logging_id of the last one already seen, or a time. Raises ValueError if it is neither.
        """
        return self._ask(lambda db: questions.rows(db, wanted, before, limit, self._among(db, wanted)))

    def news(self, after: Optional[int], limit: int) -> Tuple[List[Dict[str, Any]], int]:
        """The rows taken in since a mark (None: no rows, only the mark), and the mark for the next time."""
        return self._ask(lambda db: questions.news(db, after, limit))

    def histogram(self, wanted: Filter, *, buckets: int = 60) -> Dict[str, Any]:
        """Numbers, errors and percentiles of the exchanges that fit, over time."""
        return self._ask(lambda db: questions.histogram(db, wanted, buckets, self._among(db, wanted)))

    def stats(self, wanted: Filter, by: Sequence[str] = ("model", "outcome")) -> List[Dict[str, Any]]:
        """Numbers, tokens and percentiles of the exchanges that fit, by group. Raises ValueError."""
        return self._ask(lambda db: questions.stats(db, wanted, by, self._among(db, wanted)))

    def one(self, logging_id: str) -> Optional[Dict[str, Optional[Dict[str, Any]]]]:
        """Both lines of an exchange from the files: ``client`` and ``provider``, None for a line that is not there."""
        found = self.raw(logging_id)
        return None if found is None else {side: read_line(line) if line else None for side, line in found.items()}

    def raw(self, logging_id: str) -> Optional[Lines]:
        """The same as the bytes of sound JSON."""
        for _ in range(TRIES):
            try:
                return self._ask(lambda db: self._lines(db, logging_id))
            except (OSError, ValueError):  # rotated, compressed or removed since the index was made
                self.refresh()
        return None

    def each(self, wanted: Filter, side: str = "client") -> Tuple[int, Iterator[bytes]]:
        """How many exchanges fit, and one line of each, oldest file first; the files are read from front to back.

        Lines that vanish meanwhile are left out. Raises OSError.
        """
        number = SIDES.index(side)
        places = self._ask(lambda db: questions.all_places(db, wanted, number, self._among(db, wanted)))
        return len(places), self._read(places)

    def _read(self, places: List[questions.Place]) -> Iterator[bytes]:
        for file, group in groupby(places, key=lambda place: place[0]):
            name = self._ask(partial(questions.name_of, file=file))
            if name:
                yield from read_lines(self.folder, name, [place[1:] for place in group])

    def beginning_with(self, prefix: str, limit: int = 10) -> List[str]:
        """The logging_ids that begin so, at most ``limit``."""
        return self._ask(lambda db: questions.beginning_with(db, prefix, limit))

    def _lines(self, db: sqlite3.Connection, logging_id: str) -> Optional[Lines]:
        found = questions.places(db, logging_id)
        if found is None:
            return None
        return {side: self._line(db, place, logging_id) for side, place in zip(SIDES, found)}

    def _line(self, db: sqlite3.Connection, place: Optional[questions.Place], logging_id: str) -> Optional[bytes]:
        if place is None:
            return None
        file, offset, size = place
        name = questions.name_of(db, file)
        line = line_at(self.folder, name, offset, size) if name else b""
        if id_of(line) != logging_id:
            raise ValueError("its file is gone, or another line is there now")
        return line

    def _among(self, db: sqlite3.Connection, wanted: Filter) -> Optional[List[int]]:
        """The ids of what has the text, found by reading; None where SQLite finds it."""
        if not wanted.text or has_words(db):
            return None
        where, values = wanted.where()
        question = (
            f"SELECT id, logging_id FROM exchanges INDEXED BY shelf WHERE {where} ORDER BY at DESC LIMIT {SCANNED}"
        )
        end = monotonic() + SCAN_SECONDS
        return [
            one
            for one, logging_id in db.execute(question, values)
            if monotonic() < end and self._says(db, logging_id, wanted.text)
        ]

    def _says(self, db: sqlite3.Connection, logging_id: str, text: str) -> bool:
        try:
            lines = self._lines(db, logging_id) or {}
        except (OSError, ValueError):
            return False
        line = read_line(lines.get("client") or b"{}")
        return found_in(text, text_of(line.get("input"), line.get("output"), (line.get("error") or {}).get("message")))

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the index; if it turns out to be broken it is made anew, and asked again."""
        for number in range(TRIES):
            try:
                with self._index.reading() as db:
                    return question(db)
            except UnusableError:
                if number == TRIES - 1:
                    raise
        raise AssertionError("not reached")
