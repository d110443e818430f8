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
    """The walk in the caller's own thread: it cannot be interrupted, and no wait has a limit of ours."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._blocks = walk.blocks()
        self._over = False

    def next(self, wait: Optional[float] = None) -> Item:
        """The next block, or END. Raises ProxyError."""
        with _Surprises():
            item = next(self._blocks, END)
        self._over = item is END
        return item

    def fail(self, error: ProxyError) -> None:
        """Nothing can be done from outside: the next write to the client will tell."""

    def stop(self) -> None:
        """End the walk now, wherever it is."""
        self._blocks.close()  # type: ignore[attr-defined]
        self._walk.hang_up(LINGER_INLINE if self._over else 0.0)


class GreenFlow:
    """The walk in a greenlet of its own, at most one block ahead of the client."""

    def __init__(self, walk: Walk) -> None:
        from gevent import queue, spawn

        self._empty = queue.Empty
        self._walk = walk
        self._blocks = walk.blocks()
        self._queue: Any = queue.Queue(1)
        self._over = False
        self._greenlet = spawn(self._run)

    def _run(self) -> None:
        last: Any = END
        try:
            with _Surprises():
                for block in self._blocks:
                    self._queue.put(block)
        except ProxyError as error:
            self._close()
            last = error
        self._over = True
        self._queue.put(last)
        self._walk.hang_up(LINGER)

    def _close(self) -> None:
        self._blocks.close()  # type: ignore[attr-defined]
        self._walk.hang_up()

    def next(self, wait: Optional[float] = None) -> Item:
        """The next block, PENDING after ``wait`` seconds without one, or END. Raises ProxyError."""
        limits = self._walk.deadlines
        while True:
            patience = min(NEVER if wait is None else wait, limits.remaining())
            try:
                item = self._queue.get(timeout=None if patience == NEVER else patience)
            except self._empty:
                error = limits.overdue()
                if error is None:
                    return PENDING
                return self._fail_now(error)
            if isinstance(item, ProxyError):
                raise item
            return item  # type: ignore[no-any-return]

    def _fail_now(self, error: ProxyError) -> Item:
        self.stop()
        raise error

    def fail(self, error: ProxyError) -> None:
        """End the walk with ``error`` from outside; whoever waits for the next block gets it."""
        if not self._over:
            self._greenlet.kill(error, block=False)

    def stop(self) -> None:
        """End the walk now, wherever it is; one that has said its last word may still finish its connection."""
        if not self._over:
            self._over = True
            self._greenlet.kill(block=True)
            self._close()


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
