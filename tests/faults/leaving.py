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


CHUNKED = [("Transfer-Encoding", "chunked")]
ARRIVING = [  # (what arrives while an answer leaves, what is played, the way, what the client does)
    ("a stray CRLF", WORDS, "stream", [Till(b"one"), b"\r\n", Rest()]),
    ("a pipelined request", WORDS, "stream", [Till(b"one"), NEXT, Rest()]),
    ("garbage", WORDS, "stream", [Till(b"one"), b"\x00\xff" * 900, Rest()]),
    ("a stray CRLF before the status", [Sleep(0.2), *WORDS], "stream", [Heard(), b"\r\n", Rest()]),
    ("a pipelined request before a whole", [Sleep(0.2), whole(TEXT.whole)], "whole", [Heard(), NEXT, Rest()]),
]
SLOWLY = [  # (how an ask arrives, its headers, what the client does)
    ("an ask in single bytes", LENGTH, [*(SOUND[at : at + 1] for at in range(len(SOUND))), Rest()]),
    ("an ask with pauses", LENGTH, [SOUND[:9], Nap(0.2), SOUND[9:], Rest()]),
    ("a chunked ask", CHUNKED, [chunk(SOUND[:9]), Nap(0.1), chunk(SOUND[9:]) + END, Rest()]),
]


def watched() -> List[Row]:
    """Bytes that arrive while an answer leaves mean no leaving."""
    one = ends_well(TEXT.whole, kept=True)
    return [
        *(
            Row(WATCHED, name, script, STREAM if way == "stream" else one, way, acts=acts)
            for name, script, way, acts in ARRIVING
        ),
        *(
            Row(WATCHED, name, [whole(TEXT.whole)], one, body=b"", headers=headers, acts=acts)
            for name, headers, acts in SLOWLY
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


GIVEN = whole(b'{"id":"f"}')
TOO_BIG = Want(413, "upstream_error", "request_too_large", b"{}", 413)
LATE = fails("request_timeout", "refused", 408, None)
LARGE = [("Content-Length", "30000000")]
SENDING = [  # (what happens, what is played, what comes of it, what the client does)
    ("all of it arrives in pieces", [GIVEN], ends_well(b'{"id":"f"}', kept=True), [*[HALF] * 5, Rest()]),
    ("refused before its end", [Deaf(), EARLY, Read(None)], TOO_BIG, [HALF, Rest()]),
    ("refused by a provider that closes", [Deaf(), EARLY, Close()], TOO_BIG, [HALF, Rest()]),
    ("the client closes", [whole(b"{}")], LEFT, [HALF, Heard(), Leave()]),
    ("the client resets", [whole(b"{}")], LEFT, [HALF, Heard(), Leave(reset=True)]),
    ("the client stalls", [whole(b"{}")], LATE, [HALF, Rest()]),
    ("the provider closes", [Deaf(), Close()], None, [HALF, Rest()]),
    ("the provider takes nothing", [Deaf(), Stall()], None, [b"x" * 30_000_000, Rest()]),
]
HASTY = ("the client stalls", "the provider takes nothing")


def uploads() -> List[Row]:
    """Bodies that are forwarded as they come."""
    made = []
    for name, script, want, acts in SENDING:
        row = Row(UPLOAD, name, script, want, target="/v1/files", body=b"", headers=DECLARED, acts=acts)
        row = row._replace(arena="hasty") if name in HASTY else row
        made.append(row._replace(headers=LARGE) if name == "the provider takes nothing" else row)
    return made


def rows() -> List[Row]:
    return [*leaves(), *watched(), *secured(), *uploads()]
