"""Which exchanges are meant: one reader for a URL's query and for flags, one translation into SQL."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, List, Mapping, Optional, Tuple

from proxy.errors import FAILURES
from proxy.patterns import fits

OUTCOMES = ("complete", *sorted({kind.outcome for kind in FAILURES.values()}))
NAMES = ("outcome", "status", "model", "path", "text", "since", "until")
MODELS = ("model", "sent_model", "answered_model")
EPOCH = datetime(1970, 1, 1)
LONGEST_TEXT = 500
MOST_STARS = 8
MICROSECONDS = 1_000_000

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_STATUS = re.compile(r"(\d)xx|(\d{3})(?:-(\d{3}))?|([<>]=?)(\d{3})", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?(?:Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)

Range = Tuple[int, int]


@dataclass(frozen=True)
class Filter:
    """What exchanges must be like; times are microseconds since 1970 (UTC), ``since`` is included, ``until`` is not.

    ``outcome`` holds names, ``but`` those that are not wanted, ``status`` ranges of what the client was shown.
    ``model`` (as asked, as sent or as answered) and ``path`` may hold ``*`` for anything. ``text`` is looked for in
    asks and answers.
    """

    outcome: Tuple[str, ...] = ()
    but: Tuple[str, ...] = ()
    status: Tuple[Range, ...] = ()
    model: str = ""
    path: str = ""
    text: str = ""
    since: Optional[int] = None
    until: Optional[int] = None

    @classmethod
    def read(cls, given: Mapping[str, Any], now: Optional[datetime] = None) -> Filter:
        """Read texts by name; absent and empty ones ask for nothing. Raises ValueError that names what is wrong."""
        for name in given:
            if name not in NAMES:
                near = difflib.get_close_matches(name, NAMES, n=1)
                raise ValueError(f"{name} is not a filter; " + (f"did you mean {near[0]}?" if near else _known()))
        told = {name: str(value).strip() for name, value in given.items() if value is not None and str(value).strip()}
        wanted, but = _outcomes(told.get("outcome", ""))
        moment = now or datetime.now(timezone.utc).replace(tzinfo=None)
        made = cls(
            outcome=wanted,
            but=but,
            status=_statuses(told.get("status", "")),
            model=_pattern("model", told.get("model", "")),
            path=_pattern("path", told.get("path", "")),
            text=_text(told.get("text", "")),
            since=_moment("since", told.get("since", ""), moment),
            until=_moment("until", told.get("until", ""), moment),
        )
        if made.since is not None and made.until is not None and made.since >= made.until:
            raise ValueError("since must be before until")
        return made

    def fits(self, row: Mapping[str, Any], at: int) -> bool:
        """The same, all but ``text``, for one exchange at hand that arrived ``at``."""
        status, path = row.get("status"), row.get("path") or ""
        models = [row.get(name) or "" for name in MODELS]
        return (
            (not self.outcome or row.get("outcome") in self.outcome)
            and (not self.but or (row.get("outcome") is not None and row["outcome"] not in self.but))
            and (not self.status or any(first <= (status or -1) <= last for first, last in self.status))
            and (not self.model or any(fits(self.model, model) for model in models))
            and (not self.path or fits(self.path, path))
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )

    def where(self) -> Tuple[str, List[Any]]:
        """The condition, all but ``text``, as SQL over the columns of the index, and its values."""
        parts: List[Tuple[str, List[Any]]] = []
        if self.outcome:
            parts.append((f"outcome IN ({_marks(self.outcome)})", list(self.outcome)))
        if self.but:
            parts.append((f"outcome NOT IN ({_marks(self.but)})", list(self.but)))
        if self.status:
            either = " OR ".join("status BETWEEN ? AND ?" for _ in self.status)
            parts.append((f"({either})", [bound for pair in self.status for bound in pair]))
        if self.model:
            either = " OR ".join(f"{column} {_like(self.model)}" for column in MODELS)
            parts.append((f"({either})", [_globbed(self.model)] * 3))
        if self.path:
            parts.append((f"path {_like(self.path)}", [_globbed(self.path)]))
        if self.since is not None:
            parts.append(("at >= ?", [self.since]))
        if self.until is not None:
            parts.append(("at < ?", [self.until]))
        return " AND ".join(sql for sql, _ in parts) or "1", [value for _, values in parts for value in values]


def moment_of(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time; without a suffix it is UTC. Raises ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError
    whole = re.sub(r"(?i)z$", "+00:00", text.replace(" ", "T"))
    whole = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", whole) if "T" in whole else whole
    head, point, tail = whole.partition(".")
    if point:  # before Python 3.11 fractions have three digits or six
        digits = re.match(r"\d+", tail)
        fraction = digits[0] if digits else ""
        whole = f"{head}.{fraction:0<6}{tail[len(fraction) :]}"
    found = datetime.fromisoformat(whole)
    if found.tzinfo is not None:
        found = found.astimezone(timezone.utc).replace(tzinfo=None)
    return microseconds(found)


def microseconds(moment: datetime) -> int:
    """A naive time in UTC as microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def spelled(at: int) -> str:
    """Microseconds since 1970 as the journal spells a time."""
    return (EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds")


def _known() -> str:
    return "there are " + ", ".join(NAMES)


def _outcomes(text: str) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if (name[1:] if name.startswith("!") else name) not in OUTCOMES:
            raise ValueError(f"outcome must be among {', '.join(OUTCOMES)} (! in front: all but it), not {name!r}")
    but = tuple(name[1:] for name in names if name.startswith("!"))
    return tuple(name for name in names if not name.startswith("!")), but


def _statuses(text: str) -> Tuple[Range, ...]:
    return tuple(_status(one.strip()) for one in text.split(",") if one.strip())


def _status(text: str) -> Range:
    found = _STATUS.fullmatch(text)
    if not found:
        raise ValueError(f"status must be like 404, 4xx, 400-499 or >=400, not {text[:40]!r}")
    hundred, first, last, sign, bound = found.groups()
    if hundred:
        return int(hundred) * 100, int(hundred) * 100 + 99
    if first:
        return int(first), int(last or first)
    number = int(bound)
    return {">": (number + 1, 999), ">=": (number, 999), "<": (0, number - 1), "<=": (0, number)}[sign]


def _pattern(name: str, text: str) -> str:
    """Two ``*`` in a row say no more than one; each one more is more work for whoever compares."""
    text = re.sub(r"\*+", "*", text)
    if text.count("*") > MOST_STARS:
        raise ValueError(f"{name} must have at most {MOST_STARS} *, not {text.count('*')}")
    return text


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"text must have at most {LONGEST_TEXT} characters, not {len(text)}")
    return text


def _moment(name: str, text: str, now: datetime) -> Optional[int]:
    if not text:
        return None
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return microseconds(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        return moment_of(text)
    except (ValueError, OverflowError):
        told = "a UTC time like 2026-02-15 or 2026-02-15T14:22:35, or an age like 15m, 2h, 7d"
        raise ValueError(f"{name} must be {told}, not {text[:40]!r}") from None


def _marks(values: Tuple[str, ...]) -> str:
    return ",".join("?" * len(values))


def _like(pattern: str) -> str:
    return "GLOB ?" if "*" in pattern else "= ?"


def _globbed(pattern: str) -> str:
    return re.sub(r"[\[?]", r"[\g<0>]", pattern) if "*" in pattern else pattern
