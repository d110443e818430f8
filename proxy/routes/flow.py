"""Who pulls an answer: a greenlet that hands one block over at a time where gevent is, the host's own thread elsewhere.

The walk of an exchange is plain synchronous code. Under gevent it runs in a greenlet of its own, so that the host's
greenlet can wait with a limit (the hold, heartbeats, deadlines) and can be told that the client has left. No timer ever
interrupts a read that goes on afterwards: a read is either waited for, or its exchange is over.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Iterator, Optional, Protocol, Union

from proxy.deadlines import NEVER, Deadlines
from proxy.errors import ProxyError, failure

log = logging.getLogger("proxy")


# Seconds to wait for the end of a body whose last word was said: nobody waits for a greenlet, a thread's client does.
LINGER, LINGER_INLINE = 1.0, 0.05
# Seconds that a walk gets to say its last word once a limit has ended it.
LAST_WORD = 5.0


class Pending:
    """Nothing arrived in the time given."""


class End:
    """The answer is over."""


PENDING = Pending()
END = End()
Item = Union[bytes, Pending, End]


class Walk(Protocol):
    """What a flow pulls: blocks for the client, its limits, and a way to let go of the provider."""

    deadlines: Deadlines

    def blocks(self) -> Iterator[bytes]:
        """Blocks of bytes; the first one says that the status is certain, and may be empty. Raises ProxyError."""

    def hang_up(self, linger: float = 0.0) -> None:
        """Let go of the provider's connection; ``linger``: seconds to wait for its end; idempotent."""


class PlainFlow:
    """The walk in the caller's own thread: no wait has a limit of ours."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._blocks = walk.blocks()
        self._over = False
        self._failed: Optional[ProxyError] = None

    def next(self, wait: Optional[float] = None) -> Item:
        """The next block, or END. Raises ProxyError."""
        try:
            with _Surprises():
                item = next(self._blocks, END)
        except ProxyError as error:
            raise self._failed or error from None
        self._over = item is END
        if self._failed is not None and not self._over:  # ended before there was a connection to let go of
            self._walk.hang_up()
            raise self._failed
        return item

    def fail(self, error: ProxyError) -> None:
        """Called from another thread: a walk that waits for the provider wakes up without it."""
        self._failed = error
        self._walk.hang_up()

    def stop(self) -> None:
        """End the walk now, wherever it is."""
        self._blocks.close()  # type: ignore[attr-defined]
        self._walk.hang_up(LINGER_INLINE if self._over else 0.0)


class GreenFlow:
    """The walk in a greenlet of its own, at most one block ahead of the client."""

    def __init__(self, walk: Walk) -> None:
        from gevent import lock, queue, spawn

        self._empty = queue.Empty
        self._walk = walk
        self._blocks = walk.blocks()
        self._room: Any = lock.Semaphore(1)
        self._queue: Any = queue.Queue()
        self._over = False
        self._greenlet = spawn(self._run)

    def _run(self) -> None:
        last: Any = None
        try:
            with _Surprises():
                for block in self._blocks:
                    self._room.acquire()
                    self._queue.put(block)
            last = END
        except ProxyError as error:
            last = error
        finally:
            self._over = True
            self._blocks.close()  # type: ignore[attr-defined]
            self._queue.put(last)  # there is always room for the last word: nobody may be left to take it
            self._hang_up(LINGER if last is END else 0.0)

    def _hang_up(self, linger: float) -> None:
        try:
            self._walk.hang_up(linger)
        except ProxyError:  # somebody ended what was over
            self._walk.hang_up()

    def next(self, wait: Optional[float] = None) -> Item:
        """The next block, PENDING after ``wait`` seconds without one, or END. Raises ProxyError."""
        limits = self._walk.deadlines
        patience = min(NEVER if wait is None else wait, limits.remaining())
        try:
            item = self._queue.get(timeout=None if patience == NEVER else patience)
        except self._empty:
            error = limits.overdue()
            if error is None:
                return PENDING
            item = self._ended_by(error)
        if isinstance(item, ProxyError):
            raise item
        self._room.release()
        return item  # type: ignore[no-any-return]

    def _ended_by(self, error: ProxyError) -> Any:
        """The walk's last word on a failure from outside: an answer that was finished by then is one (C33)."""
        self._walk.deadlines.lift()
        self.fail(error)
        try:
            return self._queue.get(timeout=LAST_WORD)
        except self._empty:
            self.stop()
            return error

    def fail(self, error: ProxyError) -> None:
        """End the walk with ``error`` from outside; whoever waits for the next block gets it."""
        if not self._over:
            self._greenlet.kill(error, block=False)

    def stop(self) -> None:
        """End the walk now, wherever it is; one that has said its last word may still finish its connection."""
        if not self._over:
            self._greenlet.kill(block=True)
            if not self._over:  # it never began
                self._walk.hang_up()


Flow = Union[PlainFlow, GreenFlow]


def open_flow(walk: Walk) -> Flow:
    """The flow that this host allows: what matters is whether sockets are patched, not whether gevent is installed."""
    monkey = sys.modules.get("gevent.monkey")
    green = monkey is not None and monkey.is_module_patched("socket")
    return GreenFlow(walk) if green else PlainFlow(walk)


class _Surprises:
    """Turns what nobody foresaw into a failure that is logged with its traceback and told without it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, ProxyError):
            log.error("internal error", exc_info=(kind, error, trace))
            raise failure("internal_error", "The proxy failed; its log.log says more.") from error
