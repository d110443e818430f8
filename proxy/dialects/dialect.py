"""What a dialect is: one frozen record of pure functions; a forgotten one is a TypeError at import."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Protocol

from proxy.chat.ask import Ask
from proxy.chat.events import Event, Failed
from proxy.chat.reply import Reply
from proxy.errors import Headers
from proxy.framing import Frame

Wire = Dict[str, Any]


class Stamp(NamedTuple):
    """The id and the time (Unix seconds) of an answer to which the provider gave none."""

    id: str
    created: int


class Mender(Protocol):
    """The repair of one verbatim stream, frame by frame."""

    meaningful: bool
    done: bool

    @property
    def finished(self) -> bool:
        """Whether the answer is complete, be its end said or not."""

    @property
    def repairs(self) -> Iterable[str]:
        """Names of what was mended."""

    def mend(self, frame: Frame) -> bytes:
        """The bytes for the client; raises ProxyError for a frame that is an error."""

    def end(self) -> bytes:
        """What is still owed when the provider has ended; raises ProxyError for a truncated stream."""


class WriteAsk(Protocol):
    """Spell an ask for the provider in one mode; without ``options``, ``stream_options`` is left out (C11)."""

    def __call__(self, ask: Ask, *, stream: bool, ask_usage: bool, options: bool = True) -> bytes: ...


class ReadStream(Protocol):
    """A provider's frames as events; raises ProxyError for error frames, truncated and empty streams.

    ``repair`` mends what spec 1.6 mends; ``ask`` tells it the model and the tool that were asked for, ``stamp`` what to
    say where the provider gave no id or time. The names of what was mended are counted in ``repairs``.
    """

    def __call__(
        self,
        frames: Iterable[Frame],
        *,
        repair: bool,
        ask: Optional[Ask] = None,
        stamp: Optional[Stamp] = None,
        repairs: Optional[Dict[str, int]] = None,
    ) -> Iterator[Event]: ...


class WriteStream(Protocol):
    """Spell events as the client's stream, frame by frame, up to and with its end."""

    def __call__(self, events: Iterable[Event], *, show_usage: bool) -> Iterator[bytes]: ...


class MendStream(Protocol):
    """Begin the repair of one verbatim stream."""

    def __call__(self, ask: Ask, stamp: Stamp, *, repair: bool, show_usage: bool, asked_usage: bool) -> Mender: ...


class Dialect(NamedTuple):
    """How one vendor spells asks, replies, streams and failures. Readers raise ProxyError, writers never do."""

    name: str
    path: str
    content_type: str
    heartbeat: bytes
    read_ask: Callable[[bytes], Ask]
    write_ask: WriteAsk
    read_reply: Callable[[Wire], Reply]
    write_reply: Callable[[Reply], Wire]
    read_stream: ReadStream
    write_stream: WriteStream
    read_failure: Callable[[int, Headers, bytes], Failed]
    write_failed: Callable[[Failed], Wire]
    write_failed_stream: Callable[[Failed], bytes]
    mend_stream: MendStream
    mend_reply: Callable[[Wire, Ask, Stamp], List[str]]
