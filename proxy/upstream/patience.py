"""Waiting for a gevent socket again and again with a limit, without making a new timer for each wait."""

from __future__ import annotations

import socket
from functools import lru_cache
from time import monotonic
from typing import Any, Callable, Tuple

READ = 1  # libev's word for readable
NEVER = float("inf")


class Patience:
    """Waits until ``sock`` can be read, ``seconds`` at most each time; a wait is ended, never interrupted and resumed.

    One timer serves all waits: when it rings it looks whether the present one is over.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        hub, self._here = _words_of_gevent()
        self._hub: Any = hub()
        self._seconds = seconds
        self.descriptor = sock.fileno()
        self._readable: Any = self._hub.loop.io(self.descriptor, READ)
        self._timer: Any = None
        self._rings = NEVER
        self._waiter: Any = None
        self._end = self._due = NEVER

    def wait(self) -> None:
        """Return once there is something to read, be it the end. Raises socket.timeout."""
        self.until(NEVER)

    def until(self, due: float) -> bool:
        """The same, but False at ``due`` (monotonic), after which the next wait has only the seconds that are left."""
        now = monotonic()
        if self._end == NEVER:
            self._end = now + self._seconds
        self._due = min(due, self._end)
        if self._due < self._rings:
            self._set(self._due, now)
        self._waiter = self._here()
        self._readable.start(self._waiter.switch)
        try:
            late = self._hub.switch() is _LATE
        finally:
            self._readable.stop()
            self._waiter = None
        if late and self._due < self._end:
            return False
        self._end = NEVER
        if late:
            raise socket.timeout("timed out")
        return True

    @property
    def waiting(self) -> bool:
        """Whether somebody waits."""
        return self._waiter is not None

    def wake(self) -> None:
        """End the present wait, from wherever, as if there were something to read."""
        self._hub.loop.run_callback(self._switch, None)

    def end(self) -> None:
        """In the hub: the present wait is over, as if its time were."""
        self._due = self._end
        self._switch(_LATE)

    def close(self) -> None:
        """Nobody will wait any more."""
        self._readable.close()
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _set(self, due: float, now: float) -> None:
        if self._timer is not None:
            self._timer.close()
        self._rings = due
        self._timer = self._hub.loop.timer(max(0.0, due - now))
        self._timer.start(self._ring)

    def _ring(self) -> None:
        """In the hub."""
        self._timer.close()
        self._timer, self._rings = None, NEVER
        if self._waiter is None:
            return
        now = monotonic()
        if self._due > now:
            self._set(self._due, now)
        else:
            self._switch(_LATE)

    def _switch(self, word: Any) -> None:
        if self._waiter is not None:
            self._waiter.switch(word)


_LATE = object()


@lru_cache(maxsize=None)
def _words_of_gevent() -> Tuple[Callable[[], Any], Callable[[], Any]]:
    from gevent import get_hub, getcurrent

    return get_hub, getcurrent
