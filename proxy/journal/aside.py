"""Work that may take long, beside the exchanges: in a thread of the system's own, also where threads are greenlets."""

from __future__ import annotations

import _thread
import sys
import time
from contextlib import suppress
from typing import Any, Callable, TypeVar

Sleep = Callable[[float], None]
T = TypeVar("T")


def aside(work: Callable[[Sleep], None], after: float) -> None:
    """Begin ``work`` in ``after`` seconds; it is given a sleep that holds up nobody. What it raises is dropped.

    It must use no lock, log or thread-local of the program: under gevent they are those of greenlets.
    """
    monkey = sys.modules.get("gevent.monkey")
    start: Any = monkey.get_original("_thread", "start_new_thread") if monkey else _thread.start_new_thread
    sleep: Any = monkey.get_original("time", "sleep") if monkey else time.sleep
    with suppress(RuntimeError):  # no thread can be had: what is left undone is done the next time
        start(_run, (work, sleep, after))


def elsewhere(work: Callable[[], T]) -> T:
    """Do ``work`` where it holds up no other exchange, and wait for it; the same rules as for ``aside``."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return work()
    import gevent

    hub = gevent.get_hub()
    if gevent.getcurrent() is hub:
        return work()
    result: T = hub.threadpool.apply(work)
    return result


def system_lock() -> Any:
    """A re-entrant lock between the system's threads. Who holds it must not switch greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return (monkey.get_original("_thread", "RLock") if monkey else _thread.RLock)()


def _run(work: Callable[[Sleep], None], sleep: Sleep, after: float) -> None:
    sleep(after)
    with suppress(Exception):
        work(sleep)
