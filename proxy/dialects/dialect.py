"""What a dialect is: one frozen record of pure functions; a forgotten one is a TypeError at import."""

from __future__ import annotations

from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

from proxy.chat.ask import Ask
from proxy.chat.events import Event, Failed
from proxy.chat.reply import Reply
from proxy.errors import Headers
from proxy.framing import Frame

Wire = Dict[str, Any]


def _no_time() -> float:
    return 0.0


def _never(ask: Ask) -> Optional[Reply]:
    return None


def _nothing(ask: Ask) -> Tuple[str, ...]:
    return ()


def _as_said(events: Iterable[Event], ask: Ask) -> Iterable[Event]:
    return events


def _its_own(failed: Failed) -> int:
    return failed.status


class Stamp(NamedTuple):
    """What an answer is given where the provider gave none: an id (32 hex digits) and the time (Unix seconds).

    ``elapsed`` tells the seconds since the exchange began, for protocols whose answers state durations. ``request``:
    what a provider of another protocol calls the request, for protocols that tell that in the answer itself.
    """

    id: str
    created: int
    elapsed: Callable[[], float] = _no_time
    request: str = ""


class Asked(NamedTuple):
    """An ask as it goes to the provider.

    ``headers`` it needs besides the end-to-end ones, another ``path`` than the dialect's own, and the names of the
    parameters that were ``dropped`` because they have no twin there.
    """

    body: bytes
    headers: Tuple[Tuple[str, str], ...] = ()
    path: str = ""
    dropped: Tuple[str, ...] = ()


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


def _as_it_is(asked: Asked, kind: str) -> Optional[Asked]:
    return None


class ReadAsk(Protocol):
    """Read a client's body; headers may say what a body does not. Raises ProxyError 400 that names the field."""

    def __call__(self, body: bytes, headers: Sequence[Tuple[str, str]] = ...) -> Ask: ...


class WriteAsk(Protocol):
    """Spell an ask of the same dialect in one mode; without ``options``, ``stream_options`` is left out (C11)."""

    def __call__(self, ask: Ask, *, stream: bool, ask_usage: bool, options: bool = True) -> Asked: ...


class WriteChat(Protocol):
    """Spell an OpenAI chat body as this provider's ask in one mode. Raises ProxyError 400 for what cannot be said."""

    def __call__(self, chat: Wire, *, stream: bool, options: bool = True) -> Asked: ...


class ReadReply(Protocol):
    """Read a whole answer; ``ask`` tells how the client called its tools. Raises ProxyError for what is none."""

    def __call__(self, body: Wire, ask: Optional[Ask] = ...) -> Reply: ...


class WriteReply(Protocol):
    """Spell a whole answer; ``ask`` and ``stamp`` are there for protocols whose answers depend on them."""

    def __call__(self, reply: Reply, *, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None) -> Wire: ...


class ReadFrames(Protocol):
    """Where one message of a stream ends: the frames that each piece completed, together."""

    def __call__(self, pieces: Iterable[bytes], limit: int = ...) -> Iterator[List[Frame]]: ...


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

    def __call__(
        self, events: Iterable[Event], *, show_usage: bool, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None
    ) -> Iterator[bytes]: ...


class WriteFailedStream(Protocol):
    """A failure inside a stream, with the stream's end; ``before``: the last frames that the client got."""

    def __call__(self, failed: Failed, before: bytes = ...) -> bytes: ...


class Carry(Protocol):
    """A credential in the form that the provider takes; ``stored``: it is the operator's, not the client's own."""

    def __call__(self, headers: Headers, *, stored: bool = ...) -> Headers: ...


class MendStream(Protocol):
    """Begin the repair of one verbatim stream."""

    def __call__(self, ask: Ask, stamp: Stamp, *, repair: bool, show_usage: bool, asked_usage: bool) -> Mender: ...


class Dialect(NamedTuple):
    """How one vendor spells asks, replies, streams and failures. Readers raise ProxyError, writers never do.

    ``family``: dialects that one provider speaks. ``path``: where it is asked, below its base. ``served``: the paths at
    which we serve the dialect to clients. ``write_ask`` restates an ask of the same dialect; between dialects an ask
    goes through ``read_chat`` of the client's and ``write_chat`` of the provider's. ``carry`` puts the client's
    credential into the form that the provider takes. ``own``: parameters that only providers of the family know.
    ``alone``: the reply to an ask that means nothing to providers of another family, so that none is asked. ``unread``:
    names that ``read_chat`` leaves out. ``amend``: an ask after a refusal of some kind. ``status``: a failure's own.
    ``read_prompt``: an ask that is a bare prompt, as an OpenAI completions body (else None); a dialect that has it
    takes such a body in its ``write_chat``. ``takes``: parameters that it knows although clients call them their own.
    ``settle``: what providers of another family say, as the client's tools want it. ``request_id``: the header in which
    its clients find what a provider calls a request. ``variants``: how asks are spelled for a provider whose URL names
    another path of the dialect's. ``headers`` and ``query``: names (in lower case, ``x-`` for all that begin so) that
    mean something to this family only, and do not go to providers of another. ``lossless``: a stream that says a plain
    reply amounts to that very reply, and tells nothing of its own such as how long it took.
    """

    name: str
    family: str
    path: str
    served: Tuple[str, ...]
    content_type: str
    heartbeat: bytes
    read_frames: ReadFrames
    read_ask: ReadAsk
    write_ask: WriteAsk
    read_chat: Callable[[Ask], Wire]
    write_chat: WriteChat
    read_reply: ReadReply
    write_reply: WriteReply
    read_stream: ReadStream
    write_stream: WriteStream
    read_failure: Callable[[int, Headers, bytes], Failed]
    write_failed: Callable[[Failed], Wire]
    write_failed_stream: WriteFailedStream
    mend_stream: MendStream
    mend_reply: Callable[[Wire, Ask, Stamp], List[str]]
    carry: Carry
    own: FrozenSet[str] = frozenset()
    alone: Callable[[Ask], Optional[Reply]] = _never
    unread: Callable[[Ask], Tuple[str, ...]] = _nothing
    amend: Callable[[Asked, str], Optional[Asked]] = _as_it_is
    status: Callable[[Failed], int] = _its_own
    read_prompt: Optional[Callable[[Ask], Optional[Wire]]] = None
    takes: FrozenSet[str] = frozenset()
    settle: Callable[[Iterable[Event], Ask], Iterable[Event]] = _as_said
    request_id: str = "x-request-id"
    variants: Tuple[Tuple[str, WriteChat], ...] = ()
    headers: Tuple[str, ...] = ()
    query: Tuple[str, ...] = ()
    lossless: bool = False
