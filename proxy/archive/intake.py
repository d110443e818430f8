"""Taking in what is new in the journals: a few lines a transaction, by one process at a time, from where it stopped."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from proxy.archive.files import CLIENT, Found, Reader, listing, unpacked_size
from proxy.archive.index import NAME, UnusableError, can_forget_words, has_words
from proxy.archive.lines import COLUMNS, id_of, read_row

# Bytes of lines a transaction: small ones let others run in between, large ones are quicker
SMALL, LARGE = 65_536, 1 << 20
_NO_ROOM = ("disk is full", "disk I/O error")  # while writing, a limit or a quota is told as the latter
LITTER = 20_000  # ids whose words lead nowhere that are always borne

_INSERT = "INSERT INTO exchanges (id, logging_id, at, {columns}, file{side}, at{side}, size{side}) VALUES ({marks})"
_JOIN = "UPDATE exchanges SET file{side} = ?, at{side} = ?, size{side} = ? WHERE id = ?"
_PLACE = "INSERT INTO files (side, mark, name, stat, packed, offset, strange) VALUES (?, ?, ?, '', ?, 0, 0)"


class Known(NamedTuple):
    """A file as the index has it; ``stat`` is empty while there is more to take in."""

    id: int
    side: int
    mark: str
    name: str
    stat: str
    packed: int
    offset: int
    strange: int


class BusyError(Exception):
    """Another process or thread is taking in."""


class Intake:
    """What one refresh does with one connection."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, kept: Optional[Dict[str, Reader]] = None) -> None:
        """``kept``: compressed files that are open where the last refresh stopped, as finding a place there is slow."""
        self._folder = folder
        self._kept = {} if kept is None else kept
        self._db = connection
        known = [Known(*row) for row in connection.execute("SELECT * FROM files")]
        looked = {(one.name, one.stat): (one.mark, bool(one.packed)) for one in known if one.stat}
        found, self._certain = listing(folder, looked)
        self._known: Dict[Tuple[int, str], Known] = {(one.side, one.mark): one for one in known}
        here = {(one.side, one.mark) for one in found}
        self._gone = [one for key, one in self._known.items() if key not in here] if self._certain else []
        self._changed = [one for one in found if not self._is_taken(one)]

    def _is_taken(self, found: Found) -> bool:
        known = self._known.get((found.side, found.mark))
        return known is not None and (known.name, known.stat) == (found.name, found.stat)

    def left(self) -> int:
        """How many bytes there are to take in."""
        return sum(max(0, unpacked_size(self._folder, one) - self._offset(one)) for one in self._changed)

    def _offset(self, found: Found) -> int:
        known = self._known.get((found.side, found.mark))
        return known.offset if known else 0

    def run(self, budget: Optional[float]) -> bool:
        """Take in for ``budget`` seconds; True if nothing is left. Raises BusyError if somebody else is at it."""
        end = None if budget is None else monotonic() + budget
        for known in self._gone:
            self._forget(known)
        return all(self._take(found, end) for found in self._changed) and self._certain

    def _take(self, found: Found, end: Optional[float]) -> bool:
        known = self._placed(found)
        try:
            reader = self._opened(found, known.offset)
        except OSError:  # it was moved at this very moment
            return False
        with ExitStack() as stack:
            stack.callback(reader.close)
            for more in self._batches(known, found, reader, LARGE if end is None else SMALL):
                if more and end is not None and monotonic() >= end:
                    if found.packed:
                        self._kept[found.mark] = reader
                        stack.pop_all()
                    return False
        return True

    def _opened(self, found: Found, offset: int) -> Reader:
        kept = self._kept.pop(found.mark, None)
        if kept is not None:
            if (kept.found, kept.offset) == (found, offset):
                return kept
            kept.close()
        return Reader(self._folder, found, offset)

    def _placed(self, found: Found) -> Known:
        """The file's row; one that has become shorter is read again from its beginning."""
        with Turn(self._db):
            known = self._row(found)
            if known is None:
                self._db.execute(_PLACE, (found.side, found.mark, found.name, int(found.packed)))
            elif not found.packed and found.size < known.offset:
                self._check_shorter(found, known)
                self._unlink(known)
                self._db.execute("UPDATE files SET offset = 0 WHERE id = ?", (known.id,))
            placed = self._row(found)
            assert placed is not None  # noqa: S101 - it was just written
            self._db.execute(
                "UPDATE files SET name = ?, stat = '', packed = ? WHERE id = ?",
                (found.name, int(found.packed), placed.id),
            )
            return placed

    def _check_shorter(self, found: Found, known: Known) -> None:
        """Raise BusyError unless a file is shorter than what was taken in: it may have grown since it was looked at."""
        now = [one.size for one in listing(self._folder, {})[0] if (one.side, one.mark) == (found.side, found.mark)]
        if not now or now[0] >= known.offset:
            raise BusyError

    def _row(self, found: Found) -> Optional[Known]:
        row = self._db.execute("SELECT * FROM files WHERE side = ? AND mark = ?", (found.side, found.mark)).fetchone()
        return Known(*row) if row else None

    def _batches(self, known: Known, found: Found, reader: Reader, size: int) -> Iterator[bool]:
        """Take in batch by batch; each says whether there may be more. Ends early where somebody else went ahead."""
        words = found.side == CLIENT and has_words(self._db)
        while True:
            start = reader.offset
            data = reader.lines(size)
            with Turn(self._db):
                row = self._row(found)
                if row is None or row.offset != start:
                    raise BusyError
                if not data:
                    self._db.execute("UPDATE files SET stat = ? WHERE id = ?", (found.stat, known.id))
                    return
                strange = Batch(self._db, known, words).add(data, start)
                place = (reader.offset, strange, known.id)
                self._db.execute("UPDATE files SET offset = ?, strange = strange + ? WHERE id = ?", place)
            yield True

    def _forget(self, known: Known) -> None:
        with Turn(self._db):
            self._unlink(known)
            self._db.execute("DELETE FROM files WHERE id = ?", (known.id,))
            if self._is_littered():
                raise UnusableError("more words lead nowhere than somewhere")

    def _is_littered(self) -> bool:
        """Whether it is time to make the index anew, as words that cannot be removed have gathered in it."""
        if not has_words(self._db) or can_forget_words(self._db):
            return False
        kept = int(self._db.execute("SELECT count(*) FROM exchanges").fetchone()[0])
        return next_id(self._db) > 2 * kept + LITTER

    def _unlink(self, known: Known) -> None:
        """Take a file's lines out; an exchange without any line is over."""
        own, other = known.side, 1 - known.side
        if own == CLIENT and can_forget_words(self._db):  # the words are the client's line's
            told = "SELECT id FROM exchanges WHERE file0 = ?"
            self._db.execute(f"DELETE FROM words WHERE rowid IN ({told})", (known.id,))
        self._db.execute(f"DELETE FROM exchanges WHERE file{own} = ? AND file{other} IS NULL", (known.id,))
        self._db.execute(
            f"UPDATE exchanges SET file{own} = NULL, at{own} = NULL, size{own} = NULL WHERE file{own} = ?", (known.id,)
        )


class Turn:
    """One transaction that writes; BusyError instead of waiting for another, OSError where the disk takes nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def __enter__(self) -> None:
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            raise BusyError from exc

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
                return
        except sqlite3.OperationalError as exc:
            error = exc
        with suppress(sqlite3.Error):  # SQLite itself may have ended it
            self._db.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError) and any(sign in str(error) for sign in _NO_ROOM):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), NAME) from error
        if kind is None:
            raise error


class Batch:
    """Some lines of one file on their way into the index."""

    def __init__(self, connection: sqlite3.Connection, file: Known, words: bool) -> None:
        self._db = connection
        self._file = file
        self._words = words

    def add(self, data: bytes, start: int) -> int:
        """Add the lines of ``data``, which begins at offset ``start``; returns how many are no exchanges of ours."""
        lines: Dict[str, Tuple[bytes, int]] = {}
        strange = 0
        for line in data.split(b"\n")[:-1]:
            logging_id = id_of(line)
            if logging_id is not None:
                lines[logging_id] = (line, start)
            elif line.strip():
                strange += 1
            start += len(line) + 1
        self._store(lines)
        return strange

    def _store(self, lines: Dict[str, Tuple[bytes, int]]) -> None:
        """A line whose exchange the other file has told already adds its place, and the client's its words."""
        there = self._there(list(lines))
        new = next_id(self._db)
        joined: List[Tuple[Any, ...]] = []
        made: List[Tuple[Any, ...]] = []
        said: List[Tuple[int, str]] = []
        for logging_id, (line, at) in lines.items():
            place = (self._file.id, at, len(line))
            one, has_client = there.get(logging_id, (new, None))
            row = read_row(line, self._words) if one == new or (self._words and has_client is None) else None
            if one == new and row is not None:
                made.append((one, logging_id, row.at, *row.columns, *place))
                new += 1
            else:
                joined.append((*place, one))
            if row is not None and row.text and has_client is None:
                said.append((one, row.text))
        side = self._file.side
        marks = ",".join("?" * (len(COLUMNS) + 6))
        self._db.executemany(_INSERT.format(columns=", ".join(COLUMNS), side=side, marks=marks), made)
        self._db.executemany(_JOIN.format(side=side), joined)
        self._db.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", said) if said else None

    def _there(self, ids: List[str]) -> Dict[str, Tuple[int, Optional[int]]]:
        found: Dict[str, Tuple[int, Optional[int]]] = {}
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            question = f"SELECT logging_id, id, file0 FROM exchanges WHERE logging_id IN ({','.join('?' * len(some))})"
            found.update((row[0], (row[1], row[2])) for row in self._db.execute(question, some))
        return found


def next_id(connection: sqlite3.Connection) -> int:
    """Ids are never used twice, for the words of an exchange that is gone may stay under its id."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'exchanges'").fetchone()
    return int(row[0]) + 1 if row else 1
