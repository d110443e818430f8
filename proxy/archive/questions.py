"""What can be asked of the index: lists, distributions over time, and sums by group."""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_left
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from proxy.archive.filters import Filter, moment_of, spelled
from proxy.archive.lines import COLUMNS
from proxy.archive.words import expression

# Outcomes that nobody has to look after: it went well, or the client did not want it any more
GOOD = ("complete", "client_abort", "cancelled")
GROUPS = (
    "model",
    "sent_model",
    "answered_model",
    "outcome",
    "status",
    "path",
    "method",
    "client_dialect",
    "provider_dialect",
    "send_mode",
    "return_mode",
    "error_code",
)
NARROWEST = 100_000  # microseconds of a part, where nobody said when the last one ends
AT_ONCE = 2000  # rows
_PLACES = "file0, at0, size0, file1, at1, size1"
Place = Tuple[int, int, int]


def rows(
    db: sqlite3.Connection, wanted: Filter, before: Optional[str], limit: int, among: Optional[Sequence[int]] = None
) -> List[Dict[str, Any]]:
    """Exchanges, newest first; ``before`` is the logging_id (or the time) of the last one already seen."""
    where, values = _where(wanted, among)
    if before:
        at, one = _cursor(db, before)
        where, values = f"({where}) AND (at < ? OR (at = ? AND id < ?))", [*values, at, at, one]
    inner = f"SELECT id FROM exchanges INDEXED BY shelf WHERE {where} ORDER BY at DESC, id DESC LIMIT ?"
    question = (
        f"SELECT logging_id, at, {', '.join(COLUMNS)} FROM exchanges WHERE id IN ({inner}) ORDER BY at DESC, id DESC"
    )
    return [_row(found) for found in db.execute(question, [*values, limit])]


def news(db: sqlite3.Connection, after: Optional[int], limit: int) -> Tuple[List[Dict[str, Any]], int]:
    """What was taken in after a mark, the latest first, the newest ``limit`` of it; and the mark for the next time."""
    last = int(db.execute("SELECT ifnull(max(id), 0) FROM exchanges").fetchone()[0])
    if after is None or last < after:  # the index is another than it was
        return [], last
    question = f"SELECT logging_id, at, {', '.join(COLUMNS)} FROM exchanges WHERE id > ? ORDER BY id DESC LIMIT ?"
    return [_row(found) for found in db.execute(question, (after, limit))], last


def places(db: sqlite3.Connection, logging_id: str) -> Optional[Tuple[Optional[Place], Optional[Place]]]:
    """Where the two lines of an exchange are: file, offset, size; None for one that is not there."""
    found = db.execute(f"SELECT {_PLACES} FROM exchanges WHERE logging_id = ?", (logging_id,)).fetchone()
    return (_place(found[:3]), _place(found[3:])) if found else None


def name_of(db: sqlite3.Connection, file: int) -> str:
    """What a file is called by now; empty if it is gone."""
    found = db.execute("SELECT name FROM files WHERE id = ?", (file,)).fetchone()
    return str(found[0]) if found else ""


def all_places(db: sqlite3.Connection, wanted: Filter, side: int, among: Optional[Sequence[int]] = None) -> List[Place]:
    """Where each line of one side is: file by file, the oldest first, in the order of their lines."""
    where, values = _where(wanted, among)
    columns = f"file{side}, at{side}, size{side}, at"
    found = db.execute(f"SELECT {columns} FROM exchanges WHERE ({where}) AND file{side} >= 0", values)
    rows = found.fetchall()
    began: Dict[int, int] = {}
    for row in rows:
        began[row[0]] = min(began.get(row[0], row[3]), row[3])
    rows.sort(key=lambda row: (began[row[0]], row[0], row[1]))
    return [row[:3] for row in rows]


def beginning_with(db: sqlite3.Connection, prefix: str, limit: int) -> List[str]:
    """The logging_ids that begin so."""
    question = "SELECT logging_id FROM exchanges WHERE logging_id >= ? AND logging_id < ? ORDER BY logging_id LIMIT ?"
    return [found[0] for found in db.execute(question, (prefix, prefix + "\U0010ffff", limit))]


def histogram(
    db: sqlite3.Connection, wanted: Filter, buckets: int, among: Optional[Sequence[int]] = None
) -> Dict[str, Any]:
    """The same exchanges parted by time of arrival into so many equal parts."""
    where, values = _where(wanted, among)
    columns = f"at, ifnull(outcome, '') IN ({_quoted(GOOD)}), duration_ms, ttft_ms"
    found = db.execute(f"SELECT {columns} FROM exchanges INDEXED BY shelf WHERE {where} ORDER BY at", values).fetchall()
    if not found and (wanted.since is None or wanted.until is None):
        return {"from": None, "to": None, "buckets": []}
    times, good, durations, firsts = _columns(found, 4)
    first = wanted.since if wanted.since is not None else times[0]
    last = wanted.until if wanted.until is not None else times[-1] + 1
    width = max(1 if wanted.until is not None else NARROWEST, -(-(last - first) // buckets))
    cuts = [bisect_left(times, first + number * width) for number in range(buckets + 1)]
    told = [
        {"at": spelled(first + number * width), **_bucket(good[start:end], durations[start:end], firsts[start:end])}
        for number, (start, end) in enumerate(zip(cuts, cuts[1:]))
    ]
    return {"from": spelled(first), "to": spelled(first + width * buckets), "buckets": told}


def stats(
    db: sqlite3.Connection, wanted: Filter, by: Sequence[str], among: Optional[Sequence[int]] = None
) -> List[Dict[str, Any]]:
    """One row a group, the largest first. Raises ValueError for a group that there is not."""
    for name in by:
        if name not in GROUPS:
            raise ValueError(f"by must be among {', '.join(GROUPS)}, not {name!r}")
    where, values = _where(wanted, among)
    columns = ", ".join(
        [*by, f"ifnull(outcome, '') IN ({_quoted(GOOD)})", "duration_ms", "ttft_ms", "tokens_in", "tokens_out"]
    )
    groups: Dict[Tuple[Any, ...], List[Tuple[Any, ...]]] = {}
    for row in db.execute(f"SELECT {columns} FROM exchanges WHERE {where}", values):
        groups.setdefault(row[: len(by)], []).append(row[len(by) :])
    made = [{**dict(zip(by, key)), **_summary(group)} for key, group in groups.items()]
    return sorted(made, key=lambda one: (-one["n"], [str(one[name]) for name in by]))


def percentile(ordered: Sequence[float], percent: float) -> Optional[float]:
    """The value that ``percent`` of all are at most: one that occurred (nearest rank); None of nothing."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _where(wanted: Filter, among: Optional[Sequence[int]]) -> Tuple[str, List[Any]]:
    """The condition; ``among``: ids found by reading, where there is no index of words."""
    where, values = wanted.where()
    if among is not None:
        return f"({where}) AND id IN ({','.join(map(str, map(int, among)))})", values
    if wanted.text:
        words = expression(wanted.text)
        told = "id IN (SELECT rowid FROM words WHERE words MATCH ?)" if words else "0"
        return f"({where}) AND {told}", [*values, words] if words else values
    return where, values


def _cursor(db: sqlite3.Connection, before: str) -> Tuple[int, int]:
    found = db.execute("SELECT at, id FROM exchanges WHERE logging_id = ?", (before,)).fetchone()
    if found:
        return int(found[0]), int(found[1])
    try:
        return moment_of(before), 0
    except ValueError:
        raise ValueError(f"before must be a logging_id or a time, not {before[:40]!r}") from None


def _row(found: Sequence[Any]) -> Dict[str, Any]:
    return {"logging_id": found[0], "timestamp": spelled(found[1]), **dict(zip(COLUMNS, found[2:]))}


def _place(found: Sequence[Any]) -> Optional[Place]:
    return None if found[0] is None else (int(found[0]), int(found[1]), int(found[2]))


def _bucket(good: Sequence[int], durations: Sequence[Any], firsts: Sequence[Any]) -> Dict[str, Any]:
    told: Dict[str, Any] = {"n": len(good), "errors": len(good) - sum(good)}
    return {**told, **_percentiles(durations, firsts, (50, 95))}


def _summary(group: List[Tuple[Any, ...]]) -> Dict[str, Any]:
    good, durations, firsts, asked, answered = _columns(group, 5)
    told: Dict[str, Any] = {"n": len(group), "errors": len(group) - sum(good)}
    told.update(tokens_in=_sum(asked), tokens_out=_sum(answered))
    return {**told, **_percentiles(durations, firsts, (50, 90, 95, 99))}


def _columns(rows: Sequence[Sequence[Any]], count: int) -> List[List[Any]]:
    """The columns of some rows; of very many a few at a time, as others must wait for each single step of this."""
    columns: List[List[Any]] = [[] for _ in range(count)]
    for start in range(0, len(rows), AT_ONCE):
        for column, part in zip(columns, zip(*rows[start : start + AT_ONCE])):
            column.extend(part)
    return columns


def _percentiles(durations: Iterable[Any], firsts: Iterable[Any], which: Sequence[int]) -> Dict[str, Any]:
    told: Dict[str, Any] = {}
    for prefix, values in (("", durations), ("ttft_", firsts)):
        ordered = sorted(value for value in values if value is not None)
        told.update((f"{prefix}p{percent}_ms", percentile(ordered, percent)) for percent in which)
    return told


def _quoted(names: Sequence[str]) -> str:
    return ",".join(f"'{name}'" for name in names)


def _sum(values: Iterable[Any]) -> Optional[int]:
    """The sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
