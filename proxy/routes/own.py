"""What the proxy itself answers: who it is, whether it lives, and its operator's pages. None of it is journaled."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from flask import Response

from config import Settings
from proxy import viewer
from proxy.routes import archived
from proxy.routes.admin import guard, login, logout
from proxy.routes.crewed import cancel, health, live, metrics
from proxy.routes.visit import PREFIX, Page, Visit, refused, secured, told
from proxy.version import VERSION


def hello(visit: Visit) -> Response:
    """Who answers here."""
    return told({"name": "OpenAI-Forward", "version": VERSION})


def healthz(visit: Visit) -> Response:
    """The process lives."""
    return told({"status": "ok"})


def readyz(visit: Visit) -> Response:
    """It takes asks, unless it was told to stop; a journal in trouble is told, and stops nobody."""
    if visit.live.draining:
        return told({"status": "stopping"}, 503)
    journal = visit.parts.journal
    return told({"status": "ready", "journal": journal.trouble or "ok", "journal_drops": journal.drops})


def nothing(visit: Visit) -> Response:
    """There is no such page under our prefix."""
    return refused(404, "not_found", "There is no such page.")


METRICS = "/metrics"  # the provider's, unless --own_metrics

# Open to everybody: these tell nothing that a client does not see anyway.
OPEN: Dict[Tuple[str, str], Page] = {
    ("GET", "/"): hello,
    ("GET", "/healthz"): healthz,
    ("GET", "/readyz"): readyz,
    ("GET", "/_forward/healthz"): healthz,
    ("GET", "/_forward/readyz"): readyz,
    **viewer.OPEN,
    ("POST", "/_forward/login"): login,
    ("POST", "/_forward/logout"): logout,
}

# For the operator: ``guard`` has let the visit in before any of these sees it. A star stands for one word of the path,
# two at the end for the rest of it.
GUARDED: Dict[Tuple[str, str], Page] = {
    **archived.PAGES,
    **viewer.PAGES,
    ("GET", "/_forward/api/health"): health,
    ("GET", "/_forward/api/live"): live,
    ("GET", "/_forward/metrics"): metrics,
    ("POST", "/_forward/api/exchanges/*/cancel"): cancel,
}


def is_ours(path: str, settings: Settings) -> bool:
    """Whether a path is never the provider's, whatever the method."""
    return path.startswith(PREFIX) or path == PREFIX.rstrip("/") or (path == METRICS and settings.own_metrics)


def page_for(visit: Visit) -> Optional[Response]:
    """What we answer to a request that is ours; None for all others."""
    method, path = visit.came.method, visit.came.path
    asked = "GET" if method == "HEAD" else method
    page = OPEN.get((asked, path))
    if page is not None:
        return secured(page(visit))
    if not is_ours(path, visit.parts.settings):
        return None
    return secured(guard(visit) or _guarded(visit, asked))


def _guarded(visit: Visit, method: str) -> Response:
    if visit.came.path == METRICS:
        return metrics(visit) if method == "GET" else nothing(visit)
    for (wanted, pattern), page in GUARDED.items():
        words = matched(pattern, visit.came.path)
        if wanted == method and words is not None:
            return page(visit._replace(words=words))
    return nothing(visit)


def matched(pattern: str, path: str) -> Optional[Tuple[str, ...]]:
    """What stands in a path where the pattern has stars; None if it is another path."""
    wanted, given = pattern.split("/"), path.split("/")
    if wanted[-1] == "**" and len(given) >= len(wanted):
        given = [*given[: len(wanted) - 1], "/".join(given[len(wanted) - 1 :])]
    if len(wanted) != len(given):
        return None
    words: List[str] = []
    for want, word in zip(wanted, given):
        if want in ("*", "**") and word:
            words.append(word)
        elif want != word:
            return None
    return tuple(words)
