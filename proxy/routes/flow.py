"""Who pulls an answer: a greenlet that hands one block over at a time where gevent is, the host's own thread elsewhere.

The walk of an exchange is plain synchronous code. Under gevent it runs in a greenlet of its own, so that the host's
greenlet can wait with a limit (the hold, heartbeats, deadlines) and can be told that the client has left. No timer ever
interrupts a read that goes on afterwards: a read is either waited for, or its exchange is over.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import Any, Callable, Optional, Tuple, Union

from proxy.deadlines import NEVER
from proxy.errors import ProxyError, failure
from proxy.routes.pulling import Pull
from proxy.routes.walk import END, LINGER, LINGER_INLINE, PENDING, Item, Surprises, Walk
from proxy.routes.walkers import walker
from proxy.upstream.answer import Source

# Seconds that a walk gets to say its last word once a limit has ended it.
LAST_WORD = 5.0
# Blocks handed over until whoever else has something to do gets a turn.
TURNS = 16

Pulled = Callable[[], Optional[Source]]


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
            with Surprises():
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

    def settle(self) -> None:
        """The only block is there: let the walk come to its end, so that its connection can be used again."""
        with suppress(ProxyError):
            self.next()

    def stop(self) -> None:
        """End the walk now, wherever it is."""
        self._blocks.close()  # type: ignore[attr-defined]
        self._walk.hang_up(LINGER_INLINE if self._over else 0.0)


class GreenFlow:
    """The walk in a greenlet of its own, which runs only while the host's greenlet waits for the next block.

    The two hand over to each other without a detour through gevent's hub, which costs more than the rest of a token.
    Where ``pulled`` tells at what a walk that is under way can be waited for, the host's greenlet goes on alone.
    """

    def __init__(self, walk: Walk, pulled: Optional[Pulled] = None) -> None:
        self._here, self._exit, hub = _words_of_gevent()
        self._walk = walk
        self._blocks = walk.blocks()
        self._pulled = pulled
        self._rest: Optional[Pull] = None
        self._hub: Any = hub()
        self._host: Any = None  # who waits for an item
        self._item: Any = None
        self._last: Any = None  # what there is when the walk is over
        self._parked = True  # at its very beginning
        self._over = False
        self._turns = 0
        self._timer: Any = None
        self._due = self._rings = NEVER
        self._greenlet: Any = None

    def _run(self) -> None:
        try:
            with Surprises():
                for block in self._blocks:
                    if self._leave_to_host(block):
                        return
                    self._hand_over(block)
            self._last = END
        except ProxyError as error:
            self._last = error
        except self._exit:  # stopped
            pass
        finally:
            if self._rest is None:
                self._conclude(LINGER if self._last is END else 0.0)

    def _leave_to_host(self, block: bytes) -> bool:
        """The first block is there: from now on the host may pull by itself, and this greenlet is free."""
        source = self._pulled() if self._pulled is not None else None
        self._pulled = None
        if source is None:
            return False
        self._rest = Pull(self._walk, self._blocks, source, self._begin)
        self._item = block
        self._forget_timer()
        self._hub.loop.run_callback(self._wake)
        return True

    def _begin(self, work: Callable[[], None]) -> None:
        self._hub.loop.run_callback(walker(self._hub).switch, work)

    def _hand_over(self, block: bytes) -> None:
        """Give the host a block and wait until it wants another; now and then everybody else gets a turn."""
        self._item, self._parked = block, True
        self._turns += 1
        if self._host is not None and self._turns % TURNS:
            self._wake()
            return
        self._hub.loop.run_callback(self._wake)
        self._hub.switch()

    def _conclude(self, linger: float) -> None:
        self._over = True
        self._blocks.close()  # type: ignore[attr-defined]
        self._hub.loop.run_callback(self._wake)  # the host goes on meanwhile
        try:
            self._walk.hang_up(linger)
        except ProxyError:  # somebody ended what was over
            self._walk.hang_up()

    def next(self, wait: Optional[float] = None) -> Item:
        """The next block, PENDING after ``wait`` seconds without one, or END. Raises ProxyError."""
        due = self._walk.deadlines.due(wait)
        item = self._await(due) if self._rest is None or self._item is not None else self._rest.next(due)
        if item is None:
            error = self._walk.deadlines.overdue()
            if error is None:
                return PENDING
            item = self._ended_by(error)
        if isinstance(item, ProxyError):
            raise item
        return item

    def _await(self, due: float) -> Any:
        """An item, or None at ``due``."""
        self._due = due
        while self._item is None:
            if self._rest is not None:
                return self._rest.next(due)
            if self._over:
                return self._last or failure("internal_error", "The proxy failed; its log.log says more.")
            self._host = self._here()
            self._arm()
            try:
                self._pull()
            finally:
                self._host = None
            if self._item is None and not self._over and monotonic() >= self._due:
                return None
        item, self._item = self._item, None
        return item

    def _pull(self) -> None:
        """Let the walk go on where it waits for us, else wait for it."""
        if self._parked:
            self._parked = False
            self._resume()
        else:
            self._hub.switch()

    def _resume(self) -> None:
        if self._greenlet is None:
            self._greenlet = walker(self._hub)
            self._greenlet.switch(self._run)
        else:
            self._greenlet.switch()

    def _arm(self) -> None:
        """See to it that somebody rings when the time is up: one timer, which is put off only when it rings."""
        if self._due >= self._rings or self._due == NEVER:
            return
        if self._timer is not None:
            self._timer.close()
        self._rings = self._due
        self._timer = self._hub.loop.timer(max(0.0, self._due - monotonic()))
        self._timer.start(self._ring)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer, self._rings = None, NEVER

    def _ring(self) -> None:
        """In the hub: the time is up, or was put off meanwhile."""
        self._rings = NEVER
        if self._due <= monotonic():
            self._wake()
        elif self._host is not None:
            self._arm()

    def _wake(self) -> None:
        host, self._host = self._host, None
        if host is not None:
            host.switch()

    def _ended_by(self, error: ProxyError) -> Any:
        """The walk's last word on a failure from outside: an answer that was finished by then is one (C33)."""
        self._walk.deadlines.lift()
        if self._rest is None:
            self.fail(error)
        else:
            self._rest.break_off(error)
        item = self._await(monotonic() + LAST_WORD)
        if item is None:
            self.stop()
            return error
        return item

    def fail(self, error: ProxyError) -> None:
        """End the walk with ``error`` from outside; whoever waits for the next block gets it."""
        if self._rest is not None:
            self._rest.fail(error)
        elif not self._over:
            self._hub.loop.run_callback(self._throw, error)

    def _throw(self, error: BaseException) -> None:
        """In the hub: interrupt the walk, wherever it is."""
        if self._rest is not None and isinstance(error, ProxyError):
            self._rest.fail(error)
        if self._over or self._rest is not None:
            return
        self._parked = False
        if self._greenlet is not None:
            self._greenlet.throw(error)
            return
        self._last = error if isinstance(error, ProxyError) else self._last
        self._conclude(0.0)

    def settle(self) -> None:
        """The only block is there: let the walk come to its end, so that its connection can be used again."""
        self._await(NEVER)  # nothing is left in it that could wait

    def stop(self) -> None:
        """End the walk now, wherever it is; one that has said its last word may still finish its connection."""
        self._forget_timer()
        if self._rest is not None:
            self._rest.stop()
            return
        if not self._over:
            self._hub.loop.run_callback(self._throw, self._exit())
        while not self._over:
            self._host = self._here()
            try:
                self._hub.switch()
            finally:
                self._host = None


@lru_cache(maxsize=None)
def _words_of_gevent() -> Tuple[Any, Any, Any]:
    from gevent import GreenletExit, get_hub, getcurrent

    return getcurrent, GreenletExit, get_hub


Flow = Union[PlainFlow, GreenFlow]


def open_flow(walk: Walk, pulled: Optional[Pulled] = None) -> Flow:
    """The flow that this host allows: what matters is whether sockets are patched, not whether gevent is installed."""
    monkey = sys.modules.get("gevent.monkey")
    green = monkey is not None and monkey.is_module_patched("socket")
    return GreenFlow(walk, pulled) if green else PlainFlow(walk)
