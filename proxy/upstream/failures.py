"""The one table from foreign exceptions to codes of ours: urllib3's, requests', http.client's and the system's."""

from __future__ import annotations

import re
import socket
import ssl
from http import client as http
from typing import Iterator, NamedTuple, Tuple, Type

import requests.exceptions as theirs
from urllib3 import exceptions as urllib3

from proxy.errors import ProxyError, failure

SILENCE = "silence"  # which limit a timeout broke depends on what was being waited for: see WAITED_FOR
RETRY = [("x-should-retry", "true")]


class FramingError(http.HTTPException):
    """An answer whose head leaves open where its body ends; the text is ours and quotes nothing."""


Row = Tuple[Tuple[Type[BaseException], ...], str]

# The first row that a cause matches decides, so the particular ones stand above their base classes.
TABLE: list[Row] = [
    ((socket.gaierror, urllib3.NameResolutionError), "dns_failure"),
    (
        (urllib3.IncompleteRead, urllib3.InvalidChunkLength, http.IncompleteRead, theirs.ChunkedEncodingError),
        "stream_truncated",
    ),
    ((urllib3.NewConnectionError,), "upstream_unreachable"),  # a kind of ConnectTimeoutError, but not a timeout
    ((socket.timeout, TimeoutError, urllib3.TimeoutError, theirs.Timeout), SILENCE),
    ((ConnectionRefusedError,), "connection_refused"),
    ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError), "connection_reset"),
    ((ssl.SSLError, ssl.CertificateError, urllib3.SSLError, theirs.SSLError), "tls_failure"),
    ((http.HTTPException, urllib3.InvalidHeader, urllib3.HeaderParsingError), "invalid_upstream_response"),
    ((urllib3.DecodeError, urllib3.ResponseError, urllib3.BodyNotHttplibCompatible), "invalid_upstream_response"),
    ((theirs.InvalidHeader, theirs.ContentDecodingError, theirs.InvalidJSONError), "invalid_upstream_response"),
    ((urllib3.ResponseNotChunked,), "invalid_upstream_response"),
    ((urllib3.HTTPError, theirs.RequestException, urllib3.ProxySchemeUnsupported, OSError), "upstream_unreachable"),
]

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")

FOREIGN = tuple(kind for kinds, _ in TABLE for kind in kinds)


class Timeouts(NamedTuple):
    """Limits in seconds: for a connection, until the status line, and for each next byte in either direction."""

    connect: float
    first_byte: float
    idle: float


# What an exchange waits for at each stage, and the limit that bounds it.
WAITED_FOR: dict[str, str] = {
    "connecting": "connect_timeout",
    "sending": "idle_timeout",
    "waiting": "first_byte_timeout",
    "reading": "idle_timeout",
}

TEXTS: dict[str, str] = {
    "connect_timeout": "No connection to {party} within {connect:g} s (--connect_timeout, else --timeout).",
    "first_byte_timeout": "{party} sent no first byte of an answer within {first_byte:g} s (--first_byte_timeout, else "
    "--timeout). A longer limit helps, or --mode stream, so that long answers begin early.",
    "idle_timeout": "{party} went silent for {idle:g} s (--timeout). A longer --timeout helps, or --mode stream.",
    "dns_failure": "The name of {party} could not be resolved.",
    "connection_refused": "{party} refused the connection.",
    "connection_reset": "{party} closed the connection {moment}.",
    "tls_failure": "No secure connection to {party}: {reason}.",
    "stream_truncated": "{party} ended its answer before the end of the body.",
    "invalid_upstream_response": "{party} answered with something that is not HTTP as it should be ({reason}).",
    "upstream_unreachable": "{party} could not be reached ({reason}).",
}

MOMENTS = {
    "connecting": "before it was established",
    "sending": "before it answered",
    "waiting": "before it answered",
    "reading": "in the middle of its answer",
}


class Situation(NamedTuple):
    """Where an exchange stood when it failed: the provider's ``host:port``, the stage, the limits; nothing secret."""

    party: str
    stage: str
    timeouts: Timeouts
    via: str = ""  # the outbound proxy's ``host:port``

    def told(self, code: str, reason: str = "", *, by_proxy: bool = False) -> ProxyError:
        """The failure ``code`` of this situation; before the status a reset is worth another try by the client."""
        party = f"the outbound proxy {self.via}" if by_proxy else f"the provider at {self.party}"
        text = TEXTS[code].format(party=party, moment=MOMENTS[self.stage], reason=reason, **self.timeouts._asdict())
        error = failure(code, text[:1].upper() + text[1:])
        if code == "connection_reset" and self.stage != "reading":
            error.headers.extend(RETRY)
        return error

    def blamed(self, exc: BaseException) -> ProxyError:
        """The failure of ours that ``exc`` amounts to."""
        code, cause = code_of(exc)
        by_proxy = any(isinstance(one, (urllib3.ProxyError, theirs.ProxyError)) for one in causes(exc))
        return self.told(WAITED_FOR[self.stage] if code == SILENCE else code, reason_of(cause), by_proxy=by_proxy)


def code_of(exc: BaseException) -> tuple[str, BaseException]:
    """The code of ``exc``, and the cause that decides it: the innermost one that has a row."""
    for cause in reversed(list(causes(exc))):
        for kinds, code in TABLE:
            if isinstance(cause, kinds):
                return code, cause
    return "upstream_unreachable", exc


def causes(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and what is behind it, wherever the libraries keep that: arguments, ``reason``, cause."""
    found: list[BaseException] = [exc]
    for one in found:  # grows while it is walked
        behind: list[object | None] = [*one.args, getattr(one, "reason", None), one.__cause__]
        found += [other for other in behind if isinstance(other, BaseException) and other not in found]
        yield one


def reason_of(exc: BaseException) -> str:
    """A few words about a cause that can hold no URL, header or body: never the exception's own text."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate verify failed, {exc.verify_message}"
    if isinstance(exc, ssl.SSLError) and getattr(exc, "reason", None):
        return str(exc.reason).replace("_", " ").lower()
    if isinstance(exc, FramingError):
        return str(exc)
    tunnel = _TUNNEL.match(str(exc.args[0])) if exc.args else None
    if tunnel:
        return f"it answered {tunnel[1]} to CONNECT"
    if isinstance(exc, OSError) and exc.errno and isinstance(exc.strerror, str):
        return exc.strerror.lower()
    return type(exc).__name__
