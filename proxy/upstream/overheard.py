"""Waiting for a body's next piece and for an early answer at once, where gevent lets one wait for both.

A host of plain threads waits for the client alone: there an early answer is heard before the next piece is sent.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator

from proxy.aside import is_green

READ = 1  # libev's word for readable

Heard = Callable[[], "BaseException | None"]


def overheard(pieces: Iterable[bytes], sock: Any, heard: Heard) -> Iterator[bytes]:
    """``pieces``; while the next is waited for, ``heard`` is called when ``sock`` can be read: an exception ends it."""
    watching = _watching if is_green() else _waiting
    source = iter(pieces)
    while True:
        with watching(sock, heard):
            piece = next(source, None)
        if piece is None:
            return
        yield piece


@contextmanager
def _waiting(sock: Any, heard: Heard) -> Iterator[None]:
    yield


@contextmanager
def _watching(sock: Any, heard: Heard) -> Iterator[None]:
    from gevent import get_hub, getcurrent

    waiter = getcurrent()
    watcher = get_hub().loop.io(sock.fileno(), READ)

    def ready() -> None:  # in the hub, where nothing may wait
        problem = heard()
        if problem is not None:
            watcher.stop()
            waiter.throw(problem)

    watcher.start(ready)
    try:
        yield
    finally:
        watcher.stop()
        watcher.close()
