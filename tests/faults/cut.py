"""The provider resets, closes or stalls, at each moment of an answer."""

from __future__ import annotations

from typing import List

from provider import Close, Reset, Script, Stall
from stories import CLOSE_HEAD, CLOSING, DONE, JSON, OPENING, STREAM_HEAD, TEXT, chunk, token

from faults.row import Row, Want, breaks, ends_well, fails, streams

ONE = token(b"one")
GRUSS = token("Grü".encode())
FOLDED = (
    b'{"id":"chatcmpl-k","object":"chat.completion","created":1760000007,"model":"M","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"one"},"logprobs":null,"finish_reason":"stop"}]}'
)
HEAD = b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(TEXT.whole)

# What has been said when it happens. None: no status yet; b"": no word yet; else what a streaming client has by then.
STREAM_PLACES = [
    ("before the status", [], None),
    ("inside the status line", [b"HTTP/1.1 20"], None),
    ("inside the headers", [b"HTTP/1.1 200 OK\r\nContent-Type: text/ev"], None),
    ("after the headers", [STREAM_HEAD], b""),
    ("after the role", streams(OPENING), b""),
    ("inside a chunk's size", [*streams(OPENING, ONE), b"4"], OPENING + ONE),
    ("inside a chunk", [*streams(OPENING, ONE), chunk(GRUSS)[:40]], OPENING + ONE),
    ("inside a frame", streams(OPENING, ONE, GRUSS[:50]), OPENING + ONE),
    ("inside a character", streams(OPENING, ONE, GRUSS[: GRUSS.index(b"\xc3") + 1]), OPENING + ONE),
    ("between two frames", streams(OPENING, ONE), OPENING + ONE),
    ("between two frames, unchunked", [CLOSE_HEAD, OPENING, ONE], OPENING + ONE),
]
FINISHED = [
    ("after the finish_reason", streams(OPENING, ONE, CLOSING)),
    ("after [DONE]", streams(OPENING, ONE, CLOSING, DONE)),
    ("inside the last chunk", [*streams(OPENING, ONE, CLOSING, DONE), b"0\r"]),
]
WHOLE_PLACES = [
    ("before the status", [], None),
    ("inside the status line", [b"HTTP/1.1 2"], None),
    ("inside the headers", [HEAD[:40]], None),
    ("after the headers", [HEAD], b""),
    ("inside the body", [HEAD, TEXT.whole[:100]], b""),
    ("inside a character", [HEAD, TEXT.whole[: TEXT.whole.index("ü".encode()) + 1]], b""),
    ("before the last byte", [HEAD, TEXT.whole[:-1]], b""),
]
ENDS = [("resets", Reset()), ("closes", Close()), ("stalls", Stall())]


def joined(script: Script, end: object) -> Script:
    """What came before it comes at once: no limit but the one in question can pass."""
    said = b"".join(piece for piece in script if isinstance(piece, bytes))
    return [*([said] if said else []), end]  # type: ignore[list-item]


def told(end: str, place: str, said: object, way: str) -> Want:
    """What must come of a cut that loses something."""
    early = said is None
    code, outcome, status = {
        "resets": ("connection_reset", "upstream_error", 502),
        "closes": (
            "connection_reset" if early else "stream_truncated",
            "upstream_error" if early else "truncated",
            502,
        ),
        "stalls": (
            ("first_byte_timeout", "timeout_first_byte", 504) if early else ("idle_timeout", "timeout_idle", 504)
        ),
    }[end]
    if way == "stream" and said:
        return breaks(bytes(said), code, outcome)  # type: ignore[call-overload]
    return fails(code, outcome, status, None if early else 200)


def rows() -> List[Row]:
    """Each end at each moment, streamed, whole, and each made of the other."""
    made = []
    for verb, end in ENDS:
        group, arena = f"The provider {verb}", "hasty" if verb == "stalls" else "patient"
        for place, script, said in STREAM_PLACES:
            for way in ("stream", "folded"):
                want = told(verb, place, said, way)
                made.append(Row(group, f"{place}, {way}", joined(script, end), want, way, arena))
        for place, script in FINISHED:
            made.append(
                Row(
                    group,
                    f"{place}, stream",
                    joined(script, end),
                    ends_well(OPENING + ONE + CLOSING + DONE),
                    "stream",
                    arena,
                )
            )
            made.append(Row(group, f"{place}, folded", joined(script, end), ends_well(FOLDED), "folded", arena))
        for place, script, said in WHOLE_PLACES:
            for way in ("whole", "unfolded"):
                want = told(verb, place, said, way)
                made.append(Row(group, f"{place}, {way}", joined(script, end), want, way, arena))
    return made
