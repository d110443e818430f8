"""Waiting for a gevent socket again and again with a limit, without making a new timer for each wait."""

from __future__ import annotations

import socket
from functools import lru_cache
from time import monotonic
from typing import Any, Callable, Tuple

READ = 1  # libev's word for readable


class Patience:
    """Waits until ``sock`` can be read, ``seconds`` at most each time; a wait is ended, never interrupted and resumed.

    One timer serves all waits: when it rings it looks how long the present one has lasted.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        hub, self._here = _words_of_gevent()
        self._hub: Any = hub()
        self._seconds = seconds
        self._readable: Any = self._hub.loop.io(sock.fileno(), READ)
        self._timer: Any = None
        self._waiter: Any = None
        self._since = 0.0

    def wait(self) -> None:
        """Return once there is something to read, be it the end. Raises socket.timeout."""
        waiter = self._waiter = self._here()
        self._since = monotonic()
        if self._timer is None:
            self._set(self._seconds)
        self._readable.start(waiter.switch)
        try:
            self._hub.switch()
        finally:
            self._readable.stop()
            self._waiter = None

    def _set(self, seconds: float) -> None:
        self._timer = self._hub.loop.timer(seconds)
        self._timer.start(self._ring)

    def _ring(self) -> None:
        """In the hub."""
        self._timer.close()
        self._timer = None
        if self._waiter is None:
            return
        left = self._since + self._seconds - monotonic()
        if left > 0:
            self._set(left)
        else:
            self.end()

    def end(self) -> None:
        """In the hub: the present wait is over, as if its time were."""
        if self._waiter is not None:
            self._waiter.throw(socket.timeout("timed out"))

    def close(self) -> None:
        """Nobody will wait any more."""
        self._readable.close()
        if self._timer is not None:
            self._timer.close()
            self._timer = None


@lru_cache(maxsize=None)
def _words_of_gevent() -> Tuple[Callable[[], Any], Callable[[], Any]]:
    from gevent import get_hub, getcurrent

    return get_hub, getcurrent
