"""Who may come in, and with what: client keys, the credential for the provider, and the wishes of one request."""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import List, NamedTuple, Optional, Tuple

from config import Settings
from config.kinds import HASHED
from proxy.chat.events import Failed
from proxy.errors import Headers, ProxyError, failure
from proxy.headers import to_provider
from proxy.journal import Record, remember, secrets_of
from proxy.routes.arrived import Arrived

CREDENTIALS = ("authorization", "x-api-key", "api-key")
FLAGS = {"": None, "1": True, "true": True, "0": False, "false": False}


class Admitted(NamedTuple):
    """A request that may go on: ``headers`` are those for the provider, ``compatible`` as this request wants it."""

    arrived: Arrived
    record: Record
    headers: Headers
    compatible: bool
    refusal: Optional[ProxyError] = None


def admit(arrived: Arrived, settings: Settings) -> Admitted:
    """Look at the client's key and wishes; what is wrong is in ``refusal``, so that it can be journaled and told."""
    secrets = secrets_of(arrived.headers, arrived.query)
    remember(secrets)
    target = arrived.path + ("?" + arrived.query if arrived.query else "")
    record = Record(method=arrived.method, path=target, secrets=secrets, client_ask_headers=arrived.headers)
    compatible, refusal = settings.compatible, None
    try:
        compatible = flag_of(arrived, "X-Forward-Compatible", settings.compatible)
        check_key(arrived, settings)
    except ProxyError as error:
        refusal = error
    return Admitted(arrived, record, _headers(arrived, settings), compatible, refusal)


def flag_of(arrived: Arrived, name: str, default: bool) -> bool:
    """A header that says yes or no. Raises ProxyError for any other word."""
    said = arrived.header(name).strip().lower()
    if said not in FLAGS:
        raise failure("invalid_value", f"{name} is {said!r}; it can be 1, true, 0 or false.", name)
    wanted = FLAGS[said]
    return default if wanted is None else wanted


def check_key(arrived: Arrived, settings: Settings) -> None:
    """Raise 401 unless the client shows one of the client keys, where there are any; compared in constant time.

    What is compared are hashes, so that neither a key's length nor its form in the settings tells anything.
    """
    if not settings.client_keys or arrived.operator:
        return
    shown = [_digest(_bare(arrived.header(name))) for name in CREDENTIALS if arrived.header(name)]
    matches = [hmac.compare_digest(key, one) for key in _digests(settings.client_keys) for one in shown]
    if not any(matches):
        text = "This proxy wants one of its own keys, as a bearer token or in x-api-key."
        raise ProxyError(Failed(401, "invalid_api_key", text, "invalid_request_error", outcome="refused"))


@lru_cache(maxsize=8)
def _digests(keys: Tuple[str, ...]) -> List[bytes]:
    return [bytes.fromhex(one[len(HASHED) :]) if one.startswith(HASHED) else _digest(one) for one in keys]


def _digest(credential: str) -> bytes:
    return sha256(credential.encode()).digest()


def _headers(arrived: Arrived, settings: Settings) -> Headers:
    """End-to-end headers for the provider; a stored key takes the place of the client's, but not of the operator's."""
    headers = to_provider(arrived.headers)
    shown = arrived.operator and any(arrived.header(name) for name in CREDENTIALS)
    if settings.api_key is None or shown:
        return headers
    kept = [(name, value) for name, value in headers if name.lower() not in CREDENTIALS]
    return [*kept, ("Authorization", f"Bearer {settings.api_key}")]


def _bare(credential: str) -> str:
    scheme, _, value = credential.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else credential.strip()
