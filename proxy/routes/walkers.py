"""Greenlets that walk one exchange after the other: to make one costs twenty times as much as to switch to it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, List

SPARE = 64  # that wait for work; more are made for as long as they are needed

Walked = Callable[[], None]


def walker(hub: Any) -> Any:
    """A greenlet that begins whatever work is switched to it, and goes back to the hub when that is done."""
    from greenlet import greenlet

    spare = _spare_of(hub)
    return spare.pop() if spare else greenlet(_Walking(hub, spare).walk, hub)


class _Walking:
    def __init__(self, hub: Any, spare: List[Any]) -> None:
        self._hub = hub
        self._spare = spare

    def walk(self, work: Walked) -> None:
        """The life of a walker, which ends only where there are enough of them."""
        from greenlet import getcurrent

        me = getcurrent()
        while True:
            work()
            del work  # what an exchange has made goes with it
            if len(self._spare) >= SPARE:
                return
            self._spare.append(me)
            work = self._hub.switch()


@lru_cache(maxsize=8)
def _spare_of(hub: Any) -> List[Any]:
    """Those of a hub, which no other can switch to."""
    return []
