"""The journals over HTTP, as JSON for the operator's page and for tools: lists, single exchanges, sums."""

from __future__ import annotations

import errno
import re
import sqlite3
from functools import wraps
from typing import Any, Dict, Optional, Tuple

from flask import Response

from proxy.archive import Archive, Filter
from proxy.archive.aside import aside, catch_up
from proxy.routes.visit import Page, Visit, refused, told

# Seconds a request waits for new lines to be taken in; what is not there by then comes with a later one.
PATIENCE = 0.2  # less than anybody notices after a click
URGENT = 3.0  # where nothing can be told without them
MOST_ROWS, MOST_BUCKETS = 1000, 1000
JSON_LINES = "application/x-ndjson"


def readable(page: Page) -> Page:
    """What was asked wrong is a 400 that names the parameter, what cannot be read a 503."""

    @wraps(page)
    def answer(visit: Visit) -> Response:
        try:
            return page(visit)
        except ValueError as exc:
            text = str(exc)
            error = {
                "message": text,
                "type": "invalid_request_error",
                "param": text.split()[0],
                "code": "invalid_value",
            }
            return told({"error": error}, 400)
        except (OSError, sqlite3.Error) as exc:
            why = getattr(exc, "strerror", None) or type(exc).__name__
            return refused(503, "journals_unreadable", f"The journals cannot be read: {why}.")

    return answer


@readable
def exchanges(visit: Visit) -> Response:
    """The newest exchanges that a filter finds; ``before`` goes on after the last one already seen.

    ``complete``: whether everything that was written has been taken in.
    """
    query, archive = visit.query, visit.parts.archive
    before, limit = query.pop("before", "") or None, _number(query, "limit", 100, MOST_ROWS)
    wanted = Filter.read(query)
    complete = caught_up(archive)
    return told({"exchanges": aside(lambda: archive.rows(wanted, before=before, limit=limit)), "complete": complete})


@readable
def exchange(visit: Visit) -> Response:
    """Both lines of one exchange, ``client`` and ``provider``, each null if it is not there."""
    lines = lines_of(visit)
    if not lines:
        return refused(404, "not_found", "There is no such exchange.")
    parts = [b'"%s":%s' % (side.encode(), line or b"null") for side, line in lines.items()]
    return Response(b"{" + b",".join(parts) + b"}", content_type="application/json")


@readable
def recording(visit: Visit) -> Response:
    """One exchange as a file: its lines, each with the ``side`` it is of."""
    lines = lines_of(visit)
    if not lines:
        return refused(404, "not_found", "There is no such exchange.")
    body = b"".join(recorded(side, line) for side, line in lines.items() if line)
    name = re.sub(r"[^\w-]", "", visit.words[0])[:64]
    headers = {"Content-Disposition": f'attachment; filename="exchange-{name}.jsonl"'}
    return Response(body, headers=headers, content_type=JSON_LINES)


@readable
def histogram(visit: Visit) -> Response:
    """Numbers, errors and percentiles over time."""
    query, archive = visit.query, visit.parts.archive
    buckets = _number(query, "buckets", 60, MOST_BUCKETS)
    wanted = Filter.read(query)
    complete = caught_up(archive)
    return told({**aside(lambda: archive.histogram(wanted, buckets=buckets)), "complete": complete})


@readable
def stats(visit: Visit) -> Response:
    """Numbers, tokens and percentiles by group; ``by`` names the columns, parted by commas."""
    query, archive = visit.query, visit.parts.archive
    by = [name.strip() for name in (query.pop("by", "") or "model,outcome").split(",")]
    wanted = Filter.read(query)
    complete = caught_up(archive)
    return told({"stats": aside(lambda: archive.stats(wanted, by)), "complete": complete})


def recorded(side: str, line: bytes) -> bytes:
    """A journal's line as a recording has it: one more field in front."""
    return b'{"side":"%s",%s\n' % (side.encode(), line.strip()[1:])


def lines_of(visit: Visit) -> Dict[str, Any]:
    """The lines as bytes, for they may be long and are sound JSON already."""
    archive, one = visit.parts.archive, visit.words[0]
    found: Optional[Dict[str, Any]] = aside(lambda: archive.raw(one))
    if found is None or None in found.values():  # one line may have been taken in before the other
        caught_up(archive, URGENT)
        found = aside(lambda: archive.raw(one))
    return found or {}


def caught_up(archive: Archive, seconds: float = PATIENCE) -> bool:
    """Whether all is taken in; on a full disk there is still what was taken in before. Raises OSError."""
    try:
        return catch_up(archive, seconds)
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        return False


def _number(query: Dict[str, str], name: str, default: int, most: int) -> int:
    text = query.pop(name, "") or str(default)
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, not {text[:40]!r}")
    return int(text)


PAGES: Dict[Tuple[str, str], Page] = {
    ("GET", "/_forward/api/exchanges"): exchanges,
    ("GET", "/_forward/api/exchanges/*"): exchange,
    ("GET", "/_forward/api/exchanges/*/download"): recording,
    ("GET", "/_forward/api/histogram"): histogram,
    ("GET", "/_forward/api/stats"): stats,
}
