"""What is in flight: so that a stop can end it honestly, and so that nobody is sent here meanwhile."""

from __future__ import annotations

import time
from threading import BoundedSemaphore
from typing import Set

from proxy.errors import ProxyError, failure
from proxy.routes.flow import Flow


class Live:
    """The flows of this worker that are under way: so many ``places``, and a ``queue`` for those that wait for one.

    ``patience``: seconds that a stop waits for them. ``draining``: the worker was told to stop.
    """

    def __init__(self, patience: float, places: int, queue: int) -> None:
        self._patience = patience
        self._places = BoundedSemaphore(places)
        self._queue = BoundedSemaphore(queue)
        self._flows: Set[Flow] = set()
        self.draining = False

    def enter(self) -> None:
        """Take a place, waiting for one in the queue. Raises ProxyError where that is full too."""
        if self._places.acquire(blocking=False):
            return
        if not self._queue.acquire(blocking=False):
            raise _overloaded()
        try:
            self._places.acquire()
        finally:
            self._queue.release()

    def leave(self) -> None:
        """Give the place to the next."""
        self._places.release()

    def begin(self, flow: Flow) -> None:
        """A flow began."""
        self._flows.add(flow)

    def end(self, flow: Flow) -> None:
        """A flow is over."""
        self._flows.discard(flow)

    def drain(self) -> None:
        """Wait as long as a stop may last (seconds), then end what is left: with an error frame, and with a record."""
        self.draining = True
        time.sleep(self._patience)
        for flow in list(self._flows):
            flow.fail(failure("shutting_down", "The proxy is being stopped and could not wait for the whole answer."))


def _overloaded() -> ProxyError:
    error = failure("server_is_overloaded", "The proxy has as many exchanges in flight and waiting as it may have.")
    return ProxyError(error.failed, [("Retry-After", "1")])
