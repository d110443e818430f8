"""Failures in our own words: one exception, one table, and one way to say whose fault it was."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from msgspec import MsgspecError

from proxy.chat.events import Failed

Headers = List[Tuple[str, str]]


class Kind(NamedTuple):
    """What a code means: the HTTP status, OpenAI's error type, and the journal's outcome."""

    status: int
    type: str
    outcome: str


FAILURES: Dict[str, Kind] = {
    "connect_timeout": Kind(504, "upstream_error", "timeout_connect"),
    "first_byte_timeout": Kind(504, "upstream_error", "timeout_first_byte"),
    "idle_timeout": Kind(504, "upstream_error", "timeout_idle"),
    "stall_timeout": Kind(504, "upstream_error", "timeout_idle"),
    "total_timeout": Kind(504, "upstream_error", "timeout_total"),
    "dns_failure": Kind(502, "upstream_error", "upstream_error"),
    "connection_refused": Kind(502, "upstream_error", "upstream_error"),
    "tls_failure": Kind(502, "upstream_error", "upstream_error"),
    "connection_reset": Kind(502, "upstream_error", "upstream_error"),
    "upstream_unreachable": Kind(502, "upstream_error", "upstream_error"),
    "invalid_upstream_response": Kind(502, "upstream_error", "upstream_error"),
    "upstream_too_large": Kind(502, "upstream_error", "upstream_error"),
    "stream_truncated": Kind(502, "upstream_error", "truncated"),
    "server_is_overloaded": Kind(503, "service_unavailable_error", "refused"),
    "shutting_down": Kind(503, "service_unavailable_error", "shutdown"),
    "invalid_json": Kind(400, "invalid_request_error", "refused"),
    "invalid_framing": Kind(400, "invalid_request_error", "refused"),
    "invalid_type": Kind(400, "invalid_request_error", "refused"),
    "invalid_value": Kind(400, "invalid_request_error", "refused"),
    "unsupported_parameter": Kind(400, "invalid_request_error", "refused"),
    "unsupported_value": Kind(400, "invalid_request_error", "refused"),
    "missing_required_parameter": Kind(400, "invalid_request_error", "refused"),
    "method_not_allowed": Kind(405, "invalid_request_error", "refused"),
    "not_found": Kind(404, "invalid_request_error", "refused"),
    "request_too_large": Kind(413, "invalid_request_error", "refused"),
    "request_timeout": Kind(408, "timeout_error", "refused"),
    "not_implemented": Kind(501, "server_error", "refused"),
    "cancelled": Kind(499, "cancelled_error", "cancelled"),
    "client_left": Kind(499, "client_error", "client_abort"),
    "internal_error": Kind(500, "server_error", "refused"),
}


class ProxyError(Exception):
    """An exchange failed; ``failed`` says how, ``headers`` are the provider's own that still matter to the client."""

    def __init__(self, failed: Failed, headers: Sequence[Tuple[str, str]] = ()) -> None:
        super().__init__(failed.message)
        self.failed = failed
        self.headers: Headers = list(headers)


def failure(code: str, message: str, param: str | None = None) -> ProxyError:
    """Our own failure for a ``code`` of the table; raises KeyError for a code that is not in it."""
    kind = FAILURES[code]
    return ProxyError(Failed(kind.status, code, message, kind.type, param, kind.outcome))


def truncated() -> ProxyError:
    """A provider's stream that ended too early."""
    return failure("stream_truncated", "The provider's stream ended before the answer was finished.")


@contextmanager
def blame(code: str, what: str) -> Iterator[None]:
    """Whatever cannot be read inside this block is a failure with ``code`` of the table; ``what`` was being read."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, MsgspecError) as exc:
        raise failure(code, f"{what}: {type(exc).__name__}: {exc}") from exc
