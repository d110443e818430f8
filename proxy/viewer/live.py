"""The page's stream of events. It is no exchange: it takes no place, is not journaled, and holds no stop up."""

from __future__ import annotations

from time import monotonic
from typing import Iterator, cast

from flask import Response, current_app

from proxy.routes.visit import Visit, refused
from proxy.viewer.feed import Feed

MOST = 40  # pages per worker; the host keeps 64 connections for what is no exchange
LOOK = 0.5  # seconds until a page notices that the worker is to stop
HEARTBEAT = 10.0


def live(visit: Visit) -> Response:
    """Events for as long as the page is open."""
    feed = cast(Feed, current_app.extensions.setdefault("feed", Feed(visit.parts)))
    if feed.pages >= MOST:
        return refused(503, "too_many_pages", "As many traffic pages are open as may be.")
    headers = {"X-Accel-Buffering": "no"}
    if visit.came.method == "HEAD":
        return Response(headers=headers, content_type="text/event-stream")
    return Response(Looking(feed, visit), headers=headers, content_type="text/event-stream", direct_passthrough=True)


class Looking:
    """One open page; hosts call ``close`` when it has gone."""

    def __init__(self, feed: Feed, visit: Visit) -> None:
        self._feed = feed
        self._visit = visit
        self._gone = self._closed = False
        self._seen = feed.join()
        feed.watchman.watch(visit.came.descriptor, self._left)

    def __iter__(self) -> Iterator[bytes]:
        last = monotonic()
        yield b"retry: 1000\n\n"
        while not (self._gone or self._visit.live.draining):
            self._seen, data = self._feed.news(self._seen, LOOK)
            if not data and monotonic() - last >= HEARTBEAT:
                data = b": still here\n\n"
            if data:
                last = monotonic()
                yield data

    def close(self) -> None:
        """The page has gone."""
        if not self._closed:
            self._closed = self._gone = True
            self._feed.watchman.forget(self._visit.came.descriptor)
            self._feed.leave()

    def _left(self) -> None:
        self._gone = True
        self._feed.wake()
