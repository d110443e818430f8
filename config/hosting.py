"""What gunicorn is told, from the same settings, whether it is ours (`python app.py`) or started by its own command."""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from typing import Any, Dict, Iterator

from config.settings import ConfigError, Settings

KEEPALIVE = 75  # seconds; gunicorn's own 2 s resets clients that reuse a connection (Node keeps them 5 s and more)
KILL_MARGIN = 10  # seconds between the app ending its streams and the master killing the worker
HUNG = 120  # seconds; a gevent worker says each second that it lives, so this is a hung hub and never a long answer
SPARE_CONNECTIONS = 64  # health checks and idle connections beside the exchanges in flight and in the queue


def address(settings: Settings) -> str:
    """Host and port as gunicorn's ``bind`` wants them, IPv6 in brackets."""
    host = settings.expose_host
    return f"[{host}]:{settings.expose_port}" if ":" in host else f"{host}:{settings.expose_port}"


def gunicorn_options(settings: Settings) -> Dict[str, Any]:
    """gunicorn's settings by gunicorn's names; times in whole seconds. An older gunicorn may not know them all."""
    return {
        "bind": address(settings),
        "workers": settings.workers,
        "worker_class": "gevent",
        "worker_connections": settings.max_exchanges + settings.queue + SPARE_CONNECTIONS,
        "keepalive": KEEPALIVE,
        "timeout": HUNG,
        "graceful_timeout": math.ceil(settings.drain_notice + settings.drain) + KILL_MARGIN,
        "limit_request_line": settings.max_request_line,
        "limit_request_field_size": settings.max_header_bytes,
        "preload_app": False,
        # gunicorn_h1c, where it is installed, would take folded headers and bare line feeds (measured)
        "http_parser": "python",
        "accesslog": None,
        "errorlog": "-",
        "loglevel": "warning",
        "proc_name": "openai-forward",
        "forwarded_allow_ips": "",
        "control_socket_disable": True,
    }


@contextmanager
def clear_errors(status: int = 2) -> Iterator[None]:
    """Tell a wrong setting in one line and leave with ``status``; any other error keeps its traceback.

    A gunicorn worker leaves with 4 (it could not load its application): after any other status it would be replaced
    by the next one, for ever.
    """
    try:
        yield
    except ConfigError as exc:
        exc.show()
        sys.exit(status)
