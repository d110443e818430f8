"""The verbatim lane of dialects that need no repair: frames pass as they came, and their end must be the real one."""

from __future__ import annotations

from typing import Callable, Dict, List

from proxy.chat.ask import Ask
from proxy.dialects.dialect import Mender, MendStream, Stamp, Wire
from proxy.dialects.failures import read_failure_frame
from proxy.errors import ProxyError, truncated
from proxy.framing import Frame

Look = Callable[[Frame], bool]


class Watch:
    """One stream that is watched: ``is_end`` knows the frame that ends it, ``says`` one that says something."""

    def __init__(self, is_end: Look, says: Look) -> None:
        self.meaningful = False
        self.finished = False
        self.done = False
        self.repairs: Dict[str, int] = {}
        self._is_end = is_end
        self._says = says

    def mend(self, frame: Frame) -> bytes:
        """The frame as it came. Raises ProxyError for one that is a failure."""
        failed = read_failure_frame(frame)
        if failed is not None:
            raise ProxyError(failed)
        self.meaningful = self.meaningful or self._says(frame)
        if self._is_end(frame):
            self.finished = self.done = True
        return frame.raw

    def end(self) -> bytes:
        """Nothing is owed. Raises ProxyError ``stream_truncated`` if the end never came."""
        if not self.finished:
            raise truncated()
        return b""


def watching(is_end: Look, says: Look) -> MendStream:
    """The ``mend_stream`` of a dialect whose streams are relayed as they are."""

    def mend_stream(ask: Ask, stamp: Stamp, *, repair: bool, show_usage: bool, asked_usage: bool) -> Mender:
        """Begin to watch one stream."""
        return Watch(is_end, says)

    return mend_stream


def leave_alone(reply: Wire, ask: Ask, stamp: Stamp) -> List[str]:
    """The ``mend_reply`` of such a dialect."""
    return []
