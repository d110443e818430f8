"""How a gunicorn worker leaves: told to stop, it lets exchanges in flight end and does not wait for idle connections.

The application may offer ``app.extensions["drain"]``: called once, in the background, when the worker is told to stop.
It turns /readyz to 503 and sees to it that streams are ended by ``--drain``.
"""

from __future__ import annotations

import signal
import time
from threading import Thread
from typing import Any, Callable, Dict

from config import Settings

GRACE = 0.5  # seconds in which a connection that is open but silent may still send its request
STEP = 0.1  # seconds between two looks at the idle connections


def prepare(worker: Any, settings: Settings, *, shield: bool = False) -> None:
    """Teach a worker that is ready to serve how to leave.

    ``shield`` keeps Ctrl-C, which a terminal sends to all processes of the program, from a worker whose master turns it
    into an orderly stop.
    """
    idle = Idle(None)
    if _is_gevent(worker):  # the threaded worker closes idle connections itself
        idle = Idle(worker.timeout_ctx)
        worker.timeout_ctx = idle.wait
    signal.signal(signal.SIGTERM, Leaving(worker, idle, settings.drain_notice).asked)
    if shield:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class Leaving:
    """One worker's way out: on SIGTERM the application is told, after ``notice`` seconds the listener closes."""

    def __init__(self, worker: Any, idle: Idle, notice: float) -> None:
        self._worker = worker
        self._idle = idle
        self._notice = notice
        self._asked = False

    def asked(self, sign: int, frame: Any) -> None:
        """SIGTERM came; the master may send it again and again."""
        if not self._asked:
            self._asked = True
            _in_background(self._worker, self.leave)

    def leave(self) -> None:
        """Tell the application, give the notice, let gunicorn close the listener, and close what is idle."""
        drain = getattr(self._worker.wsgi, "extensions", {}).get("drain")
        if drain is not None:
            _in_background(self._worker, drain)
        time.sleep(self._notice)
        self._worker.handle_exit(signal.SIGTERM, None)
        while True:  # until the process ends
            self._idle.close()
            time.sleep(STEP)


class Idle:
    """The connections of a gevent worker that wait for a request, each in the timeout gunicorn made for that wait."""

    def __init__(self, timeout_ctx: Any) -> None:
        self._timeout_ctx = timeout_ctx
        self.waiting: Dict[Any, float] = {}

    def wait(self) -> Wait:
        """What gunicorn enters while it waits for the next request of a connection."""
        return Wait(self, self._timeout_ctx())

    def close(self) -> None:
        """End the waits that are older than the grace; gunicorn then closes their connections."""
        if not self.waiting:
            return
        from gevent import get_hub

        for wait, since in list(self.waiting.items()):
            if time.monotonic() - since >= GRACE:
                get_hub().loop.run_callback(wait.end)


class Wait:
    """One wait, which can be ended from outside as if its time were over."""

    def __init__(self, idle: Idle, timeout: Any) -> None:
        self._idle = idle
        self._timeout = timeout
        self._waiter: Any = None

    def __enter__(self) -> None:
        from gevent import getcurrent

        self._waiter = getcurrent()
        self._idle.waiting[self] = time.monotonic()
        self._timeout.__enter__()

    def __exit__(self, *exc: Any) -> Any:
        self._idle.waiting.pop(self, None)
        return self._timeout.__exit__(*exc)

    def end(self) -> None:
        """Called by the hub: a wait that ended by itself meanwhile is left alone."""
        if self in self._idle.waiting:
            self._waiter.throw(self._timeout)


def _in_background(worker: Any, work: Callable[[], None]) -> None:
    if _is_gevent(worker):
        from gevent import spawn

        spawn(work)  # a signal may come while the hub runs, where nothing may wait, not even for a thread to start
    else:
        Thread(target=work, daemon=True).start()


def _is_gevent(worker: Any) -> bool:
    return hasattr(worker, "timeout_ctx")
