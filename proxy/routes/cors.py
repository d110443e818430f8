"""Browser pages of other origins: refused by browsers unless the operator names them (--cors)."""

from __future__ import annotations

from typing import Tuple

from flask import Request, Response

METHODS = "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"


def allowed(request: Request, origins: Tuple[str, ...]) -> str:
    """The value for Access-Control-Allow-Origin, or an empty text."""
    origin = request.headers.get("Origin", "")
    if not origin or not origins:
        return ""
    return origin if origin in origins or "*" in origins else ""


def is_preflight(request: Request, origins: Tuple[str, ...]) -> bool:
    """Is this a browser asking for permission that is ours to give?"""
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    return asks and bool(allowed(request, origins))


def preflight(request: Request) -> Response:
    """Permission for what the page asked."""
    wanted = request.headers.get("Access-Control-Request-Headers", "Authorization, Content-Type")
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": wanted,
        "Access-Control-Max-Age": "600",
    }
    response = Response(status=204, headers=headers)
    response.headers.remove("Content-Type")  # there is none without a body
    return response


def permit(request: Request, response: Response, origins: Tuple[str, ...]) -> Response:
    """Say on the answer what we allow, in place of what the provider allows."""
    if not is_preflight(request, origins):
        for name in [name for name, _ in response.headers if name.lower().startswith("access-control-")]:
            del response.headers[name]
    response.headers.add("Vary", "Origin")
    origin = allowed(request, origins)
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "*"
    return response
