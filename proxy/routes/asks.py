"""The routes that are understood: an ask in a dialect comes in, its answer goes out in the same one."""

from __future__ import annotations

from config.kinds import MODES
from proxy.agreement import Pair
from proxy.chat.ask import Ask
from proxy.dialects import Dialect, Family
from proxy.dialects.json_text import read_json
from proxy.errors import Headers, ProxyError, failure
from proxy.exchange import Exchange, Parts
from proxy.headers import to_provider, without, without_query
from proxy.journal.describe import Body
from proxy.models import renamed
from proxy.routes.admission import Admitted
from proxy.routes.deliver import JSON_TYPE, Delivery, Door, Outgoing
from proxy.routes.refused import Refused
from proxy.upstream.decoding import undone


def answer(parts: Parts, door: Door, client: Dialect, admitted: Admitted) -> Outgoing:
    """Answer an ask, whatever comes of it."""
    arrived, record, compatible = admitted.arrived, admitted.record, admitted.compatible
    body = b""
    try:
        body = _taken(parts, admitted)
        record.client_dialect = client.name
        ask = _read(client, admitted, body)
        target = parts.models.target(ask.model)
        record.sent_model = target.model
        mode = mode_of(admitted, target.mode or parts.settings.mode)
    except ProxyError as error:
        refused = Refused(parts, record, client)
        delivery = Delivery(door, refused, arrived, compatible=compatible)
        return delivery.refuse_stream(refused, error) if wants_stream(body) else delivery.refuse(error)
    provider = parts.family.partner(client, ask)
    record.provider_dialect = provider.name
    exchange = Exchange(
        parts,
        Pair(client, provider),
        renamed(ask, target.model),
        record,
        headers=headers_for(parts.family, client, admitted, parts.settings.api_key is not None),
        query=arrived.query if provider is client else without_query(arrived.query, parts.family.foreign_query),
        mode=mode,
    )
    delivery = Delivery(door, exchange, arrived, compatible=compatible)
    if ask.stream:
        return delivery.stream(exchange, parts.settings.hold, parts.settings.heartbeat, exchange.pull)
    return delivery.whole()


def headers_for(family: Family, client: Dialect, admitted: Admitted, stored: bool) -> Headers:
    """What goes with the ask; a credential is put into the provider's form where it is not the client's own."""
    headers = to_provider(admitted.headers, own_body=True)
    if family.name != client.family:
        headers = without(headers, family.foreign)
    if stored or family.name != client.family:
        headers = family.main.carry(headers, stored=stored)
    # Whatever the client called its body (curl says it is a form), it was read as JSON and leaves as JSON.
    return [*(pair for pair in headers if pair[0].lower() != "content-type"), JSON_TYPE]


def mode_of(admitted: Admitted, default: str) -> str:
    """The mode for this exchange: ``X-Forward-Mode`` beats the setting. Raises ProxyError for any other word."""
    wanted = admitted.arrived.header("X-Forward-Mode").strip().lower()
    if wanted and wanted not in MODES:
        words = ", ".join(MODES)
        raise failure("invalid_value", f"X-Forward-Mode is {wanted!r}; it can be one of {words}.", "X-Forward-Mode")
    return wanted or default


def wants_stream(body: bytes) -> bool:
    """Does an ask that could not be understood want a stream at least?"""
    try:
        said = read_json(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("stream") is True


def _taken(parts: Parts, admitted: Admitted) -> bytes:
    """The body, decoded if it came encoded; that of a client who may not come in only where its form matters."""
    if admitted.refusal is not None and not admitted.compatible:
        raise admitted.refusal
    arrived, record = admitted.arrived, admitted.record
    with record.waiting:
        received = arrived.body(parts.settings.max_ask_bytes)
    body = undone(received, arrived.headers, parts.settings.max_ask_bytes)
    record.client_input = Body(arrived.header("Content-Type"), body)
    return body


def _read(client: Dialect, admitted: Admitted, body: bytes) -> Ask:
    record = admitted.record
    if admitted.refusal is not None:
        raise admitted.refusal
    ask = client.read_ask(body, admitted.arrived.headers)
    record.model = ask.model
    record.return_mode = "stream" if ask.stream else "non_stream"
    return ask
