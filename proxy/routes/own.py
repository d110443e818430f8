"""What the proxy itself answers: who it is, whether it lives, and whether it is ready. None of it is journaled."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import msgspec
from flask import Response

from proxy.exchange import Parts
from proxy.routes.live import Live
from proxy.version import VERSION

Answer = Tuple[int, Dict[str, Any]]
Page = Callable[[Parts, Live], Answer]
PREFIX = "/_forward/"


def hello(parts: Parts, live: Live) -> Answer:
    """Who answers here."""
    return 200, {"name": "OpenAI-Forward", "version": VERSION}


def healthz(parts: Parts, live: Live) -> Answer:
    """The process lives."""
    return 200, {"status": "ok"}


def readyz(parts: Parts, live: Live) -> Answer:
    """It takes asks, unless it was told to stop; a journal in trouble is told, and stops nobody."""
    trouble = parts.journal.trouble
    if live.draining:
        return 503, {"status": "stopping"}
    return 200, {"status": "ready", "journal": trouble or "ok", "journal_drops": parts.journal.drops}


def nothing(parts: Parts, live: Live) -> Answer:
    """There is no such page under our prefix."""
    error = {"message": "There is no such page.", "type": "invalid_request_error", "param": None, "code": "not_found"}
    return 404, {"error": error}


PAGES: Dict[str, Page] = {
    "/": hello,
    "/healthz": healthz,
    "/readyz": readyz,
    "/_forward/healthz": healthz,
    "/_forward/readyz": readyz,
}


def page_for(method: str, path: str) -> Page | None:
    """The page of ours that a request means, if any."""
    if method not in ("GET", "HEAD"):
        return nothing if path.startswith(PREFIX) else None
    return PAGES.get(path) or (nothing if path.startswith(PREFIX) else None)


def show(page: Page, parts: Parts, live: Live) -> Response:
    """A page as a response."""
    status, value = page(parts, live)
    return Response(msgspec.json.encode(value), status, {"Cache-Control": "no-store"}, content_type="application/json")
