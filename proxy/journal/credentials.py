"""Where credentials are: the header and query names they go by, and the values found under them."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Iterable, Iterator
from urllib.parse import unquote, unquote_plus, urlsplit

if TYPE_CHECKING:
    from config import Settings

# Names as they occur in headers and in queries; "tokens" (x-ratelimit-remaining-tokens) and idempotency keys are none.
HEADER_NAMES = (
    r"(?:[\w-]*-)?(?:authorization|auth|auth-key|access-key|client-key|functions-key|subscription-key|api[-_]?key"
    r"|token|secret|password|credential|credentials|cookie|set-cookie)"
)
QUERY_NAMES = (
    r"key|[\w.-]*api[-_]?key|[\w.-]*token|[\w.-]*secret|auth|authorization|password|passwd|sig|signature"
    r"|x-amz-(?:signature|credential)"
)
SCHEMES = r"(?:bearer|basic|token|digest|apikey|negotiate)"

_HEADER = re.compile(HEADER_NAMES, re.IGNORECASE)
_QUERY = re.compile(QUERY_NAMES, re.IGNORECASE)
_SCHEME = re.compile(SCHEMES, re.IGNORECASE)


def secrets_in(settings: Settings) -> tuple[str, ...]:
    """Collect the exact credentials that the settings hold."""
    fixed = [(name, value) for name, _, value in (line.partition(":") for line in settings.header)]
    keys = [settings.api_key, *settings.client_keys, settings.admin_token]
    return secrets_of(fixed, keys=keys, urls=[settings.url, settings.proxy, settings.otlp_endpoint])


def secrets_of(
    headers: Iterable[tuple[str, str]] = (),
    query: str = "",
    *,
    keys: Iterable[str | None] = (),
    urls: Iterable[str | None] = (),
) -> tuple[str, ...]:
    """Collect the exact credentials in headers, in a raw query string, among known ``keys``, and in whole ``urls``.

    A scheme (``Bearer``) is left out, also where nothing follows it; a Basic credential also gives its user:password;
    cookies give each value.
    """
    found: list[str] = [key for key in keys if key]
    for name, value in headers:
        if names_credential(name):
            found += _of_header(name, value)
    if query:
        found += _of_query(query)
    for url in urls:
        found += _of_url(url or "")
    return tuple(dict.fromkeys(secret.strip() for secret in found if secret.strip()))


@lru_cache(maxsize=1024)
def names_credential(name: str) -> bool:
    """Say whether a header of this name holds a credential."""
    return _HEADER.fullmatch(name.strip()) is not None


def bare(secret: str) -> str:
    """Take a scheme such as ``Bearer`` off a credential."""
    return _split(secret)[1]


def _split(credential: str) -> tuple[str, str]:
    scheme, _, rest = credential.strip().partition(" ")
    if rest and _SCHEME.fullmatch(scheme):
        return scheme.lower(), rest.strip()
    return "", credential.strip()


def _of_header(name: str, value: str) -> Iterator[str]:
    if name.lower().endswith("cookie"):
        yield from (pair.partition("=")[2].strip(' "') for pair in value.split(";"))
        return
    scheme, secret = _split(value)
    if not _SCHEME.fullmatch(secret):
        yield secret
    if scheme == "basic":
        yield from _of_userinfo(_from_base64(secret))


def _of_query(query: str) -> Iterator[str]:
    for pair in re.split("[&;]", query):
        name, _, value = pair.partition("=")
        if _QUERY.fullmatch(unquote_plus(name)):
            yield from (value, unquote(value), unquote_plus(value))


def _of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    userinfo, at, _ = parts.netloc.rpartition("@")
    if at:
        yield from _of_userinfo(userinfo)
        yield from _of_userinfo(unquote(userinfo))
    yield from _of_query(parts.query)


def _of_userinfo(userinfo: str) -> Iterator[str]:
    """A user without a password is a credential by itself (some providers take the key as the user's name)."""
    user, colon, password = userinfo.partition(":")
    if password:
        yield password
        yield userinfo
    elif user:
        yield user
    if colon and user and not password:
        yield userinfo


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace")
    except ValueError:
        return ""
