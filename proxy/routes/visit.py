"""A request for a page of ours, and how such a page answers."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Tuple
from urllib.parse import parse_qsl

import msgspec
from flask import Request, Response

from proxy.exchange import Parts
from proxy.routes.arrived import Arrived
from proxy.routes.live import Live

PREFIX = "/_forward/"

# The pages show what models said: nothing in them may run, load from elsewhere, or be framed by another page. The
# referrer stays within the origin rather than nowhere: without any, a form's Origin would be "null" (Fetch, 3.2).
SECURE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Visit(NamedTuple):
    """One request for a page of ours; ``words`` are what its path has where the table's pattern has stars."""

    request: Request
    came: Arrived
    parts: Parts
    live: Live
    words: Tuple[str, ...] = ()

    @property
    def query(self) -> Dict[str, str]:
        """The query's parameters; of one that is repeated the last."""
        return dict(parse_qsl(self.came.query, keep_blank_values=True))

    @property
    def top(self) -> str:
        """The address of our pages for the browser, where the application is mounted below a path too."""
        return str(self.request.script_root) + PREFIX


Page = Callable[[Visit], Response]


def told(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def refused(status: int, code: str, message: str) -> Response:
    """A failure in the one form that all of ours have."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return told({"error": error}, status)


def secured(response: Response) -> Response:
    """The response with the headers that every page of ours carries, unless it brings its own."""
    for name, value in SECURE.items():
        response.headers.setdefault(name, value)
    return response
