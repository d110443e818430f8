"""Who may see the operator's pages: this machine where only it can ask, or whoever shows --admin_token."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Any, Mapping, Optional
from urllib.parse import parse_qs, urlsplit

from flask import Response, render_template

from config import is_loopback
from proxy.errors import Headers, ProxyError
from proxy.routes.tokens import COOKIE, LIFETIME, Tries, cookie_for, is_cookie, is_token
from proxy.routes.visit import Visit, refused

FORM_BYTES = 4096
FORWARDED = re.compile(r"forwarded|x-forwarded-.*|x-forwarded|via|x-real-ip", re.IGNORECASE)
# Hosts that name in SERVER_NAME the address which they listen at; with others it is whatever somebody configured.
TRUTHFUL = ("gunicorn", "werkzeug")

CLOSED = (
    "Without --admin_token these pages are for this machine only: the proxy must listen at a loopback address, and the "
    "request must come from this machine, directly, and to a name of this machine."
)
WANTED = "These pages want the token of --admin_token, as a bearer token or typed into the form at /_forward/."

_tries = Tries()


def guard(visit: Visit) -> Optional[Response]:
    """None for who may come in; else what to say. Besides, no page of another origin may make anything happen here."""
    if visit.came.method not in ("GET", "HEAD") and not is_same_origin(visit):
        return refused(403, "foreign_origin", "A page of another origin asked for this.")
    token = visit.parts.settings.admin_token
    if token and is_cookie(visit.request.cookies.get(COOKIE, ""), token):
        return None
    if token and visit.came.header("Authorization"):
        return _bearer(visit, token)
    if is_local(visit):
        return None
    return _form(visit, 401, "The token of --admin_token:") if token else refused(403, "forbidden", CLOSED)


def login(visit: Visit) -> Response:
    """The token as typed into the form: a cookie if it is right, the form again if not."""
    token = visit.parts.settings.admin_token
    if not is_same_origin(visit):
        return refused(403, "foreign_origin", "A page of another origin asked for this.")
    if not token:
        return refused(403, "forbidden", CLOSED)
    peer, shown = peer_of(visit), _typed(visit)
    if _tries.wait(peer):
        return _too_many(peer)
    if not is_token(shown, token):
        _tries.wrong(peer)
        return _form(visit, 401, "That was not the token of --admin_token.")
    return _home(visit, cookie_for(token), LIFETIME)


def logout(visit: Visit) -> Response:
    """Forget the cookie."""
    if not is_same_origin(visit):
        return refused(403, "foreign_origin", "A page of another origin asked for this.")
    return _home(visit, "", 0)


def is_local(visit: Visit) -> bool:
    """Whether nobody but this machine can have asked: bound to it, asked from it, directly, and by a name of it.

    The name is there against DNS rebinding: to a browser, evil.example that resolves to 127.0.0.1 is evil.example.
    """
    settings, environ = visit.parts.settings, visit.request.environ
    bound = bound_to(environ, settings.expose_host)
    return (
        is_loopback(bound)
        and is_this_machine(peer_of(visit))
        and not is_forwarded(visit.came.headers)
        and is_name_of_this_machine(visit.came.header("Host"), bound)
    )


def bound_to(environ: Mapping[str, Any], configured: str) -> str:
    """The address that is listened at: as the host says, where it can be trusted to know it; else as configured."""
    software = str(environ.get("SERVER_SOFTWARE", "")).lower()
    return str(environ.get("SERVER_NAME", "")) if software.startswith(TRUTHFUL) else configured


def is_forwarded(headers: Headers) -> bool:
    """Whether somebody in between has left a trace, so that the peer is not who asks."""
    return any(FORWARDED.fullmatch(name) for name, _ in headers)


def is_this_machine(peer: str) -> bool:
    """Whether an address is a loopback one, also written as IPv6 has IPv4."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_name_of_this_machine(host: str, bound: str) -> bool:
    """Whether a Host header names a loopback address, localhost, or the very address that is listened at."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == bound.lower() or name.endswith(".localhost") or is_loopback(name)


def is_same_origin(visit: Visit) -> bool:
    """Whether no page of another origin asked: browsers say Origin with all that may change something."""
    site = visit.came.header("Sec-Fetch-Site").lower()
    origin = visit.came.header("Origin")
    if site not in ("", "same-origin", "none"):
        return False
    return not origin or origin.lower().partition("://")[2] == visit.came.header("Host").lower() != ""


def peer_of(visit: Visit) -> str:
    """The address of who is connected to us."""
    return str(visit.request.environ.get("REMOTE_ADDR", ""))


def _bearer(visit: Visit, token: str) -> Optional[Response]:
    scheme, _, shown = visit.came.header("Authorization").partition(" ")
    peer = peer_of(visit)
    if _tries.wait(peer):
        return _too_many(peer)
    if scheme.lower() == "bearer" and is_token(shown.strip(), token):
        return None
    _tries.wrong(peer)
    return _unauthorized()


def _form(visit: Visit, status: int, said: str) -> Response:
    """The form for a browser's reader, the one form of errors for everybody else."""
    if "text/html" not in visit.came.header("Accept"):
        return _unauthorized()
    form = render_template("login.html", said=said, top=visit.top)
    response = Response(form, status, content_type="text/html; charset=utf-8")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _unauthorized() -> Response:
    response = refused(401, "unauthorized", WANTED)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _too_many(peer: str) -> Response:
    response = refused(429, "too_many_tries", "Too many wrong tokens came from this address; wait a minute.")
    response.headers["Retry-After"] = str(int(_tries.wait(peer)) + 1)
    return response


def _home(visit: Visit, cookie: str, age: int) -> Response:
    response = Response(status=303, headers={"Location": visit.top})
    secure = "https" in (visit.request.scheme, visit.came.header("X-Forwarded-Proto").lower())
    response.set_cookie(COOKIE, cookie, max_age=age, path=visit.top, httponly=True, samesite="Strict", secure=secure)
    return response


def _typed(visit: Visit) -> str:
    try:
        body = visit.came.body(FORM_BYTES)
    except ProxyError:
        return ""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
