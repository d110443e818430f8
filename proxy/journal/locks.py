"""Locks between processes, where the system has them; never switches greenlets."""

from __future__ import annotations

import os
import sys
import time
from typing import Callable

if sys.platform == "win32":  # where one process serves alone

    def try_to_lock(fd: int) -> None:
        """Lock a file for this descriptor; raises BlockingIOError if another has it, OSError if there are no locks."""
        raise OSError("no locks here")

    def unlock(fd: int) -> None:
        """Let go."""

else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

    def try_to_lock(fd: int) -> None:
        """Lock a file for this descriptor; raises BlockingIOError if another has it, OSError if there are no locks."""
        flock(fd, LOCK_EX | LOCK_NB)

    def unlock(fd: int) -> None:
        """Let go."""
        flock(fd, LOCK_UN)


_give_way: Callable[[], None] = getattr(os, "sched_yield", lambda: None)


def lock_within(fd: int, seconds: float) -> bool:
    """Lock a file, waiting at most ``seconds``; False if another kept it, or if its file system has no locks."""
    until = 0.0
    while True:
        try:
            try_to_lock(fd)
            return True
        except BlockingIOError:
            now = time.monotonic()
            until = until or now + seconds
            if now > until:
                return False
            _give_way()
        except OSError:
            return False
