"""The page itself and its files. What it shows it asks for later; only what never changes meanwhile is in it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Tuple

from flask import Response, render_template

from config import in_force, mask_url
from config.kinds import EMBEDDED
from proxy.archive.filters import NAMES, OUTCOMES
from proxy.routes.visit import Visit, refused
from proxy.version import VERSION

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def home(visit: Visit) -> Response:
    """The page's address without its last slash, where its relative links would lead astray."""
    return Response(status=308, headers={"Location": visit.top})


def page(visit: Visit) -> Response:
    """The page, with the filters that are in its address."""
    settings = visit.parts.settings
    text = render_template(
        "page.html",
        version=VERSION,
        outcomes=OUTCOMES,
        wanted={name: visit.query.get(name, "") for name in NAMES},
        settings=in_force(settings),
        provider=mask_url(settings.url),
        dialect=visit.parts.family.name,
        costs=not settings.url.lower().startswith(tuple(f"{scheme}:" for scheme in EMBEDDED)),
        stored=settings.api_key is not None,
        token=bool(settings.admin_token),
        kept=settings.log_content,
    )
    return Response(text, content_type="text/html; charset=utf-8")


def file(visit: Visit) -> Response:
    """One of the page's files; a browser asks again each time, and is told when it has it already."""
    name = visit.words[0]
    if name not in names():
        return refused(404, "not_found", "There is no such file.")
    data, mark = content(name)
    response = Response(data, content_type=KINDS[Path(name).suffix], headers={"Cache-Control": "no-cache"})
    response.set_etag(mark)
    response.make_conditional(visit.request)
    return response


def file_of_form(visit: Visit) -> Response:
    """A file that the form for the token needs, whose reader has none yet."""
    return file(visit._replace(words=(visit.came.path.rpartition("/")[2],)))


@lru_cache(maxsize=1)
def names() -> Tuple[str, ...]:
    """The files that there are."""
    return tuple(sorted(path.name for path in STATIC.iterdir() if path.suffix in KINDS))


@lru_cache(maxsize=64)
def content(name: str) -> Tuple[bytes, str]:
    """A file and its checksum."""
    data = (STATIC / name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:20]
