"""How an answer leaves: its status when that is certain, heartbeats while nothing comes, failures where they fit."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Iterable, Iterator, NamedTuple, Optional, Protocol

from flask import Response
from msgspec.structs import replace
from werkzeug.http import HTTP_STATUS_CODES

from proxy.chat.events import Failed
from proxy.dialects.dialect import Wire
from proxy.dialects.failures import envelope, sdk_headers
from proxy.dialects.json_text import write_json
from proxy.errors import Headers, ProxyError, failure
from proxy.journal.record import Record
from proxy.routes.arrived import Arrived
from proxy.routes.flow import Flow, Pulled, open_flow
from proxy.routes.live import Live
from proxy.routes.walk import End, Item, Pending, Walk
from proxy.routes.watch import Watchman

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON_TYPE = ("Content-Type", "application/json")
# A proxy in front must neither store nor collect a stream (C51).
STREAM_HEADERS: Headers = [("Cache-Control", "no-cache, no-transform"), ("X-Accel-Buffering", "no")]
STREAM_OWN = {"content-type", "content-length", "cache-control", "x-accel-buffering", "etag"}
NO_BODY = (204, 304)


class Door(NamedTuple):
    """What all answers of a worker share on their way out."""

    watchman: Watchman
    live: Live


class Answering(Walk, Protocol):
    """A walk that knows its status and headers once its first block is there, and writes its record when closed."""

    status: int
    headers: Headers
    record: Record

    def status_of(self, failed: Failed) -> int:
        """The status that the client's protocol has for a failure."""

    def envelope(self, failed: Failed) -> Wire:
        """A failure as the client's protocol spells it where nothing has been sent yet."""

    def close(self) -> None:
        """The client has its bytes, or has left."""


class Speaking(Answering, Protocol):
    """A walk whose client wants a stream: it can say that it lives and that it failed."""

    @property
    def content_type(self) -> str:
        """What the stream is."""

    @property
    def heartbeat(self) -> bytes:
        """Bytes that keep the connection alive and mean nothing."""

    def spell(self, failed: Failed) -> bytes:
        """A failure inside the stream, with the stream's end."""


class Untyped(Response):
    """A response that has a Content-Type only where one was given, and that is closed where its host refuses it."""

    default_mimetype = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer; gunicorn raises for a header that it will not send."""
        try:
            return super().__call__(environ, start_response)
        except Exception:
            self.close()
            raise


class Outgoing(NamedTuple):
    """An answer whose head is certain."""

    status: int
    headers: Headers
    delivery: Delivery

    def response(self) -> Response:
        """The answer as flask wants it, whose headers somebody may still change."""
        return Untyped(self.delivery, self.status, self.headers, direct_passthrough=True)

    def leave(self, start_response: StartResponse) -> Iterable[bytes]:
        """The answer to a POST as any WSGI host wants it."""
        try:
            start_response(f"{self.status} {HTTP_STATUS_CODES.get(self.status, 'UNKNOWN').upper()}", self.headers)
        except Exception:
            self.delivery.close()
            raise
        return self.delivery


class Delivery:
    """One answer on its way out, as an iterable of blocks; every WSGI host calls ``close`` when it is over."""

    def __init__(self, door: Door, walk: Answering, arrived: Arrived, *, compatible: bool) -> None:
        self._door = door
        self._walk = walk
        self._arrived = arrived
        self._compatible = compatible
        self._flow: Optional[Flow] = None
        self._blocks: Iterator[bytes] = iter(())
        self._ended: Optional[ProxyError] = None
        self._left_whole = False
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._blocks
        finally:
            self.close()  # werkzeug's server does not, where the client resets the connection after the last byte

    @property
    def walk(self) -> Answering:
        """What is delivered."""
        return self._walk

    def whole(self) -> Outgoing:
        """An answer that is complete before it leaves."""
        try:
            flow = self._start()
            block = flow.next()
        except ProxyError as error:
            return self.refuse(error)
        flow.settle()
        return self._leave(_without(self._walk.headers, "content-type") + [JSON_TYPE], block)

    def relay(self) -> Outgoing:
        """An answer whose head leaves at once and whose bytes leave as they come; a failure breaks the connection."""
        try:
            flow = self._start()
            first = flow.next()
        except ProxyError as error:
            return self.refuse(error)
        return self._respond(self._walk.headers, self._relayed(flow, first))

    def stream(self, walk: Speaking, hold: float, heartbeat: float, pulled: Optional[Pulled] = None) -> Outgoing:
        """A stream: its status waits ``hold`` seconds for meaning; heartbeats every ``heartbeat`` seconds (0: none)."""
        try:
            flow = self._start(pulled)
            first = flow.next(hold)
        except ProxyError as error:
            return self.refuse_stream(walk, error)
        return self._respond(_stream_headers(walk), self._beating(walk, flow, first, heartbeat or None))

    def refuse_stream(self, walk: Speaking, error: ProxyError) -> Outgoing:
        """A failure before a stream began: its true status, or a stream of that failure under --compatible."""
        if not self._compatible:
            return self.refuse(error)
        walk.headers = self._told(error)
        walk.status = 200
        failed = legacy(error.failed)
        walk.record.client_output = walk.envelope(failed)
        return self._respond(_stream_headers(walk), self._once(walk.spell(failed)))

    def refuse(self, error: ProxyError) -> Outgoing:
        """The envelope with its true status, or with 200 for clients that cannot take one (--compatible)."""
        headers = self._told(error)
        failed = legacy(error.failed) if self._compatible else error.failed
        self._walk.status = 200 if self._compatible else self._walk.status_of(failed)
        spelled = self._walk.envelope(failed)
        self._walk.record.client_output = spelled
        return self._leave([*headers, JSON_TYPE], write_json(spelled))

    def close(self) -> None:
        """The answer has left, or the client has: end what belongs to it and write the record, exactly once."""
        if self._closed:
            return
        self._closed = True
        self._door.watchman.forget(self._arrived.descriptor)
        try:
            if self._flow is not None:
                self._flow.stop()
            record = self._walk.record
            if not self._left_whole and record.outcome is None:
                self._tell(failure("client_left", "The client left before its answer was complete.").failed)
            record.outcome = record.outcome or "complete"
            self._walk.close()
        finally:  # it is under way until both lines are written
            if self._flow is not None:
                self._door.live.leave(self)

    def end(self, error: ProxyError) -> bool:
        """End the answer from outside, wherever it is; its client is told why, if it is still there.

        Whether there was anything to end: not if all that is left of it is its record.
        """
        if self._closed:
            return False
        self._ended = error
        if self._flow is not None:
            self._flow.fail(error)
        return True

    def abandon(self) -> None:
        """Break the connection to a client that takes nothing, so that its host comes to close this."""
        self._arrived.abandon()

    def _start(self, pulled: Optional[Pulled] = None) -> Flow:
        self._door.watchman.watch(
            self._arrived.descriptor, lambda: self.end(failure("client_left", "The client left."))
        )
        self._door.live.enter(self, lambda: self._ended)
        self._flow = flow = open_flow(self._walk, pulled)
        if self._ended is not None:
            flow.fail(self._ended)
        return flow

    def _beating(self, walk: Speaking, flow: Flow, item: Item, heartbeat: Optional[float]) -> Iterator[bytes]:
        try:
            while not isinstance(item, End):
                if isinstance(item, Pending):
                    item = walk.heartbeat if heartbeat else b""  # the hold is over: the head leaves in any case
                yield item
                item = flow.next(heartbeat)
        except ProxyError as error:
            self._tell(error.failed)
            failed = legacy(error.failed) if self._compatible else error.failed
            walk.record.client_output = walk.envelope(failed)  # unless more than that came before it
            yield walk.spell(failed)
        self._left_whole = True

    def _relayed(self, flow: Flow, item: Item) -> Iterator[bytes]:
        """Ending a cut answer like a whole one would be a lie: the connection breaks instead, without a last chunk."""
        try:
            while not isinstance(item, End):
                yield item if isinstance(item, bytes) else b""
                item = flow.next()
        except ProxyError as error:
            self._tell(error.failed)
            raise ConnectionResetError(errno.ECONNRESET, error.failed.message) from error
        self._left_whole = True

    def _once(self, block: bytes) -> Iterator[bytes]:
        yield block
        self._left_whole = True

    def _leave(self, headers: Headers, block: Item) -> Outgoing:
        body = block if isinstance(block, bytes) else b""
        return self._respond(
            [*_without(headers, "content-length"), ("Content-Length", str(len(body)))], self._once(body)
        )

    def _respond(self, headers: Headers, blocks: Iterator[bytes]) -> Outgoing:
        status = self._walk.status
        self._blocks = blocks
        self._left_whole = self._arrived.method == "HEAD" or status in NO_BODY
        record = self._walk.record
        record.status = status
        record.overhead_ms, record.waiting.told = record.waiting.own_ms(), True
        ours = [("X-Logging-Id", record.logging_id), ("X-Forward-Overhead-Ms", f"{record.overhead_ms:g}")]
        headers = record.client_answer_headers = [*headers, *ours]
        return Outgoing(status, headers, self)

    def _told(self, error: ProxyError) -> Headers:
        """Note the failure, and return the headers that belong to it."""
        self._tell(error.failed)
        true_status = [("X-Upstream-Status", str(error.failed.status))] if self._compatible else []
        said = {name.lower() for name, _ in error.headers}
        advice = [pair for pair in sdk_headers(error.failed) if pair[0].lower() not in said]
        return [*_without(error.headers, "content-type"), *advice, *true_status]

    def _tell(self, failed: Failed) -> None:
        self._walk.record.outcome = failed.outcome
        self._walk.record.error = envelope(failed)["error"]


def legacy(failed: Failed) -> Failed:
    """The failure as --compatible tells it: the true status goes into the error itself."""
    return replace(failed, extra={**failed.extra, "http_status": failed.status})


def _without(headers: Headers, name: str) -> Headers:
    return [(key, value) for key, value in headers if key.lower() != name]


def _stream_headers(walk: Speaking) -> Headers:
    kept = [(key, value) for key, value in walk.headers if key.lower() not in STREAM_OWN]
    return [*kept, ("Content-Type", walk.content_type), *STREAM_HEADERS]
