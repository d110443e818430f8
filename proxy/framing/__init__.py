"""Where one message ends and the next begins, before anybody knows what it means. Bytes in, frames out; no I/O."""

from __future__ import annotations

from msgspec import Struct


class Frame(Struct, frozen=True, gc=False):
    """One message of a stream: its ``data``, its ``event`` name (empty if none), and the very bytes it came in.

    ``comment`` is the text of comment lines inside it; ``id`` says that an ``id:`` line was there. A frame without data
    is a comment or an empty record. ``raw`` ends with the blank line that closes the record.
    """

    data: bytes
    raw: bytes
    event: str = ""
    comment: str = ""
    id: bool = False
