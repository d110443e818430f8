"""The routes that are understood: an ask in a dialect comes in, its answer goes out in the same dialect."""

from __future__ import annotations

from flask import Response

from proxy.chat.ask import Ask
from proxy.dialects import Dialect
from proxy.errors import ProxyError, failure
from proxy.exchange import MODES, Exchange, Parts
from proxy.journal.describe import body_for_journal
from proxy.routes.admission import Admitted
from proxy.routes.deliver import JSON_TYPE, Delivery, Door
from proxy.routes.refused import Refused


def answer(parts: Parts, door: Door, dialect: Dialect, admitted: Admitted) -> Response:
    """Answer an ask, whatever comes of it."""
    arrived, record, compatible = admitted.arrived, admitted.record, admitted.compatible
    try:
        mode = mode_of(admitted, parts.settings.mode)
        ask = _read(parts, dialect, admitted)
    except ProxyError as error:
        return Delivery(door, Refused(parts.journal, record), arrived, compatible=compatible).refuse(error)
    # Whatever the client called its body (curl says it is a form), it was read as JSON and leaves as JSON.
    headers = [*(pair for pair in admitted.headers if pair[0].lower() != "content-type"), JSON_TYPE]
    exchange = Exchange(parts, dialect, ask, record, headers=headers, query=arrived.query, mode=mode)
    delivery = Delivery(door, exchange, arrived, compatible=compatible)
    if ask.stream:
        return delivery.stream(exchange, parts.settings.hold, parts.settings.heartbeat)
    return delivery.whole()


def mode_of(admitted: Admitted, default: str) -> str:
    """The mode for this exchange: ``X-Forward-Mode`` beats the setting. Raises ProxyError for any other word."""
    wanted = admitted.arrived.header("X-Forward-Mode").strip().lower()
    if wanted and wanted not in MODES:
        words = ", ".join(MODES)
        raise failure("invalid_value", f"X-Forward-Mode is {wanted!r}; it can be one of {words}.", "X-Forward-Mode")
    return wanted or default


def _read(parts: Parts, dialect: Dialect, admitted: Admitted) -> Ask:
    record = admitted.record
    body = admitted.arrived.body(parts.settings.max_ask_bytes)
    record.client_input = body_for_journal(admitted.arrived.header("Content-Type"), body, len(body))
    ask = dialect.read_ask(body)
    record.model = ask.model
    record.return_mode = "stream" if ask.stream else "non_stream"
    return ask
