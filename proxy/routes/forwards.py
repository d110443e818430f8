"""The routes that are not understood and need not be: forwarded as they are."""

from __future__ import annotations

from typing import Iterable, Optional, Union

from proxy.dialects import DEFAULT, FAMILIES, desks
from proxy.errors import ProxyError, failure
from proxy.exchange import Parts
from proxy.forwarding import Forward
from proxy.routes.admission import Admitted
from proxy.routes.arrived import Arrived
from proxy.routes.deliver import Delivery, Door, Outgoing
from proxy.routes.refused import Refused
from proxy.upstream.address import is_openai_path

SMALL = 256 * 1024
REVEALING = ("TRACE", "TRACK")  # their answer would show the client what the provider got: the stored key, too

Sent = Union[bytes, Iterable[bytes], None]


def forward(parts: Parts, door: Door, admitted: Admitted) -> Outgoing:
    """Forward a request of any method and path."""
    arrived, record = admitted.arrived, admitted.record
    speaker = FAMILIES[desks.speaker(arrived.method, arrived.path, arrived.headers) or DEFAULT].main
    try:
        if admitted.refusal is not None:
            raise admitted.refusal
        if arrived.method == "CONNECT":
            raise failure("method_not_allowed", "This is no proxy for connections of any kind.")
        if arrived.method in REVEALING:
            raise failure("method_not_allowed", f"A {arrived.method} is not passed on.")
        if not arrived.plain:
            raise failure("not_implemented", "A transfer coding besides chunked is not passed on.")
        if "websocket" in arrived.header("Upgrade").lower():
            raise failure("not_implemented", "This proxy does not forward WebSocket connections.")
        refuse_foreign(parts, arrived)
        url = parts.provider.target(arrived.path, arrived.query)
        body = body_of(arrived, parts.settings.max_body_bytes)
    except ProxyError as error:
        refused = Refused(parts, record, speaker)
        return Delivery(door, refused, arrived, compatible=admitted.compatible).refuse(error)
    walk = Forward(
        parts,
        record,
        method=arrived.method,
        url=url,
        headers=admitted.headers,
        body=body,
        length=arrived.length if not isinstance(body, bytes) else None,
        compatible=admitted.compatible,
        speaker=speaker,
    )
    return Delivery(door, walk, arrived, compatible=admitted.compatible).relay()


def refuse_foreign(parts: Parts, arrived: Arrived) -> None:
    """Raise 404 for an OpenAI endpoint at a provider that is not OpenAI's kind and cannot know it."""
    family = parts.family
    if family.name != DEFAULT and is_openai_path(arrived.path):
        text = f"The provider speaks {family.name} and has no endpoint {arrived.method} {arrived.path}."
        raise failure("not_found", text)


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
