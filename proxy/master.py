"""gunicorn's master as our own: gevent workers on a socket we opened, an orderly stop, and few words."""

from __future__ import annotations

import signal
import socket
import sys
from typing import Any, Callable, NoReturn

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.sock import TCP6Socket, TCPSocket

from config import Settings, gunicorn_options
from proxy import create_app
from proxy.crew.place import leave_nothing
from proxy.leaving import newborn, prepare
from proxy.reload import again
from proxy.serve import greet

IMPATIENCE = 2  # seconds a worker gets to end by itself once stopping is no longer orderly


def run(settings: Settings, listener: socket.socket, reread: Callable[[], Settings]) -> None:
    """Serve until told to stop; then end the process with status 0."""
    Master(Server(settings, reread), listener).run()


class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """What gunicorn asks an application: its settings and, in each worker, the application itself."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self.settings = settings
        self._reread = reread
        super().__init__()

    def load_config(self) -> None:
        """Set what this gunicorn knows of our options; older ones know fewer."""
        hooks = {
            "when_ready": lambda master: greet(self.settings, master.LISTENERS[0].getsockname()[1]),
            "post_fork": lambda master, worker: newborn(worker),
            "post_worker_init": lambda worker: prepare(worker, self.settings, shield=True),
            "on_exit": lambda master: leave_nothing(self.settings),
        }
        options = {**gunicorn_options(self.settings), **hooks}
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made in the worker."""
        return create_app(self.settings)

    def reload(self) -> None:
        """SIGHUP: new workers get the file's new settings; if it has become wrong, the old ones stay."""
        self.settings = again(self.settings, self._reread)
        super().reload()


class Master(Arbiter):  # type: ignore[misc] # gunicorn has no types
    """SIGTERM and Ctrl-C let exchanges end; another Ctrl-C does not."""

    def __init__(self, server: Server, listener: socket.socket) -> None:
        super().__init__(server)
        self.stopping = False
        kind = TCP6Socket if listener.family == socket.AF_INET6 else TCPSocket
        self.LISTENERS = [kind(listener.getsockname(), self.cfg, self.log, fd=listener.detach())]

    def handle_int(self) -> NoReturn:
        """Ctrl-C: as SIGTERM."""
        raise StopIteration  # gunicorn's word for an orderly stop

    def handle_usr2(self) -> None:
        """Starting a second master beside this one is left to whoever supervises it."""

    def stop(self, graceful: bool = True) -> None:
        """Close the listener and wait for the workers, at most ``graceful_timeout``."""
        self.stopping = True
        super().stop(graceful)

    def spawn_worker(self) -> Any:
        """Fork a worker; a SIGTERM that comes before it has a handler of its own (``newborn``) waits for that."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def signal(self, sig: int, frame: Any) -> None:
        """A signal came; during a stop nobody reads the queue, and a second Ctrl-C must not wait."""
        if not self.stopping or sig not in (signal.SIGINT, signal.SIGQUIT):
            super().signal(sig, frame)
            return
        self.kill_workers(signal.SIGQUIT)
        signal.signal(signal.SIGALRM, lambda *_: self.kill_workers(signal.SIGKILL))
        signal.alarm(IMPATIENCE)

    def halt(self, reason: Any = None, exit_status: int = 0) -> None:
        """Stop; without an application the status is that of any wrong start."""
        if reason is not None:
            print(f"Error: {reason}", file=sys.stderr, flush=True)
        super().halt(exit_status=exit_status)
