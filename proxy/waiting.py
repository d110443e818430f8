"""What an exchange waits for, so that the rest of its time can be told as the proxy's own."""

from __future__ import annotations

from time import monotonic
from typing import Iterator, Optional


class Waiting:
    """The time that one exchange waited for its client and its provider; ``with waiting:`` counts what happens inside.

    ``told``: the answer's head has left, and nothing is counted any more: a stream costs no clock from then on.
    """

    def __init__(self) -> None:
        self._began = monotonic()
        self._waited = 0.0
        self._since: Optional[float] = None
        self.told = False

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """From now on somebody else is at work."""
        if self._since is None:
            self._since = monotonic()

    def end(self) -> None:
        """It is the proxy's turn."""
        if self._since is not None:
            self._waited += monotonic() - self._since
            self._since = None

    def of(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The first ``pieces``, waited for one by one until the head has left; whoever wants more goes on there."""
        while not self.told:
            with self:
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def own_ms(self) -> float:
        """Milliseconds since the request arrived that were not waited."""
        now = monotonic()
        waited = self._waited + (now - self._since if self._since is not None else 0.0)
        return round((now - self._began - waited) * 1000, 3)
