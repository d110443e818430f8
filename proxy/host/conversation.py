"""A client's connection under gunicorn's gevent worker: plain requests are served here, any other by gunicorn itself.

A request is looked at in the kernel's buffer and taken out of it only if it is plain, so that gunicorn can go on at any
request as if it had been there from the beginning. gunicorn's own way for each request costs as much as ours.
"""

from __future__ import annotations

import errno
import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Dict, Optional

from proxy.host.heads import read_head
from proxy.host.incoming import Incoming
from proxy.host.saying import Saying
from proxy.upstream.patience import Patience
from proxy.upstream.sockets import silent

if TYPE_CHECKING:
    from proxy.leaving import Idle

LOOK = 16384  # bytes of a request that are looked at
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)


def is_ordinary(worker: Any) -> bool:
    """Whether nothing was asked of gunicorn that is done for each connection or request, and that only it can do."""
    from gunicorn.glogging import Logger

    said = worker.cfg
    hooks = (said.settings[name] for name in ("pre_request", "post_request"))
    hooked = any(hook.get() is not hook.default for hook in hooks)
    logs = ("accesslog", "logconfig", "logconfig_dict", "logconfig_json", "syslog", "statsd_host")
    logged = type(worker.log) is not Logger or any(getattr(said, name, None) for name in logs)
    spoken = getattr(said, "protocol", "http") != "http" or getattr(said, "http2_cleartext", "off") != "off"
    behind = said.proxy_protocol not in (False, "off") or said.forwarded_allow_ips or os.environ.get("SCRIPT_NAME")
    return bool(said.keepalive and not (said.is_ssl or hooked or logged or spoken or behind))


class Conversation:
    """What the connections of one worker share; ``handle`` is called in a greenlet of each connection's own."""

    def __init__(self, worker: Any, idle: Idle) -> None:
        from gunicorn.http.wsgi import base_environ

        self._worker = worker
        self._idle = idle
        self._careful = worker.handle
        self._base: Dict[str, Any] = {**base_environ(worker.cfg), "wsgi.multithread": True, "wsgi.url_scheme": "http"}
        self._base.update({"SCRIPT_NAME": "", "SERVER_PROTOCOL": "HTTP/1.1"})
        del self._base["wsgi.file_wrapper"]
        limits = (worker.cfg.limit_request_line, worker.cfg.limit_request_field_size, LOOK // 2)
        self._longest = min(limit for limit in limits if limit > 0)
        self._most = min(worker.cfg.limit_request_fields, 100)

    def handle(self, listener: Any, client: Any, address: Any) -> None:
        """Serve a connection to its end, or let gunicorn."""
        over = True
        try:
            client.setblocking(True)
            over = isinstance(address, tuple) and self._serve(client, self._environ(listener, client, address))
        except OSError as exc:
            if exc.errno not in GONE and not isinstance(exc, socket.timeout):
                self._worker.log.exception("Socket error processing request.")
        except Exception as exc:
            self._worker.handle_error(None, client, address, exc)
        finally:
            if over:
                client.close()
        if not over:
            self._careful(listener, client, address)

    def _environ(self, listener: Any, client: Any, address: Any) -> Dict[str, Any]:
        """What all requests of a connection have in common."""
        server = listener.getsockname()
        return {
            **self._base,
            "gunicorn.socket": client,
            "REMOTE_ADDR": address[0],
            "REMOTE_PORT": str(address[1]),
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
        }

    def _serve(self, client: Any, common: Dict[str, Any]) -> bool:
        """Serve one request after the other; False once there is one that is gunicorn's."""
        silence = Patience(client, self._worker.cfg.keepalive)
        try:
            again: Optional[bool] = True
            ended = False
            while again:
                ended = self._waited(silence)
                if ended and silent(client):
                    return True
                again = self._answer(client, common, silence)  # a request may have come just when the wait was ended
            return ended or again is not None
        finally:
            silence.close()

    def _waited(self, silence: Patience) -> bool:
        """Wait for the next request; whether that was ended, by its own limit or to make room for others."""
        try:
            self._idle.waits(silence)
        except socket.timeout:
            return True
        return False

    def _answer(self, client: Any, common: Dict[str, Any], silence: Patience) -> Optional[bool]:
        """Answer what has come: whether the connection can be used for another request; None if it is gunicorn's."""
        seen = client.recv(LOOK, socket.MSG_PEEK)
        head = read_head(seen, self._longest, self._most) if seen else None
        if head is None:
            return None if seen else False
        there = min(head.size + head.length, len(seen))
        taken = client.recv(there)
        if len(taken) != there:  # a byte was called urgent meanwhile
            return False
        body = Incoming(client, taken[head.size :], head.size + head.length - there)
        keeps = self._counted() and not head.closes
        saying = Saying(client, head.environ["REQUEST_METHOD"] == "HEAD", keeps)
        environ = {**common, **head.environ, "wsgi.input": body}
        try:
            blocks = self._worker.wsgi(environ, saying.start)
            del environ, head, seen, taken  # a stream may be silent for long
            self._say(blocks, saying)
        except OSError:
            raise
        except Exception:
            if not saying.begun:
                raise
            self._worker.log.exception("Error handling request")  # a second answer behind the first would be a lie
            return False
        since = monotonic()
        return keeps and saying.whole and body.spend(lambda: self._idle.waits(silence, since))

    def _counted(self) -> bool:
        """Count a request; whether there may be others, as gunicorn can be told to serve so many only."""
        worker = self._worker
        worker.nr += 1
        worker.alive = worker.alive and worker.nr < worker.max_requests
        return bool(worker.alive)

    def _say(self, blocks: Any, saying: Saying) -> None:
        try:
            for block in blocks:
                saying.write(block)
            saying.end()
        finally:
            if hasattr(blocks, "close"):
                blocks.close()
