"""What is under way: places for so many exchanges, and an honest end for what is left when the worker must stop."""

from __future__ import annotations

import time
from collections import deque
from threading import BoundedSemaphore, Event, Lock
from typing import TYPE_CHECKING, Callable, Deque, List, Optional, Protocol, Set

from proxy.errors import ProxyError, failure

if TYPE_CHECKING:
    from proxy.routes.deliver import Answering

LOOK = 0.25  # seconds between two looks at whether who waits for a place is still there
LAST_WORD = 1.0  # seconds for what was ended to reach its client


class UnderWay(Protocol):
    """An exchange that can be ended from outside."""

    @property
    def walk(self) -> Answering:
        """What is on its way."""

    def end(self, error: ProxyError) -> bool:
        """End it with a failure that its client is told; False if it has ended already."""

    def abandon(self) -> None:
        """Its client takes nothing: break the connection."""


class Live:
    """The exchanges of this worker: so many ``places``, and a ``queue`` for those that wait for one, first come first.

    ``patience``: seconds that a stop waits for them; ``wait``: the longest that one of them waits in the queue.
    ``draining``: the worker was told to stop.
    """

    def __init__(self, patience: float, places: int, queue: int, wait: float = 30.0) -> None:
        self._patience = patience
        self._longest = wait
        self._places: Deque[None] = deque([None] * places)  # taking and giving back are single steps for threads too
        self._line: Deque[Event] = deque()  # of those that wait, each one's call, in the order in which they came
        self._calling = Lock()
        self._queue = BoundedSemaphore(queue)
        self._under_way: Set[UnderWay] = set()
        self._in_queue: Set[UnderWay] = set()
        self.draining = False

    def enter(self, one: UnderWay, ended: Callable[[], Optional[ProxyError]]) -> None:
        """Take a place, waiting for one in the queue until ``ended`` says why not to. Raises ProxyError."""
        self._under_way.add(one)
        if not self._line and self._take():  # nobody gets past those that wait
            return
        if not self._queue.acquire(blocking=False):
            self._under_way.discard(one)
            raise _overloaded("The proxy has as many exchanges in flight and waiting as it may have.")
        self._in_queue.add(one)
        try:
            self._wait(ended)
        except ProxyError:
            self._under_way.discard(one)
            raise
        finally:
            self._in_queue.discard(one)
            self._queue.release()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._in_queue)  # a set, as threads that add to a number at once lose count

    def under_way(self) -> List[UnderWay]:
        """Everything that has not ended, what waits for a place included."""
        return list(self._under_way)

    def cancel(self, logging_id: str) -> bool:
        """End one exchange for the operator; whether it was there to be ended."""
        found = [one for one in self.under_way() if one.walk.record.logging_id == logging_id]
        error = failure("cancelled", "The operator of the proxy has cancelled this exchange.")
        return any([one.end(error) for one in found])

    def leave(self, one: UnderWay) -> None:
        """It is over: give its place to the next."""
        self._under_way.discard(one)
        self._places.append(None)
        if self._line:
            self._call()

    def drain(self) -> None:
        """Wait as long as a stop may last, then end what is left: with an error frame, and always with a record."""
        self.draining = True
        time.sleep(self._patience)
        text = "The proxy is being stopped and could not wait for the whole answer."
        for one in list(self._under_way):
            one.end(failure("shutting_down", text))
        time.sleep(LAST_WORD)
        for one in list(self._under_way):
            one.abandon()

    def _wait(self, ended: Callable[[], Optional[ProxyError]]) -> None:
        until = time.monotonic() + self._longest
        called = Event()
        self._line.append(called)
        self._call()  # a place may have become free just before
        while not called.wait(LOOK):
            error = ended()
            if error is None and time.monotonic() >= until:
                error = _overloaded(f"No place became free within {self._longest:g} s (--queue_timeout).")
            if error is not None:
                self._forgo(called)
                raise error

    def _call(self) -> None:
        """Give the free places to those that wait."""
        with self._calling:
            while self._line and self._take():
                self._line.popleft().set()

    def _forgo(self, called: Event) -> None:
        """Leave the line; a place that was given meanwhile goes to the next."""
        with self._calling:
            if not called.is_set():
                self._line.remove(called)
                return
        self._places.append(None)
        self._call()

    def _take(self) -> bool:
        try:
            self._places.pop()
        except IndexError:
            return False
        return True


def _overloaded(why: str) -> ProxyError:
    error = failure("server_is_overloaded", why)
    return ProxyError(error.failed, [("Retry-After", "1")])
