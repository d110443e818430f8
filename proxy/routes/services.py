"""The routes of services besides answering, where the client's protocol is not the provider's."""

from __future__ import annotations

from typing import Any, Mapping, Optional
from urllib.parse import unquote

from proxy.dialects import DEFAULT, FAMILIES
from proxy.dialects.desks import Wanted, wanted
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
    found = wanted(arrived.method, arrived.path, arrived.headers)
    if found is None or found.family != parts.family.name:
        return found
    listing = found.service.name in ("models", "model")
    foreign = found.client != found.family
    plain = {"models": bool(parts.models.aliases), "version": False}
    mapped = plain.get(found.service.name, is_alias(parts, found.name) if found.name else bool(parts.models))
    if listing and foreign:
        return found
    return found._replace(own=True) if mapped else None


def is_alias(parts: Parts, name: str) -> bool:
    """Whether the provider calls a model by another name."""
    return parts.models.target(unquote(name)).model != unquote(name)


def serve(parts: Parts, door: Door, found: Wanted, admitted: Admitted) -> Outgoing:
    """Answer a service, whatever comes of it."""
    arrived, record = admitted.arrived, admitted.record
    client, provider = FAMILIES[found.client].main, parts.family.main
    record.client_dialect, record.provider_dialect = client.name, provider.name
    try:
        if admitted.refusal is not None:
            raise admitted.refusal
        said = _read(parts, admitted) if arrived.method == "POST" else {}
    except ProxyError as error:
        refused = Refused(parts, record, client)
        return Delivery(door, refused, arrived, compatible=admitted.compatible).refuse(error)
    headers = to_provider(admitted.headers, own_body=True)
    if not found.own and (parts.family.name != found.family or found.family == DEFAULT):
        headers = without(headers, parts.family.foreign)
    if parts.family.name != found.family or parts.settings.api_key is not None or found.family == DEFAULT:
        headers = provider.carry(headers, stored=parts.settings.api_key is not None)
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
