"""What is new, for all open pages of a worker at once: one poller asks the crew and the archive while anybody looks."""

from __future__ import annotations

import sqlite3
from collections import deque
from datetime import datetime, timezone
from threading import Condition, Thread
from time import monotonic
from typing import Any, Deque, Dict, Optional, Tuple

import msgspec

from proxy.archive import Filter
from proxy.archive.aside import aside
from proxy.exchange import Parts
from proxy.journal import log
from proxy.routes.archived import caught_up
from proxy.routes.crewed import under_way
from proxy.routes.watch import Watchman

BUSY, IDLE = 0.4, 1.0  # seconds between two looks, with something under way and without
TAKING_IN = 0.3  # seconds a look spends with new lines
MOST_ROWS = 200  # of one look; a page that missed some asks for its list again
HEALTH = 3.0  # seconds between two reports of health, at least
SHARE = 20  # and so many times as long as making one takes
SPAN = "5m"  # what rates and percentiles are of
KEPT = 32  # events that a page may be behind

Event = Tuple[int, bytes]


class Feed:
    """``join`` and ``leave`` as pages come and go; ``news`` gives each what it has not had yet."""

    def __init__(self, parts: Parts) -> None:
        self.watchman = Watchman()
        self._parts = parts
        self._changed = Condition()
        self._pages = 0
        self._polling = False
        self._number = 0
        self._events: Deque[Event] = deque(maxlen=KEPT)
        self._mark: Optional[int] = None
        self._before: Any = None
        self._newcomer = False
        self._healthy_until = 0.0

    @property
    def pages(self) -> int:
        """How many look."""
        return self._pages

    def join(self) -> int:
        """One more looks; returns the number of the last event, after which it goes on."""
        with self._changed:
            self._pages += 1
            self._newcomer = True
            if not self._polling:
                self._polling = True
                Thread(target=self._poll, daemon=True).start()
            self._changed.notify_all()
            return self._number

    def leave(self) -> None:
        """One looks no longer."""
        with self._changed:
            self._pages -= 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Let everybody look at whether it is still wanted."""
        with self._changed:
            self._changed.notify_all()

    def news(self, after: int, seconds: float) -> Tuple[int, bytes]:
        """Events after that number, waiting for some if there are none; the number of the last one."""
        with self._changed:
            if self._number <= after:
                self._changed.wait(seconds)
            events = [(number, data) for number, data in self._events if number > after]
            lost = bool(events) and events[0][0] > after + 1
        data = b"".join(data for _, data in events)
        return (events[-1][0] if events else after), (spelled("lost", {}) + data if lost else data)

    def _poll(self) -> None:
        while True:
            busy = False
            try:
                busy = self._look()
            except (OSError, sqlite3.Error) as exc:
                self._tell("trouble", {"message": getattr(exc, "strerror", None) or type(exc).__name__})
            except Exception as exc:  # the pages shall see that something is wrong, and the next look may succeed
                log("the traffic page's feed failed", level="error", why=type(exc).__name__)
                self._tell("trouble", {"message": type(exc).__name__})
            if self._is_over(BUSY if busy else IDLE):
                return

    def _is_over(self, seconds: float) -> bool:
        """Wait until the next look, or a newcomer; whether nobody looks any more."""
        end = monotonic() + seconds
        with self._changed:
            while self._pages and not self._newcomer and monotonic() < end:
                self._changed.wait(end - monotonic())
            if not self._pages:
                self._polling, self._mark = False, None
                self._events.clear()
            return not self._pages

    def _look(self) -> bool:
        """Tell what has changed since the last look; whether more is likely to come soon."""
        archive = self._parts.archive
        fresh, self._newcomer = self._newcomer, False
        rows, silent = under_way(self._parts.crew)
        complete = caught_up(archive, TAKING_IN)
        news, self._mark = aside(lambda: archive.news(self._mark, MOST_ROWS))
        state = ([row["logging_id"] for row in rows], silent, complete)
        if rows or news or fresh or state != self._before:
            more = len(news) == MOST_ROWS
            told = {"live": rows, "silent": silent, "rows": news, "more": more, "complete": complete}
            self._tell("news", {**told, "now": datetime.now(timezone.utc).replace(tzinfo=None).isoformat()})
        self._before = state
        if fresh or monotonic() >= self._healthy_until:
            began = monotonic()
            self._tell("health", self._health())
            self._healthy_until = monotonic() + max(HEALTH, SHARE * (monotonic() - began))
        return bool(rows or news)

    def _health(self) -> Dict[str, Any]:
        answers, silent = self._parts.crew.asked({"do": "health"})
        archive = self._parts.archive
        sums = aside(lambda: archive.stats(Filter.read({"since": SPAN}), ()))
        return {
            "workers": answers,
            "silent": silent,
            "alone": self._parts.crew.trouble or None,
            "span_s": 300,
            "sums": sums[0] if sums else None,
            "unread_bytes": aside(archive.left),
            "pages": self._pages,
        }

    def _tell(self, name: str, value: Any) -> None:
        with self._changed:
            self._number += 1
            self._events.append((self._number, spelled(name, value)))
            self._changed.notify_all()


def spelled(name: str, value: Any) -> bytes:
    """One server-sent event; JSON has no line ends of its own."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(value))
