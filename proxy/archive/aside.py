"""Asking the archive beside the hub."""

from __future__ import annotations

from time import monotonic, sleep

from proxy.archive import Archive
from proxy.aside import aside

__all__ = ["aside", "catch_up"]

# Seconds of taking in at a time, and of leaving the processor to the streams in between.
TURN, PAUSE = 0.03, 0.01


def catch_up(archive: Archive, seconds: float) -> bool:
    """Take in what is new, for at most so long and in small turns; True if nothing is left. Raises OSError."""
    end = monotonic() + seconds
    while True:
        done = aside(lambda: archive.refresh(budget_s=TURN))
        if done or monotonic() >= end:
            return done
        sleep(PAUSE)
