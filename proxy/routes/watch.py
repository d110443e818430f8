"""Is the client still there? One watcher per worker asks the kernel, so that leaving is noticed while we wait (C58).

EPOLLRDHUP tells a closed or half-closed peer whatever lies unread in the socket: TLS records, pipelined requests, stray
line ends, an upload in progress. Nothing is read and nothing is peeked at. An epoll descriptor is itself pollable, so
gevent's loop wakes us; nobody polls. Where epoll does not exist, or under threads, the next write notices.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Mapping, Optional

Left = Callable[[], object]
SOCKET = "openai_forward.socket"  # where our own host of one process shows what gunicorn shows as its own


def socket_of(environ: Mapping[str, Any]) -> Any:
    """The client's socket, if the host shows it (gunicorn, gevent's own server)."""
    return environ.get("gunicorn.socket") or environ.get(SOCKET)


def descriptor_of(sock: Any) -> Optional[int]:
    """The file descriptor of a client's socket that is open."""
    try:
        return int(sock.fileno()) if sock is not None else None
    except (OSError, ValueError, AttributeError):
        return None


class Watchman:
    """Calls back, once, when a watched descriptor's peer has gone; made on first use, in the worker."""

    def __init__(self) -> None:
        self._left: Dict[int, Left] = {}
        self._poll: Any = None

    def watch(self, descriptor: Optional[int], left: Left) -> None:
        """Watch a client's socket until ``forget``; does nothing where the host has no such thing."""
        if descriptor is None or descriptor < 0 or not _can_watch():
            return
        self._start()
        self._left[descriptor] = left
        self._register(descriptor)

    def forget(self, descriptor: Optional[int]) -> None:
        """Stop watching; harmless if nothing was watched."""
        if descriptor is not None and self._left.pop(descriptor, None) is not None:
            try:
                self._poll.unregister(descriptor)
            except (OSError, ValueError):  # the host has closed it
                return

    def _start(self) -> None:
        if self._poll is None:
            import select

            from gevent import monkey, spawn

            epoll = getattr(select, "epoll", None) or monkey.get_original("select", "epoll")
            self._poll = epoll()
            spawn(self._serve)

    def _register(self, descriptor: int) -> None:
        import select

        flags = select.EPOLLRDHUP | select.EPOLLONESHOT
        try:
            self._poll.register(descriptor, flags)
        except FileExistsError:
            self._poll.modify(descriptor, flags)
        except OSError:
            self._left.pop(descriptor, None)

    def _serve(self) -> None:
        from gevent import get_hub

        watcher = get_hub().loop.io(self._poll.fileno(), 1)
        while True:
            get_hub().wait(watcher)
            for descriptor, _ in self._poll.poll(0):
                left = self._left.pop(descriptor, None)
                if left:
                    left()


def _can_watch() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return sys.platform.startswith("linux") and monkey is not None and bool(monkey.is_module_patched("socket"))
