"""The plug: requests believes this to be a transport, and nobody behind it can tell. It knows no endpoint."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Iterable

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import ReadTimeout
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.util.timeout import Timeout

from proxy.upstream.demo.body import Body
from proxy.upstream.demo.endpoints import answer
from proxy.upstream.demo.said import Answered


class DemoAdapter(BaseAdapter):
    """Answers ``demo:`` URLs. ``speed`` divides every pause: 1 is life, 50 is for tests."""

    def __init__(self, speed: float = 1.0) -> None:
        super().__init__()
        self.speed = speed

    def send(self, request: PreparedRequest, stream: bool = False, timeout: Any = None, *_: Any, **__: Any) -> Response:
        """Answer ``request``; raises ReadTimeout when the status line would come later than the read timeout (s)."""
        answered = answer(request.method or "GET", str(request.url), whole_of(request.body))
        silence = read_timeout(timeout)
        wait = answered.wait / self.speed
        time.sleep(wait if silence is None else min(wait, silence))
        if silence is not None and wait > silence:
            raise ReadTimeout(f"demo: Read timed out. (read timeout={silence})", request=request)
        return respond(request, answered, Body(answered.steps, silence, self.speed))

    def close(self) -> None:
        """Nothing is kept between asks."""


def respond(request: PreparedRequest, answered: Answered, body: Body) -> Response:
    """The answer as requests builds it from a connection."""
    raw = HTTPResponse(
        body=body,  # type: ignore[arg-type]  # any object with read() will do
        headers=HTTPHeaderDict(answered.headers),
        status=answered.status,
        version=11,
        reason=HTTPStatus(answered.status).phrase,
        preload_content=False,
        decode_content=False,
        request_method=request.method,
    )
    response = Response()
    response.raw, response.reason, response.request = raw, raw.reason or "", request
    response.status_code = answered.status
    response.headers = CaseInsensitiveDict(raw.headers)
    response.url = str(request.url)
    response.encoding = "utf-8"
    return response


def read_timeout(timeout: Any) -> float | None:
    """How long a read may wait, in seconds, from any of the forms that requests accepts."""
    if isinstance(timeout, Timeout):
        timeout = timeout.read_timeout
    elif isinstance(timeout, tuple):
        timeout = timeout[1]
    return float(timeout) if isinstance(timeout, (int, float)) else None


def whole_of(body: str | bytes | Iterable[bytes] | None) -> bytes:
    """The ask's body, read to its end, however it is being sent."""
    if body is None or isinstance(body, (bytes, str)):
        return body.encode() if isinstance(body, str) else body or b""
    read = getattr(body, "read", None)
    return bytes(read()) if read else b"".join(body)
