"""What the cost guard compares with: `python plain_host.py PORT`, gunicorn's gevent worker and a constant answer."""

from __future__ import annotations

import sys
from typing import Any, Callable

from gunicorn.app.base import BaseApplication

ANSWER = b'{"answer": "%s"}' % (b"x" * 500)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """As little as a WSGI application can do."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))])
    return [ANSWER]


class Host(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """gunicorn with one gevent worker."""

    def load_config(self) -> None:
        """Quiet, and on the port that was asked for."""
        options = {"bind": f"127.0.0.1:{sys.argv[1]}", "worker_class": "gevent", "keepalive": 75, "loglevel": "error"}
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application."""
        return application


if __name__ == "__main__":
    Host().run()
