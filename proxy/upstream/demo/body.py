"""The body of a demo answer: a file that says its steps when they are due. It knows time, not what is said."""

from __future__ import annotations

import threading
import time
from collections import deque
from http.client import IncompleteRead
from itertools import accumulate
from socket import timeout as SocketTimeout  # noqa: N812 - the name urllib3 gives it; what a real socket would raise
from typing import Sequence

from proxy.upstream.demo.said import Step


class Body:
    """Reads like an ``http.client`` response: what is due is there, what is not is waited for.

    ``silence`` bounds each wait in seconds, as a socket's timeout does; None waits for ever. ``close`` ends a wait at
    once, from any thread or greenlet. ``broken``: what is raised where the connection breaks.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        silence: float | None = None,
        speed: float = 1.0,
        broken: Exception | None = None,
    ) -> None:
        start = time.monotonic()
        moments = accumulate(step.pause / speed for step in steps)
        # Moments are fixed beforehand: like a socket's buffer, a slow reader finds together what came meanwhile.
        self._script = deque((start + moment, step.data) for moment, step in zip(moments, steps))
        self._silence = silence
        self._heard = b""
        self._broken = broken
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Nothing more will be said."""
        return self._closed.is_set()

    def close(self) -> None:
        """Hang up; a read that waits elsewhere ends with an error, never with a clean end."""
        self._closed.set()

    def read1(self, amount: int | None = -1) -> bytes:
        """What has been said so far, at most ``amount`` bytes; waits only while there is nothing; b"" at the end."""
        self._listen()
        cut = len(self._heard) if amount is None or amount < 0 else amount
        said, self._heard = self._heard[:cut], self._heard[cut:]
        return said

    def read(self, amount: int | None = None) -> bytes:
        """Everything to the end, or ``amount`` bytes of it; waits for them."""
        said = []
        wanted = float("inf") if amount is None or amount < 0 else amount
        while wanted > 0:
            piece = self.read1(-1 if wanted == float("inf") else int(wanted))
            if not piece:
                break
            said.append(piece)
            wanted -= len(piece)
        return b"".join(said)

    def _listen(self) -> None:
        """Move everything that is due into ``_heard``, waiting only if that is empty."""
        while self._script:
            moment, data = self._script[0]
            if self._heard and (data is None or moment > time.monotonic()):
                return
            self._wait(moment)
            if data is None:
                raise self._broken or IncompleteRead(b"")
            self._heard += data
            self._script.popleft()

    def _wait(self, moment: float) -> None:
        pause = moment - time.monotonic()
        patience = pause if self._silence is None else min(pause, self._silence)
        # An event rather than a sleep: gevent patches both, and close() must end this wait.
        if self._closed.wait(max(0.0, patience)):
            raise ConnectionAbortedError("closed while reading")
        if patience < pause:
            raise SocketTimeout("timed out")
