"""Serving in one process with gevent's own server, where gunicorn does not exist."""

from __future__ import annotations

import signal
import socket
from io import BytesIO
from typing import Any, Callable, Dict, List

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIHandler, WSGIServer

from config import KEEPALIVE, Settings
from proxy import create_app
from proxy.routes.watch import SOCKET
from proxy.serve import greet
from proxy.strict import MOST_LINES, fault_of

STEP = 0.1  # seconds between two looks at whether the last exchange has ended


class Conversation(WSGIHandler):  # type: ignore[misc] # gevent has no types here
    """One connection; shows path and socket as they are, as gunicorn does, and counts the exchanges in flight."""

    def get_environ(self) -> Dict[str, Any]:
        """gevent's environ, the raw path, and the socket."""
        environ: Dict[str, Any] = super().get_environ()
        environ["RAW_URI"] = self.path
        environ[SOCKET] = self.socket
        return environ

    def read_requestline(self) -> str:
        """The next request's first line; empty, as if the client had left, if the connection stays idle."""
        line: str = ""
        with gevent.Timeout(min(KEEPALIVE, self.server.settings.client_timeout), False):
            line = super().read_requestline()
        return line  # noqa: RET504 - the timeout, which ends quietly, leaves it empty

    def read_request(self, raw_requestline: str) -> bool:
        """The request's head, which gevent takes for sound whatever it is. Raises ValueError unless it is."""
        fields = self._fields()
        fault = fault_of(raw_requestline.encode("latin-1"), fields[:-1])
        if fault is not None:
            raise ValueError(fault)
        rest: Any = self.rfile
        self.rfile: Any = BytesIO(b"".join(fields))
        try:
            return bool(super().read_request(raw_requestline))
        finally:
            self.rfile = rest

    def _fields(self) -> List[bytes]:
        """The header lines and the empty one behind them."""
        settings = self.server.settings
        fields: List[bytes] = []
        with gevent.Timeout(settings.client_timeout, ValueError("its head did not come")):
            while not fields or fields[-1] != b"\r\n":
                fields.append(self.rfile.readline(settings.max_header_bytes + 1))
                if len(fields[-1]) > settings.max_header_bytes or len(fields) > MOST_LINES or not fields[-1]:
                    raise ValueError("its head is too large, or has no end")
        return fields

    def handle_one_response(self) -> None:
        """Answer one request; behind a body that broke its framing nobody knows where the next one begins."""
        self.server.in_flight += 1
        try:
            super().handle_one_response()
        finally:
            self.server.in_flight -= 1
            if self.wsgi_input._chunked_input_error:
                self.close_connection = True


class Single(WSGIServer):  # type: ignore[misc] # gevent has no types here
    """gevent's server, which knows how many exchanges are in flight."""

    in_flight = 0
    settings = Settings()


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve until told to stop."""
    app = create_app(settings)
    # How many exchanges there may be is the application's affair: connections are more, and most of them idle
    server = Single(listener, app, log=None, handler_class=Conversation)
    server.settings = settings
    told = Event()
    asked: List[int] = []

    def stop(sign: int, frame: Any) -> None:
        asked.append(sign)
        gevent.spawn(told.set)  # a signal may come while the hub runs, which must not wait for anything

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    app.extensions["crew"].join()
    server.start()
    greet(settings, listener.getsockname()[1])
    told.wait()
    leave(server, settings, app.extensions.get("drain"), asked)


def leave(server: Single, settings: Settings, drain: Any, asked: List[int]) -> None:
    """Keep listening for the notice, then let exchanges end for as long as --drain says; a second signal ends both."""
    if drain is not None:
        gevent.spawn(drain)
    _wait(settings.drain_notice, lambda: len(asked) > 1)
    server.close()
    _wait(settings.drain, lambda: len(asked) > 1 or not server.in_flight)
    server.stop(timeout=STEP)


def _wait(seconds: float, over: Callable[[], bool]) -> None:
    with gevent.Timeout(seconds, False):
        while seconds and not over():
            gevent.sleep(STEP)
