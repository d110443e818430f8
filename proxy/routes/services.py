"""The routes of services besides answering, where the client's protocol is not the provider's."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from proxy.dialects import DEFAULT, FAMILIES
from proxy.dialects.desks import FOREIGN_HEADERS, Wanted, wanted
from proxy.dialects.json_text import read_json
from proxy.errors import ProxyError, failure
from proxy.exchange import Parts
from proxy.headers import to_provider, without
from proxy.journal.describe import Body
from proxy.routes.admission import Admitted
from proxy.routes.arrived import Arrived
from proxy.routes.deliver import Delivery, Door, Outgoing
from proxy.routes.refused import Refused
from proxy.serving import Serving


def service_for(parts: Parts, arrived: Arrived) -> Optional[Wanted]:
    """The service that must be translated or added to; None for what can be forwarded as it is."""
    found = wanted(arrived.method, arrived.path)
    if found is None or found.family != parts.family.name:
        return found
    listing = found.service.name in ("models", "model")
    foreign = found.family == DEFAULT and any(arrived.header(name) for name in FOREIGN_HEADERS)
    mapped = bool(parts.models.aliases) and found.service.name in ("models", "embeddings")
    return found if mapped or (listing and foreign) else None


def serve(parts: Parts, door: Door, found: Wanted, admitted: Admitted) -> Outgoing:
    """Answer a service, whatever comes of it."""
    arrived, record = admitted.arrived, admitted.record
    client, provider = FAMILIES[found.family].main, parts.family.main
    record.client_dialect, record.provider_dialect = client.name, provider.name
    try:
        if admitted.refusal is not None:
            raise admitted.refusal
        said = _read(parts, admitted) if arrived.method == "POST" else {}
    except ProxyError as error:
        refused = Refused(parts, record, client)
        return Delivery(door, refused, arrived, compatible=admitted.compatible).refuse(error)
    headers = to_provider(admitted.headers, own_body=True)
    if parts.family.name != found.family or found.family == DEFAULT:
        headers = without(headers, parts.family.foreign)
    if parts.family.name != found.family or parts.settings.api_key is not None or found.family == DEFAULT:
        headers = provider.carry(headers)
    walk = Serving(parts, found, record, said, headers)
    return Delivery(door, walk, arrived, compatible=admitted.compatible).whole()


def _read(parts: Parts, admitted: Admitted) -> Mapping[str, Any]:
    arrived = admitted.arrived
    with admitted.record.waiting:
        body = arrived.body(parts.settings.max_ask_bytes)
    admitted.record.client_input = Body(arrived.header("Content-Type"), body)
    try:
        said = read_json(body)
    except ValueError as exc:
        raise failure("invalid_json", f"The request's body is not JSON: {exc}.") from exc
    if not isinstance(said, dict):
        raise failure("invalid_type", "Invalid body: expected a JSON object.")
    return said
