"""What hangs is ended and named: nothing in the suite waits for ever.

pytest-timeout makes a test fail that takes too long (pyproject.toml). Here is what holds where that cannot help, in a
fixture that hangs once more while it is torn down, in C code, or at a process's end; .ci/suite bounds the whole.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Iterator

import pytest

COLLECTING = 300  # seconds for reading all the tests
GRACE = 60  # and those between a test's being made to fail and the end of its process
LEAVING = 45  # and those for the end of all, when pytest-xdist waits 10 for its workers and then kills them


def let_pools_be_entered_twice() -> None:
    """Give the SDKs' connection pools locks that a thread may take again.

    A stream that an SDK has abandoned is closed by the garbage collector, in whatever thread and line it runs; where
    that line holds the pool's lock, closing would wait for it for ever (https://github.com/encode/httpcore/issues/996).
    """
    with suppress(ImportError):
        from httpcore import _synchronization

        def reentrant(lock: Any) -> None:
            lock._lock = threading.RLock()

        _synchronization.ThreadLock.__init__ = reentrant  # type: ignore[method-assign]


class Unstuck:
    """Ends this process with every thread's stack when time is up, and knows which tests have not ended."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.works = hasattr(config, "workerinput")
        self.told = os.dup(2)  # stderr itself: what is captured would die with the process
        self.since: dict[str, float] = {}
        if not self.works:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # .ci/suite's bound: then a summary is told

    def bound(self, seconds: float) -> None:
        """End this process unless it gets further within ``seconds``; a debugger may take its time."""
        if not self.config.getoption("usepdb"):
            faulthandler.dump_traceback_later(seconds, exit=True, file=self.told)

    def bound_test(self, item: pytest.Item) -> None:
        """End this process when a test goes on beyond what pytest-timeout gives it; 0 there is no end."""
        marker = item.get_closest_marker("timeout")
        given = marker.args[0] if marker else self.config.getoption("timeout")
        seconds = float(self.config.getini("timeout") if given is None else given)
        if seconds:
            self.bound(seconds + GRACE)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        """Reading the tests ends."""
        self.bound(COLLECTING)
        yield
        faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A test ends, whatever its fixtures do."""
        self.bound_test(item)
        yield
        faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self, node: Any) -> None:
        """A test that has failed is still to be torn down, and both other bounds have been taken away by now."""
        if isinstance(node, pytest.Item):
            self.bound_test(node)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Remember when a test, of a worker's, too, has begun."""
        self.since[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It has ended."""
        self.since.pop(nodeid, None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """The process ends, whatever threads it has left; a worker is told to by the one that waits for it."""
        if not self.works:
            self.bound(LEAVING)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name those that had not ended when all did."""
        for nodeid, since in self.since.items():
            terminalreporter.write_line(f"not ended after {time.monotonic() - since:.0f} s: {nodeid}")
