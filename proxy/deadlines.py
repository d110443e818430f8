"""How long one exchange may take: limits that no single read of a socket can see."""

from __future__ import annotations

from time import monotonic
from typing import Optional

from proxy.errors import ProxyError, failure

NEVER = float("inf")


class Deadlines:
    """The total limit runs from the start; the stall limit from the last data, once an answer's body has begun.

    Comments and blanks of a provider that queues are bytes but no data (C48): they reset the read timeout, not this.
    All limits are in seconds; None means none.
    """

    def __init__(self, total: Optional[float], stall: Optional[float]) -> None:
        self._total = total
        self._stall = stall
        self.started = monotonic()
        self._end = self.started + total if total else NEVER
        self._stall_end = NEVER

    def data(self) -> None:
        """Data arrived, or the body began: the stall limit starts anew."""
        if self._stall:
            self._stall_end = monotonic() + self._stall

    def heard(self, data: bool) -> None:
        """Bytes arrived, ``data`` or not. Raises ProxyError if they came too late."""
        now = monotonic()
        if now >= self._end or now >= self._stall_end:
            self.check()
        if data and self._stall:
            self._stall_end = now + self._stall

    def remaining(self) -> float:
        """Seconds until the nearest limit, at least 0; infinity if there is none."""
        return max(0.0, min(self._end, self._stall_end) - monotonic())

    def due(self, wait: Optional[float]) -> float:
        """The moment at which the nearest limit, or a wait of so many seconds that begins now, is over."""
        nearest = min(self._end, self._stall_end)
        return nearest if wait is None else min(nearest, monotonic() + wait)

    def overdue(self) -> Optional[ProxyError]:
        """The failure that is due now, if any."""
        now = monotonic()
        if now >= self._end:
            return failure("total_timeout", f"The answer took longer than --total_timeout ({self._total:g} s) allows.")
        if now >= self._stall_end:
            text = f"The provider sent no data for {self._stall:g} s (--stall_timeout), though the connection is alive."
            return failure("stall_timeout", text)
        return None

    def lift(self) -> None:
        """A limit has fired, and no other may."""
        self._end = self._stall_end = NEVER
        self._stall = None

    def check(self) -> None:
        """Raise what is overdue."""
        error = self.overdue()
        if error:
            raise error

    def elapsed(self) -> float:
        """Seconds since the exchange began."""
        return monotonic() - self.started

    def elapsed_ms(self) -> float:
        """Milliseconds since the exchange began, to a tenth."""
        return round((monotonic() - self.started) * 1000, 1)
