"""The index: a SQLite file beside the journals that can be thrown away at any time, as it is made from them."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import weakref
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Iterator, Optional

from proxy.archive.lines import NUMBERS, TEXTS

NAME = ".index.sqlite"
SCHEMA = 1  # of another number: made anew
PATIENCE = 5.0  # seconds that a reader waits for another process that is just making the index

_COLUMNS = ", ".join([*(f"{name} TEXT" for name in TEXTS), *(f"{name} NUMERIC" for name in NUMBERS)])
# The columns that one may filter and draw by, so that neither has to read whole rows.
SHELF = "at, outcome, status, model, sent_model, answered_model, path, duration_ms, ttft_ms"
_TABLES = (
    "CREATE TABLE files (id INTEGER PRIMARY KEY, side INTEGER NOT NULL, mark TEXT NOT NULL, name TEXT NOT NULL, "
    "stat TEXT NOT NULL, packed INTEGER NOT NULL, offset INTEGER NOT NULL, strange INTEGER NOT NULL, "
    "UNIQUE (side, mark))",
    "CREATE TABLE exchanges (id INTEGER PRIMARY KEY AUTOINCREMENT, logging_id TEXT NOT NULL UNIQUE, "
    f"at INTEGER NOT NULL, {_COLUMNS}, "
    "file0 INTEGER, at0 INTEGER, size0 INTEGER, file1 INTEGER, at1 INTEGER, size1 INTEGER)",
    f"CREATE INDEX shelf ON exchanges ({SHELF})",
)
# Before SQLite 3.43 words without their text cannot be removed: they stay, and lead nowhere
_WORDS = (
    "CREATE VIRTUAL TABLE words USING fts5 (text, content='', contentless_delete=1)",
    "CREATE VIRTUAL TABLE words USING fts5 (text, content='')",
)


class UnusableError(sqlite3.DatabaseError):
    """The index is broken, or of another version: it has to be made anew."""


class Index:
    """Connections to the index of a folder; each is used by one thread and then closed.

    Where the folder cannot be written, the index is a file in a temporary folder that ends with this object.
    ``words``: whether to make one for full text, if SQLite can.
    """

    def __init__(self, folder: Path, words: bool = True) -> None:
        self.path = folder / NAME
        self._words = words

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection. Raises UnusableError, once the index is gone, if it was broken or of another version."""
        with self._trusted(), closing(self._connect()) as connection:
            yield connection

    @contextmanager
    def _trusted(self) -> Iterator[None]:
        try:
            yield
        except UnusableError:
            self.discard()
            raise
        except sqlite3.DatabaseError as exc:
            if not _is_broken(exc):
                raise
            self.discard()
            raise UnusableError(str(exc)) from exc

    def discard(self) -> None:
        """Remove the index."""
        for ending in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                os.remove(f"{self.path}{ending}")

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._made()
        except (sqlite3.OperationalError, OSError) as exc:
            if (
                isinstance(exc, sqlite3.OperationalError)
                and "unable to open" not in str(exc)
                and "readonly" not in str(exc)
            ):
                raise
            self._move_away()
            return self._made()

    def _move_away(self) -> None:
        folder = tempfile.mkdtemp(prefix="openai-forward-")
        weakref.finalize(self, rmtree, folder, ignore_errors=True)
        self.path = Path(folder) / NAME

    def _made(self) -> sqlite3.Connection:
        self._create()
        connection = sqlite3.connect(str(self.path), timeout=PATIENCE, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """Make the file ours alone, for SQLite would make it readable for others; its other files take that from it.

        It is never opened under its name: closing it would take away the locks that other threads have on it, whatever
        descriptor they are held by, and with them what keeps processes apart (sqlite.org/howtocorrupt.html, 2.2).
        """
        if self.path.exists():
            return
        number, made = tempfile.mkstemp(prefix=NAME, dir=str(self.path.parent))
        os.close(number)
        try:
            with suppress(FileExistsError):  # somebody was quicker
                os.link(made, str(self.path))
        finally:
            os.remove(made)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -16000")
        with suppress(sqlite3.OperationalError):  # others are just making it; then it is one of them who does this
            connection.execute("PRAGMA journal_mode = WAL")
        if _version(connection) == SCHEMA:
            return
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            version = _version(connection)
            if version == SCHEMA:  # somebody was quicker
                return
            if version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise UnusableError(f"an index of version {version}")
            for table in _TABLES:
                connection.execute(table)
            for table in _WORDS if self._words else ():
                with suppress(sqlite3.OperationalError):  # an old SQLite, or one without full text search
                    connection.execute(table)
                    break
            connection.execute(f"PRAGMA user_version = {SCHEMA}")


def has_words(connection: sqlite3.Connection) -> bool:
    """Whether the index has full text."""
    return _words_table(connection) is not None


def can_forget_words(connection: sqlite3.Connection) -> bool:
    """Whether words can be removed from the full text."""
    return "contentless_delete" in (_words_table(connection) or "")


def _words_table(connection: sqlite3.Connection) -> Optional[str]:
    found = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'words'").fetchone()
    return str(found[0]) if found else None


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _is_broken(exc: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault, and not what was asked or a lock."""
    if isinstance(
        exc, (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)
    ):
        return False
    told = str(exc)
    signs = ("malformed", "not a database", "no such table", "no such column", "disk I/O error", "corrupt", "vtable")
    return type(exc) is sqlite3.DatabaseError or any(sign in told for sign in signs)
