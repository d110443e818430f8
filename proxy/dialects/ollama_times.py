"""Times as Ollama writes them: RFC 3339 with up to nine decimals, UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

SECOND = 1_000_000_000  # nanoseconds
LATEST = 253_402_300_799  # the last second of the year 9999
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))?\Z")


def read_time(text: Any) -> int:
    """Unix seconds of an RFC 3339 time with any number of decimals; 0 for what is none."""
    found = TIME.match(text) if isinstance(text, str) else None
    if found is None:
        return 0
    day, clock, sign, hours, minutes = found.groups()
    try:
        there = datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return 0
    ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    return (there - EPOCH - ahead) // timedelta(seconds=1)


def write_time(nanoseconds: int) -> str:
    """The time so many nanoseconds after 1970, with as many decimals as it has."""
    seconds, rest = divmod(max(nanoseconds, 0), SECOND)
    text = (EPOCH + timedelta(seconds=min(seconds, LATEST))).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{decimals}Z"
