"""Requests' adapter with pools of our own: nothing is sent twice, nothing stale is used, nothing is re-spelled."""

from __future__ import annotations

from collections import deque
from queue import Empty, Full
from ssl import SSLContext
from time import monotonic
from typing import Any, Deque, List, Mapping, Tuple, Type

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, HTTPSConnectionPool, ProxyManager
from urllib3.util import SKIP_HEADER
from urllib3.util.retry import Retry
from urllib3.util.ssl_ import create_urllib3_context

from proxy.upstream.wire import SecureWire, Wire

KEEP = 20.0  # seconds a pooled connection may be idle (DECISIONS "Asking the provider")


class Shelf:
    """Idle connections, the one used last first; stands in for urllib3's queue, which cannot drop what is too old."""

    def __init__(self, maxsize: int) -> None:
        self._places = maxsize
        self._idle: Deque[Wire] = deque()

    def put(self, conn: Wire | None, block: bool = True, timeout: float | None = None) -> None:
        """Keep a connection; raises Full. None, which urllib3 fills its queues with, takes no place."""
        if conn is not None and len(self._idle) >= self._places:
            raise Full
        if conn is not None:
            self._idle.append(conn)

    def get(self, block: bool = True, timeout: float | None = None) -> Wire:
        """The connection used last; raises Empty, never waits."""
        try:
            return self._idle.pop()
        except IndexError:
            raise Empty from None

    def qsize(self) -> int:
        """How many connections are kept."""
        return len(self._idle)

    def drop_stale(self) -> None:
        """Close what has been idle for too long: the oldest are at the left."""
        now = monotonic()
        try:
            while self._idle[0].trusted_until <= now:
                self._idle.popleft().close()
        except IndexError:  # another thread was as quick
            return


class _Kept(HTTPConnectionPool):
    """A pool whose idle connections are closed after ``keep`` seconds, by whoever comes by next."""

    QueueCls = Shelf  # type: ignore[assignment]
    keep = KEEP

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.trusted_until = monotonic() + self.keep
        super()._put_conn(conn)
        shelf: Any = self.pool
        if shelf is not None:
            shelf.drop_stale()

    def take_back(self, conn: Wire, sound: bool) -> None:
        """An exchange has let go of its connection: keep it if it is ``sound``."""
        if sound:
            self._put_conn(conn)
        else:
            conn.close()


class _KeptSecure(_Kept, HTTPSConnectionPool):
    """The same through TLS."""


class Transport(HTTPAdapter):
    """What is mounted for http and https. ``places`` idle connections are kept, for as many exchanges in flight.

    A full pool never makes anybody wait: how many exchanges there may be is decided where they come in.
    """

    wires: Tuple[Type[Wire], Type[Wire]] = (Wire, SecureWire)

    def __init__(self, places: int, context: SSLContext | None = None, keep: float = KEEP) -> None:
        self._tls = {"ssl_context": context} if context else {}
        self._pools = {
            "http": type("Pool", (_Kept,), {"keep": keep, "ConnectionCls": self.wires[0]}),
            "https": type("SecurePool", (_KeptSecure,), {"keep": keep, "ConnectionCls": self.wires[1]}),
        }
        super().__init__(pool_connections=4, pool_maxsize=places, max_retries=Retry(False), pool_block=False)

    def send(self, request: PreparedRequest, *more: Any, **named: Any) -> Response:
        """Send a request whose ``headers`` are pairs, of which urllib3 wants a mapping that can repeat."""
        headers = HTTPHeaderDict()
        given: Any = request.headers
        for name, value in given:
            headers.add(name, value)
        for name in ("User-Agent", "Accept-Encoding"):
            headers.setdefault(name, SKIP_HEADER)  # else urllib3 adds its own
        request.headers = headers  # type: ignore[assignment]
        return super().send(request, *more, **named)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        """One TLS context for all connections: loading the certificates takes longer than a handshake."""
        super().init_poolmanager(connections, maxsize, block, **self._tls, **more)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **more: Any) -> ProxyManager:
        """The pools behind an outbound proxy, of the same kind."""
        for_itself = {"proxy_" + name: context for name, context in self._tls.items()}
        manager: ProxyManager = super().proxy_manager_for(proxy, **self._tls, **for_itself, **more)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def connections(self) -> Tuple[int, int]:
        """How many are idle at present, and how many were opened since the start."""
        managers: List[Any] = [self.poolmanager, *self.proxy_manager.values()]
        pools = [manager.pools.get(key) for manager in managers for key in manager.pools.keys()]  # noqa: SIM118 - it cannot be iterated
        living = [pool for pool in pools if pool is not None and pool.pool is not None]
        return sum(pool.pool.qsize() for pool in living), sum(pool.num_connections for pool in living)

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """A stand-in by which urllib3 finds the way; what goes onto the request line is the letter's target."""
        forwarded = select_proxy(str(request.url), proxies) and str(request.url).startswith("http:")
        return str(request.url) if forwarded else "/"

    def build_response(self, req: PreparedRequest, resp: HTTPResponse) -> Response:  # type: ignore[override]
        """The answer without what nobody here reads: no cookie jar, no encoding, no headers of its own."""
        response = Response.__new__(Response)
        response.__dict__.update(_content=False, _content_consumed=False)
        response.status_code, response.reason, response.raw = resp.status, resp.reason or "", resp
        response.request, response.url = req, str(req.url)
        return response


def trusting(ca_bundle: str | None) -> SSLContext:
    """A TLS context that trusts the certificates in a PEM file, or the usual ones."""
    context = create_urllib3_context()
    context.load_verify_locations(ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    return context
