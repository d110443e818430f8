"""The provider's door: one way to send a request, and one to learn where requests go."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Callable, Dict, Iterable, Union

from requests import PreparedRequest, Session
from urllib3.util import Timeout

from proxy.errors import Headers, failure
from proxy.headers import FRAMING, first, fixed_headers, sendable
from proxy.upstream.address import read_address
from proxy.upstream.answer import Answer
from proxy.upstream.choice import kind_of
from proxy.upstream.failures import FOREIGN, Situation, Timeouts
from proxy.upstream.replay import SCHEME, recorded, replayed
from proxy.upstream.transport import trusting
from proxy.upstream.wire import Letter, SourceError

if TYPE_CHECKING:
    from config import Settings

ENDPOINTS = 64  # the dialects' own are a few; a path with a model's name in it is one more
OURS_TO_CHOOSE = frozenset({"accept-encoding"})  # where we are to undo what is encoded
PROXY_WANTS_KEY = 407  # RFC 9110 15.5.8: said by proxies only, to whoever asks them, which is us

Tell = Callable[[Headers], None]
Body = Union[bytes, Iterable[bytes], None]


class Provider:
    """Where the settings say that requests go. ``where`` names it without anything secret."""

    def __init__(self, settings: Settings, endpoints: Iterable[str] = (), base: str = "/v1") -> None:
        self._address = read_address(settings.url, endpoints, base)
        self.where = self._address.where
        self.timeouts = timeouts_of(settings)
        self._endpoints: Dict[str, str] = {}
        self._growth = settings.max_growth
        self._fixed = fixed_headers(settings.header)
        replaced = FRAMING | {name.lower() for name, _ in self._fixed}
        self._replaced = {False: replaced, True: replaced | OURS_TO_CHOOSE}
        self._proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else {}
        self._via = read_address(settings.proxy).authority if settings.proxy else ""
        self._session = Session()  # only to mount adapters on: cookies, redirects, hooks and .netrc are its send()'s
        secure = any(str(url).lower().startswith("https:") for url in (settings.url, settings.proxy))
        transport = kind_of(settings)(settings.max_exchanges, trusting(settings.ca_bundle) if secure else None)
        self._session.mount("http://", transport)
        self._session.mount("https://", transport)
        self.connections = transport.connections
        if self._address.origin == "demo:":
            from proxy.upstream.demo.adapter import DemoAdapter

            self._session.mount("demo:", DemoAdapter())
        path = replayed(settings.url)
        if path is not None:
            from proxy.upstream.replay.adapter import ReplayAdapter

            self._session.mount(SCHEME, ReplayAdapter(recorded(path), settings.replay_speed))

    def endpoint(self, path: str, query: str = "") -> str:
        """The URL for a converted ask at ``/chat/completions`` or ``/completions``, with the client's ``query``."""
        if query or (path not in self._endpoints and len(self._endpoints) >= ENDPOINTS):
            return self._address.endpoint(path, query)
        if path not in self._endpoints:
            self._endpoints[path] = self._address.endpoint(path)
        return self._endpoints[path]

    def target(self, raw_path: str, query: str) -> str:
        """The URL for any other path, still percent-encoded, as the client sent it."""
        return self._address.target(raw_path, query)

    def send(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: Body = None,
        *,
        length: int | None = None,
        decode: bool = True,
        timeouts: Timeouts | None = None,
        tell: Tell | None = None,
    ) -> Answer:
        """Send one request, once, and return when the answer's head is there. Raises ProxyError.

        ``url`` is from ``endpoint`` or ``target``; ``headers`` are end-to-end ones. A ``body`` that is not bytes leaves
        with Content-Length if its ``length`` is given, else chunked; what its iterator raises is raised here.
        ``decode``: ask for no encoding, and undo one that comes all the same. ``tell`` is given all headers that leave,
        right before they do.
        """
        limits = timeouts or self.timeouts
        given, framed = _framed(method, body, length)
        letter = Letter(self._target(url), given, limits)
        request = PreparedRequest()
        request.method, request.url = method, url
        leaving = self._leaving(headers, framed, decode)
        request.headers = leaving  # type: ignore[assignment]
        request.body = letter  # type: ignore[assignment]
        if self._address.authority:
            request.url = self._address.origin + "/"
        else:
            request.body = b"".join([given] if isinstance(given, bytes) else given or [])
        if tell is not None:
            tell(leaving)
        return self._sent(request, letter, decode)

    def close(self) -> None:
        """Close the connections that are idle."""
        self._session.close()

    def _sent(self, request: PreparedRequest, letter: Letter, decode: bool) -> Answer:
        limits = letter.timeouts
        party = self._address.authority or self.where

        def situation() -> Situation:
            return Situation(party, letter.stage, limits, self._via)

        try:
            response = self._session.get_adapter(str(request.url)).send(
                request,
                stream=True,
                timeout=_timeout_of(limits),  # type: ignore[arg-type]
                proxies=self._proxies,
            )
        except SourceError as exc:
            raise exc.__cause__ or exc from None
        except FOREIGN as exc:
            raise situation().blamed(exc) from exc
        letter.stage = "reading"
        if response.raw.status == PROXY_WANTS_KEY and self._forwarded:
            response.raw.close()
            raise situation().told("upstream_unreachable", f"it answered {PROXY_WANTS_KEY}", by_proxy=True)
        return Answer(response.raw, situation(), decode=decode, growth=self._growth)

    def _target(self, url: str) -> str:
        origin = self._address.origin
        if not url.startswith(origin + "/"):
            raise ValueError("this URL is not the provider's")
        return url if self._forwarded else url[len(origin) :]

    @property
    def _forwarded(self) -> bool:
        """Whether an outbound proxy itself reads the requests, instead of passing an encrypted connection through."""
        return bool(self._proxies) and self._address.origin.startswith("http:")

    def _leaving(self, headers: Headers, framing: Headers, decode: bool) -> Headers:
        replaced = self._replaced[decode]
        leaving = [pair for pair in headers if pair[0].lower() not in replaced] + self._fixed
        credential = self._address.credential
        if credential and not first(leaving, "authorization"):
            leaving.append(("Authorization", credential))
        if decode:
            leaving.append(("Accept-Encoding", "identity"))
        for name, value in leaving:
            if not sendable(name, value):
                raise failure("invalid_value", f"The header {name!r} cannot be sent.", name)
        return [("Host", self._address.authority or self._address.origin[:-1]), *framing, *leaving]


@lru_cache(maxsize=64)
def _timeout_of(limits: Timeouts) -> Timeout:
    return Timeout(connect=limits.connect, read=limits.first_byte)


def timeouts_of(settings: Settings) -> Timeouts:
    """The limits of the settings, in seconds."""
    idle = settings.timeout / 1000
    connect, first_byte = settings.connect_timeout, settings.first_byte_timeout
    return Timeouts(connect / 1000 if connect else idle, first_byte / 1000 if first_byte else idle, idle)


def _framed(method: str, body: Body, length: int | None) -> tuple[Body, Headers]:
    """The body to send and the header that frames it: exactly one of Content-Length and chunked, or none."""
    if isinstance(body, bytes):
        empty = not body and method in BODILESS
        return (None, []) if empty else (body, [("Content-Length", str(len(body)))])
    if body is None:
        return None, [] if method in BODILESS else [("Content-Length", "0")]
    if length is None:
        return body, [("Transfer-Encoding", "chunked")]
    return _measured(body, length), [("Content-Length", str(length))]


BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})


def _measured(body: Iterable[bytes], length: int) -> Iterable[bytes]:
    """``body`` held to its ``length``: one byte more or less would be taken for, or from, the next request."""
    left = length
    for piece in body:
        left -= len(piece)
        if left < 0:
            raise failure("invalid_value", f"The request's body is longer than its Content-Length of {length}.")
        yield piece
    if left:
        raise failure("client_left", f"The request's body ended {left} bytes before its Content-Length of {length}.")


__all__ = ["Answer", "Provider", "Timeouts"]
