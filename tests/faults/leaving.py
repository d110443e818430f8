"""The client leaves at each moment, or only seems to."""

from __future__ import annotations

from typing import List

from provider import Close, Deaf, Read, Sleep, Stall
from stories import CLOSING, DONE, END, OPENING, TEXT, chunk, whole

from faults.cut import HEAD, ONE
from faults.row import ANY, HalfClose, Heard, Leave, Nap, Rest, Row, Till, Want, ends_well, fails, streams

GROUP = "The client leaves"
LEFT = Want(499, "client_abort", "client_left", upstream=ANY)
PLACES = [  # (when, what the provider has said, what the client waits for, the way)
    ("before the status", [Stall()], Heard(), "whole"),
    ("before the status", [Stall()], Heard(), "stream"),
    ("before the status", [Stall()], Heard(), "folded"),
    ("before the status", [Stall()], Heard(), "unfolded"),
    ("inside the provider's head", [b"HTTP/1.1 200 OK\r\nCont", Stall()], Heard(), "stream"),
    ("after the provider's head", [*streams(), Stall()], Heard(), "stream"),
    ("after the role", [*streams(OPENING), Stall()], Heard(), "stream"),
    ("after the role", [*streams(OPENING), Stall()], Heard(), "folded"),
    ("inside a whole answer", [HEAD + TEXT.whole[:80], Stall()], Heard(), "whole"),
    ("inside a whole answer", [HEAD + TEXT.whole[:80], Stall()], Heard(), "unfolded"),
    ("in the middle of a stream", [*streams(OPENING, ONE), Stall()], Till(b"one"), "stream"),
    ("inside a frame", [*streams(OPENING, ONE, ONE[:50]), Stall()], Till(b"one"), "stream"),
    ("in the middle of many words", [*streams(OPENING, *[ONE] * 2000), Stall()], Till(b"one"), "stream"),
    (
        "while the provider says an error's body",
        [b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\n{", Stall()],
        Heard(),
        "stream",
    ),
]
LEAVING = [("closes", Leave()), ("resets", Leave(reset=True)), ("half-closes", HalfClose())]
STATUS = {"in the middle of a stream": 200, "inside a frame": 200, "in the middle of many words": 200}

WORDS = [*streams(OPENING, ONE), Sleep(0.3), chunk(CLOSING), chunk(DONE), END]
STREAM = ends_well(OPENING + ONE + CLOSING + DONE, kept=True)
WATCHED = "What the watching client socket shows"
NEXT = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
SOUND = b'{"model": "m", "messages": [{"role": "user", "content": "Hello?"}]}'
LENGTH = [("Content-Length", str(len(SOUND)))]


def leaves() -> List[Row]:
    """Each place, each way to leave."""
    made = []
    for place, script, wait, way in PLACES:
        for verb, leave in LEAVING:
            want = LEFT._replace(status=STATUS.get(place, 499))
            made.append(Row(GROUP, f"{place} ({way}): {verb}", script, want, way, acts=[wait, leave]))
    return made


def watched() -> List[Row]:
    """Bytes that arrive while an answer leaves mean no leaving."""
    return [
        Row(WATCHED, "a stray CRLF", WORDS, STREAM, "stream", acts=[Till(b"one"), b"\r\n", Rest()]),
        Row(WATCHED, "a pipelined request", WORDS, STREAM, "stream", acts=[Till(b"one"), NEXT, Rest()]),
        Row(WATCHED, "garbage", WORDS, STREAM, "stream", acts=[Till(b"one"), b"\x00\xff" * 900, Rest()]),
        Row(
            WATCHED,
            "a stray CRLF before the status",
            [Sleep(0.2), *WORDS],
            STREAM,
            "stream",
            acts=[Heard(), b"\r\n", Rest()],
        ),
        Row(
            WATCHED,
            "a pipelined request before a whole",
            [Sleep(0.2), whole(TEXT.whole)],
            ends_well(TEXT.whole, kept=True),
            acts=[Heard(), NEXT, Rest()],
        ),
        Row(
            WATCHED,
            "an ask in single bytes",
            [whole(TEXT.whole)],
            ends_well(TEXT.whole, kept=True),
            body=b"",
            headers=LENGTH,
            acts=[*(SOUND[at : at + 1] for at in range(len(SOUND))), Rest()],
        ),
        Row(
            WATCHED,
            "an ask with pauses",
            [whole(TEXT.whole)],
            ends_well(TEXT.whole, kept=True),
            body=b"",
            headers=LENGTH,
            acts=[SOUND[:9], Nap(0.2), SOUND[9:], Rest()],
        ),
        Row(
            WATCHED,
            "a chunked ask",
            [whole(TEXT.whole)],
            ends_well(TEXT.whole, kept=True),
            body=b"",
            headers=[("Transfer-Encoding", "chunked")],
            acts=[chunk(SOUND[:9]), Nap(0.1), chunk(SOUND[9:]) + END, Rest()],
        ),
    ]


TLS = "Clients behind TLS"


def secured() -> List[Row]:
    """The same through TLS, whose records are more than the words in them."""
    made = []
    for row in [*leaves(), *watched()]:
        if (
            row.way in ("whole", "stream")
            and "half" not in row.name
            and ("the status" in row.name or "middle" in row.name or row.group == WATCHED)
        ):
            made.append(row._replace(group=TLS, arena="tls", name=f"{row.group}: {row.name}"))
    return made


UPLOAD = "Uploads"
EARLY = b"HTTP/1.1 413 Too Big\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
DECLARED = [("Content-Length", "500000"), ("Content-Type", "application/octet-stream")]
HALF = b"x" * 100_000


def uploads() -> List[Row]:
    """Bodies that are forwarded as they come."""
    up = {"target": "/v1/files", "body": b"", "headers": DECLARED}
    return [
        Row(
            UPLOAD,
            "all of it arrives in pieces",
            [whole(b'{"id":"f"}')],
            ends_well(b'{"id":"f"}', kept=True),
            acts=[HALF] * 5 + [Rest()],
            **up,
        ),
        Row(
            UPLOAD,
            "refused before its end",
            [Deaf(), EARLY, Read(None)],
            Want(413, "upstream_error", "request_too_large", b"{}", 413),
            acts=[HALF, Rest()],
            **up,
        ),
        Row(
            UPLOAD,
            "refused by a provider that closes",
            [Deaf(), EARLY, Close()],
            Want(413, "upstream_error", "request_too_large", b"{}", 413),
            acts=[HALF, Rest()],
            **up,
        ),
        Row(UPLOAD, "the client closes", [whole(b"{}")], LEFT, acts=[HALF, Heard(), Leave()], **up),
        Row(UPLOAD, "the client resets", [whole(b"{}")], LEFT, acts=[HALF, Heard(), Leave(reset=True)], **up),
        Row(
            UPLOAD,
            "the client stalls",
            [whole(b"{}")],
            fails("request_timeout", "refused", 408, None),
            arena="hasty",
            acts=[HALF, Rest()],
            **up,
        ),
        Row(UPLOAD, "the provider closes", [Deaf(), Close()], None, acts=[HALF, Rest()], **up),
        Row(
            UPLOAD,
            "the provider takes nothing",
            [Deaf(), Stall()],
            None,
            arena="hasty",
            acts=[b"x" * 30_000_000, Rest()],
            **{**up, "headers": [("Content-Length", "30000000")]},
        ),
    ]


def rows() -> List[Row]:
    return [*leaves(), *watched(), *secured(), *uploads()]
