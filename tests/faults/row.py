"""One row of the matrix: what is played, how it was asked for, and what must come of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple, Sequence, Union

from provider import Script
from stories import CLOSING, DONE, OPENING, STREAM_HEAD, TEXT, chunk, token


class Till(NamedTuple):
    """The client reads until this has come."""

    mark: bytes


class Heard(NamedTuple):
    """The client waits until the provider has its request's head."""


class Leave(NamedTuple):
    """The client closes its connection: FIN, or RST."""

    reset: bool = False


class HalfClose(NamedTuple):
    """The client says that it will send no more, and goes on reading."""


class Nap(NamedTuple):
    """The client does nothing for some seconds."""

    seconds: float


class Rest(NamedTuple):
    """The client reads to the end of the answer."""


Act = Union[bytes, Till, Heard, Leave, HalfClose, Nap, Rest]


ANY = -1  # a status that depends on who is quicker


class Want(NamedTuple):
    """What must come of it.

    ``content`` is what the client gets, literally: all of it, but of a stream with a ``code`` what comes before the
    error frame; None: the one envelope. ``code`` None: nothing failed; "": an error without a code. ``asked``: whether
    the provider hears of it, ``kept``: whether its connection may be used again (else it must be closed), ``upstream``:
    its status. ``text`` is all that the client gets, as ``expected.json`` has it (see ``spelled``).
    """

    status: int
    outcome: str = "complete"
    code: str | None = None
    content: bytes | None = None
    upstream: int | None = 200
    asked: bool = True
    kept: bool = False
    broken: bool = False  # the answer ends without its end, as a cut one must that is only relayed
    text: str | None = None
    several: Sequence[str] = ()  # further codes that are as true: which one depends on what the kernel tells first


class Row(NamedTuple):
    """One fault. ``way``: whole, stream, folded (whole of a stream) or unfolded (stream of a whole)."""

    group: str
    name: str
    play: Script
    want: Want | None  # None: it stands in expected.json
    way: str = "whole"
    arena: str = "patient"
    acts: Sequence[Act] = (Rest(),)
    target: str = "/v1/chat/completions"
    method: str = "POST"
    body: bytes | None = None  # None: a sound ask
    headers: Sequence[tuple[str, str]] = ()
    more: dict[str, Any] = {}  # of the ask
    greet: str = ""  # how the provider's side begins the connection
    heavy: bool = False  # not to be played again and again

    @property
    def title(self) -> str:
        """What it is called in tests and tables."""
        return f"{self.group}: {self.name}"

    @property
    def streams(self) -> bool:
        """Whether the client wants a stream."""
        return self.way in ("stream", "unfolded")


MODES = {"whole": "off", "stream": "off", "folded": "stream", "unfolded": "non_stream"}


def ends_well(content: bytes, **more: Any) -> Want:
    """A whole answer or a stream that is complete."""
    return Want(200, content=content, **more)


def fails(
    code: str, outcome: str = "upstream_error", status: int = 502, upstream: int | None = 200, **more: Any
) -> Want:
    """A failure before the first byte, with its true status."""
    return Want(status, outcome, code, None, upstream, **more)


def breaks(content: bytes, code: str, outcome: str = "upstream_error", **more: Any) -> Want:
    """A stream that has begun and ends with an error frame."""
    return Want(200, outcome, code, content, **more)


def streams(*pieces: bytes) -> list[bytes]:
    """The head of a stream and some chunks."""
    return [STREAM_HEAD, *(chunk(piece) for piece in pieces)]


SHORT = {b"<role>": OPENING, b"<one>": token(b"one"), b"<stop>": CLOSING, b"<done>": DONE, b"<whole>": TEXT.whole}
REASON = (  # Python's names for some statuses, which change as well
    rb"Request(?:-URI Too Long|ed Range Not Satisfiable| Entity Too Large)|URI Too Long|Range Not Satisfiable|"
    rb"Content Too Large|Unprocessable (?:Entity|Content)|I'm a Teapot|Too Early|HTTP status 4(?:18|25)"
)
RANDOM = [
    (re.compile(rb"127\.0\.0\.1:\d+"), b"<host>"),
    (re.compile(rb"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|(?<![0-9a-z])[0-9a-f]{24,32}\b"), b"<random>"),
    (re.compile(rb'("created(?:_at)?": ?)(?:1(?!7600)\d{9}\b|"2\d{3}-[^"]*")'), rb"\1<now>"),
    (re.compile(rb'("\w+_duration": ?)\d+'), rb"\1<time>"),
    (re.compile(rb'(JSON: )[^"]+(")'), rb"\1<why>\2"),  # Python's own words, which change
    (re.compile(rb"(for )[\d.]+ s\b"), rb"\1<limit> s"),
    (re.compile(REASON), b"<reason>"),
]


def spelled(content: bytes) -> str:
    """What a client got as text: well-known frames by name, what is different each time by its kind."""
    for name, frame in SHORT.items():
        content = content.replace(frame, name)
    for pattern, name in RANDOM:
        content = pattern.sub(name, content)
    return content.decode("latin-1")


EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text("utf-8"))


def wanted(row: Row) -> Want | None:
    """What must come of a row, from the row itself or from the table beside it."""
    if row.want is not None or row.title not in EXPECTED:
        return row.want
    status, outcome, code, upstream, text = EXPECTED[row.title]
    return Want(status, outcome, code, None, upstream, asked=outcome != "refused", kept=True, text=text)
