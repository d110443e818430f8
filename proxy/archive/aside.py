"""Work that blocks, done beside the hub: in a native thread under gevent, in the caller's own elsewhere."""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep
from typing import Any, Callable, Dict, Optional, TypeVar

from proxy.archive import Archive

T = TypeVar("T")
# Few: they share the processor with the streams. Not the hub's own pool, where names are looked up.
THREADS = 2
_pools: Dict[int, Any] = {}
# Seconds of taking in at a time, and of leaving the processor to the streams in between.
TURN, PAUSE = 0.03, 0.01


def is_green() -> bool:
    """Whether sockets are gevent's, so that a blocking call would stop every stream."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def aside(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises. It must not touch anything that belongs to the hub."""
    if not is_green():
        return work()
    kept: T = _pool().apply(_caught, (work,)).value()
    return kept


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


def _pool() -> Any:
    from gevent.threadpool import ThreadPool

    pid = os.getpid()  # a pool made before a fork has no threads after it
    if pid not in _pools:
        _pools.clear()
        _pools[pid] = ThreadPool(THREADS)
    return _pools[pid]


def catch_up(archive: Archive, seconds: float) -> bool:
    """Take in what is new, for at most so long and in small turns; True if nothing is left. Raises OSError."""
    end = monotonic() + seconds
    while True:
        done = aside(lambda: archive.refresh(budget_s=TURN))
        if done or monotonic() >= end:
            return done
        sleep(PAUSE)
