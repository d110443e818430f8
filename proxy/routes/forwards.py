"""The routes that are not understood and need not be: forwarded as they are."""

from __future__ import annotations

from typing import Iterable, Optional, Union

from flask import Response

from proxy.errors import ProxyError, failure
from proxy.exchange import Parts
from proxy.forwarding import Forward
from proxy.routes.admission import Admitted
from proxy.routes.arrived import Arrived
from proxy.routes.deliver import Delivery, Door
from proxy.routes.refused import Refused

SMALL = 256 * 1024

Sent = Union[bytes, Iterable[bytes], None]


def forward(parts: Parts, door: Door, admitted: Admitted) -> Response:
    """Forward a request of any method and path."""
    arrived, record = admitted.arrived, admitted.record
    try:
        if "websocket" in arrived.header("Upgrade").lower():
            raise failure("not_implemented", "This proxy does not forward WebSocket connections.")
        url = parts.provider.target(arrived.path, arrived.query)
        body = body_of(arrived, parts.settings.max_body_bytes)
    except ProxyError as error:
        return Delivery(door, Refused(parts.journal, record), arrived, compatible=admitted.compatible).refuse(error)
    walk = Forward(
        parts,
        record,
        method=arrived.method,
        url=url,
        headers=admitted.headers,
        body=body,
        length=arrived.length if not isinstance(body, bytes) else None,
        compatible=admitted.compatible,
    )
    return Delivery(door, walk, arrived, compatible=admitted.compatible).relay()


def body_of(arrived: Arrived, limit: int) -> Sent:
    """Small bodies as bytes, so that they leave in one piece; larger and chunked ones as they come; None if absent."""
    if limit and (arrived.length or 0) > limit:
        raise failure("request_too_large", f"The request's body is over {limit} bytes (--max_body_bytes).")
    if arrived.chunked or (arrived.length or 0) > SMALL:
        return bounded(arrived, limit)
    return None if arrived.length is None else arrived.body(SMALL)


def bounded(arrived: Arrived, limit: Optional[int]) -> Iterable[bytes]:
    """The pieces of a body, failing once they are over ``limit`` bytes (0: never)."""
    size = 0
    for piece in arrived.pieces():
        size += len(piece)
        if limit and size > limit:
            raise failure("request_too_large", f"The request's body is over {limit} bytes (--max_body_bytes).")
        yield piece
