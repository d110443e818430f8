"""Work that may take long, beside the exchanges: in threads of the system's own, also where threads are greenlets.

What runs there must use no lock, log or thread-local of the program: under gevent they are those of greenlets.
"""

from __future__ import annotations

import _thread
import os
import sys
import time
from contextlib import suppress
from typing import Any, Callable, Dict, Optional, Tuple, TypeVar

Sleep = Callable[[float], None]
T = TypeVar("T")

# Each kind of work has threads of its own, so that none waits behind another: questions about the journals may take
# seconds, and an exchange is over only when its record is written. None are the hub's, where names are looked up. Few,
# as they share the processor with the streams.
READING, WRITING = "reading", "writing"
THREADS = {READING: 2, WRITING: 4}
_pools: Dict[Tuple[int, int, str], Any] = {}


def is_green() -> bool:
    """Whether sockets are gevent's, so that a blocking call would stop every stream."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def aside(work: Callable[[], T], kind: str = READING) -> T:
    """Do ``work`` where it holds up no exchange, and wait for it: what it returns or raises."""
    if not is_green():
        return work()
    import gevent

    hub = gevent.get_hub()
    if gevent.getcurrent() is hub:
        return work()
    done: T = _pool(hub, kind).apply(_caught, (work,)).value()
    return done


def begin(work: Callable[[Sleep], None], after: float) -> None:
    """Begin ``work`` in ``after`` seconds; it is given a sleep that holds up nobody. What it raises is dropped."""
    monkey = sys.modules.get("gevent.monkey")
    start: Any = monkey.get_original("_thread", "start_new_thread") if monkey else _thread.start_new_thread
    sleep: Any = monkey.get_original("time", "sleep") if monkey else time.sleep
    with suppress(RuntimeError):  # no thread can be had: what is left undone is done the next time
        start(_run, (work, sleep, after))


def system_lock() -> Any:
    """A re-entrant lock between the system's threads. Who holds it must not switch greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return (monkey.get_original("_thread", "RLock") if monkey else _thread.RLock)()


class _Result:
    """What came of a call; gevent would print the traceback of an exception before it hands it over."""

    def __init__(self, value: Any = None, error: Optional[BaseException] = None) -> None:
        self._value = value
        self._error = error

    def value(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


def _caught(work: Callable[[], Any]) -> _Result:
    try:
        return _Result(work())
    except Exception as exc:
        return _Result(error=exc)


def _pool(hub: Any, kind: str) -> Any:
    from gevent.threadpool import ThreadPool

    name = os.getpid(), id(hub), kind  # a pool made before a fork has no threads after it
    if name not in _pools:
        for old in [one for one in _pools if one[0] != name[0]]:
            del _pools[old]
        _pools[name] = ThreadPool(THREADS[kind], hub=hub)
    return _pools[name]


def _run(work: Callable[[Sleep], None], sleep: Sleep, after: float) -> None:
    sleep(after)
    with suppress(Exception):
        work(sleep)
