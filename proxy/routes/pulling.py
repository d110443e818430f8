"""A stream under way whose blocks pass as they come is pulled by its host's own greenlet.

While nothing comes no second one keeps a stack: that is a third of what an idle stream holds, and half of the switches
of a token.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, Optional, Union

from proxy.errors import ProxyError
from proxy.routes.walk import END, LINGER, End, Walk, surprise
from proxy.upstream.answer import Source

Start = Callable[[Callable[[], None]], object]


class Pull:
    """The rest of a walk: an empty block says that nothing has come, and then ``source`` is waited for.

    ``start`` begins something in a greenlet of its own.
    """

    def __init__(self, walk: Walk, blocks: Iterator[bytes], source: Source, start: Start) -> None:
        self.over = False
        self._walk = walk
        self._blocks: Any = blocks
        self._source = source
        self._start = start
        self._error: Optional[ProxyError] = None

    def next(self, due: float) -> Union[bytes, End, ProxyError, None]:
        """The next block, END, what went wrong, or None at ``due`` (monotonic)."""
        while self._source.until(due):
            if self._error is not None:
                self.stop()
                return self._error
            try:
                block: Union[bytes, End] = next(self._blocks, END)
            except Exception as error:
                self.stop()
                return error if isinstance(error, ProxyError) else surprise(error)
            if isinstance(block, End):
                self.over = True
                self._start(self._linger)
                return block
            if block:
                return block
        return None

    def fail(self, error: ProxyError) -> None:
        """From anywhere: the read that is waited for fails; where none is, the walk is over."""
        if not (self.over or self._source.break_off(error)):
            self._error = error
            self._walk.hang_up()

    def break_off(self, error: ProxyError) -> None:
        """By who pulls: the next read fails, and the walk may still say its last word."""
        self._source.break_off(error)

    def stop(self) -> None:
        """End the walk now."""
        if not self.over:
            self.over = True
            self._blocks.close()
            self._walk.hang_up()

    def _linger(self) -> None:
        try:
            self._walk.hang_up(LINGER)
        except ProxyError:  # somebody ended what was over
            self._walk.hang_up()
