"""One door for every method and path: our own pages, asks in a dialect we speak, and everything else."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Dict, Iterable, Optional, Union

from flask import Flask, Request, Response, request

from config import Settings
from proxy.dialects import DIALECTS, Dialect
from proxy.errors import failure
from proxy.exchange import Parts
from proxy.routes.admission import admit
from proxy.routes.arrived import Arrived, arrived, target_of
from proxy.routes.asks import answer
from proxy.routes.cors import is_preflight, permit, preflight
from proxy.routes.deliver import Delivery, Door, Outgoing
from proxy.routes.forwards import forward
from proxy.routes.live import Live
from proxy.routes.own import is_ours, page_for
from proxy.routes.refused import Refused
from proxy.routes.roll import Roll
from proxy.routes.services import serve, service_for
from proxy.routes.visit import Visit
from proxy.routes.watch import Watchman
from proxy.tracing.context import told, trace_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger("proxy")


def mount(app: Flask, parts: Parts) -> None:
    """Answer everything ahead of flask's own matching, which decodes paths, redirects, and refuses WebSockets."""
    spoken = paths_of(parts)

    settings = parts.settings
    patience = settings.drain_notice + settings.drain
    live = Live(patience, settings.max_exchanges, settings.queue, settings.queue_timeout)
    door = Door(Watchman(), live)
    Roll(parts, live)
    app.extensions["drain"] = live.drain
    app.extensions["crew"] = parts.crew

    # No route is flask's, whose exception for the one it did not find would keep each exchange until garbage is sought.
    app.create_url_adapter = lambda request: None  # type: ignore[method-assign]
    app.request_class = partial(Request, populate_request=False)  # type: ignore[assignment] # the same: no circles
    app.before_request(lambda: _flasks(_answer(parts, door, request)))
    if settings.cors:
        app.after_request(lambda response: _permitted(request, response, settings))
    at_length: Any = app.wsgi_app

    def at_once(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Asks need none of flask's requests, contexts, routes and signals, which cost as much as half of the rest."""
        dialect = spoken.get(spelled(target_of(environ)[0])) if environ["REQUEST_METHOD"] == "POST" else None
        if dialect is None:
            return at_length(environ, start_response)  # type: ignore[no-any-return]
        parts.crew.join()
        outgoing = _answered(parts, door, dialect, arrived(environ, settings.client_timeout))
        if not settings.cors:
            return outgoing.leave(start_response)
        return _permitted(app.request_class(environ), _flasks(outgoing), settings)(environ, start_response)

    app.wsgi_app = at_once  # type: ignore[method-assign]


def paths_of(parts: Parts) -> Dict[str, Dialect]:
    """The paths at which asks are understood: each dialect's own, and those of the provider itself."""
    paths = {path: dialect for dialect in DIALECTS.values() for path in dialect.served}
    for dialect in DIALECTS.values():
        if dialect.family == parts.family.name:
            theirs = parts.provider.endpoint(dialect.path).partition("?")[0].partition("://")[2].partition("/")[2]
            paths["/" + theirs] = dialect
    return paths


def _answer(parts: Parts, door: Door, request: Request) -> Union[Response, Outgoing]:
    """What is no ask: a page of ours, a service, or something to pass on."""
    parts.crew.join()
    came = arrived(request.environ, parts.settings.client_timeout)
    if is_preflight(request, parts.settings.cors) and not is_ours(came.path, parts.settings):
        return preflight(request)
    page = page_for(Visit(request, came, parts, door.live))
    return page if page is not None else _answered(parts, door, None, came)


def _answered(parts: Parts, door: Door, dialect: Optional[Dialect], came: Arrived) -> Outgoing:
    """What the provider has to do with, an ask if it is in a ``dialect``; whatever happens is told and journaled."""
    admitted = admit(came, parts.settings)
    if parts.tracing is not None:
        trace = admitted.record.trace = trace_of(came.headers)
        admitted = admitted._replace(headers=told(admitted.headers, trace))
    try:
        if dialect is not None:
            return answer(parts, door, dialect, admitted)
        found = service_for(parts, came)
        return forward(parts, door, admitted) if found is None else serve(parts, door, found, admitted)
    except Exception:
        log.exception("internal error")
        walk = Refused(parts, admitted.record, dialect)
        error = failure("internal_error", "The proxy failed; its log.log says more.")
        return Delivery(door, walk, came, compatible=admitted.compatible).refuse(error)


def _flasks(answer: Union[Response, Outgoing]) -> Response:
    return answer.response() if isinstance(answer, Outgoing) else answer


def _permitted(request: Request, response: Response, settings: Settings) -> Response:
    """Other origins may read answers of the provider's, and none of the operator's pages."""
    if not settings.cors or is_ours(target_of(request.environ)[0], settings):
        return response
    return permit(request, response, settings.cors)


def spelled(path: str) -> str:
    """A path as the table has it: a client's base_url may end in /v1 twice over, or its path in a slash."""
    while path.startswith("/v1/v1/"):
        path = path[3:]
    return path.rstrip("/")
