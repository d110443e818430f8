"""What a worker tells the others of its crew: what is under way here, how it is, and what it has cancelled."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict

from proxy.crew import Answer, Question
from proxy.exchange import Parts
from proxy.journal import hide_in_urls
from proxy.journal.line import lossy
from proxy.routes.live import Live, UnderWay

SHOWN = (
    "logging_id",
    "timestamp",
    "method",
    "path",
    "model",
    "sent_model",
    "client_dialect",
    "provider_dialect",
    "return_mode",
    "send_mode",
    "ttft_ms",
)


class Roll:
    """The answers of one worker."""

    def __init__(self, parts: Parts, live: Live) -> None:
        self._parts = parts
        self._live = live
        self._started = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds")
        parts.crew.answers.update(list=self.list, cancel=self.cancel, health=self.health, metrics=self.metrics)

    def list(self, question: Question) -> Answer:
        """What has not ended yet, what waits for a place included."""
        return {"exchanges": [row_of(one) for one in self._live.under_way()]}

    def cancel(self, question: Question) -> Answer:
        """End the exchange of this ``logging_id``, if it is under way here."""
        return {"cancelled": self._live.cancel(str(question.get("logging_id", "")))}

    def health(self, question: Question) -> Answer:
        """How this worker is."""
        waiting, journal = self._live.waiting, self._parts.journal
        return {
            "in_flight": len(self._live.under_way()) - waiting,
            "waiting": waiting,
            "draining": self._live.draining,
            "rss_bytes": resident(),
            "journal": {"drops": journal.drops, "trouble": journal.trouble, "lag_ms": journal.lag_ms},
            "learned": self._parts.learned.told(),
            "started": self._started,
        }

    def metrics(self, question: Question) -> Answer:
        """What of this worker can be measured at any moment, by the metrics' names."""
        idle, opened = self._parts.provider.connections()
        return {
            "forward_in_flight": len(self._live.under_way()) - self._live.waiting,
            "forward_waiting": self._live.waiting,
            "forward_provider_connections_idle": idle,
            "forward_provider_connections_opened": opened,
            "forward_resident_memory_bytes": resident(),
        }


def row_of(one: UnderWay) -> Dict[str, Any]:
    """One exchange under way, as the live list shows it; a name of its record that is not there yet is null."""
    walk = one.walk
    row = {name: getattr(walk.record, name, None) for name in SHOWN}
    row["path"] = hide_in_urls(walk.record.path)
    row["elapsed_ms"] = walk.deadlines.elapsed_ms()
    row["chunks"] = getattr(walk, "chunks", None)
    row["attempts"] = len(walk.record.attempts)
    return {name: lossy(value) for name, value in row.items()}  # a client may say what no JSON can


def resident() -> int:
    """This process's resident memory in bytes; 0 where the system does not tell it in /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0
