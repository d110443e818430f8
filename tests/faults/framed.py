"""Answers whose bytes are cut, framed, encoded or ended in every way that HTTP allows, and in some that it does not."""

from __future__ import annotations

import gzip
import zlib
from typing import List

from provider import Close, Script, Sleep
from stories import CLOSE_HEAD, CLOSING, DONE, END, JSON, OLD_HEAD, OPENING, STREAM_HEAD, TEXT, chunk, token, whole

from faults.cut import FOLDED, HEAD, ONE
from faults.row import Row, breaks, ends_well, fails, streams

GROUP = "How the answer is framed"
SSE = b"Content-Type: text/event-stream\r\n"
SAID = OPENING + ONE + CLOSING
STREAM = SAID + DONE
WELL, FOLDS = ends_well(STREAM, kept=True), ends_well(FOLDED, kept=True)
WHOLE = ends_well(TEXT.whole, kept=True)
CUT = fails("stream_truncated", "truncated")
ODD = fails("invalid_upstream_response")
EARLY_ODD = fails("invalid_upstream_response", upstream=None)
BIG = b"x" * (20 << 20)
OK = b"HTTP/1.1 200 OK\r\n"


def coded(coding: bytes, body: bytes) -> Script:
    """A whole answer with a Content-Encoding."""
    return [whole(body, headers=JSON + b"Content-Encoding: " + coding + b"\r\n")]


def coded_stream(coding: bytes, *pieces: bytes) -> Script:
    """A stream with a Content-Encoding, one chunk a piece."""
    return [
        OK + SSE + b"Content-Encoding: " + coding + b"\r\nTransfer-Encoding: chunked\r\n\r\n",
        *map(chunk, pieces),
        END,
    ]


def raw_deflate(body: bytes) -> bytes:
    """Deflate without zlib's header, as many servers mean it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def bomb() -> bytes:
    """A few hundred kilobytes that want to be hundreds of megabytes."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    zeros = b" " * (1 << 20)
    return packer.compress(b'{"x":"') + b"".join(packer.compress(zeros) for _ in range(120)) + packer.flush()


PACKED = gzip.compress(TEXT.whole, mtime=0)
PACKED_STREAM = gzip.compress(STREAM, mtime=0)

STREAMS = [
    ("byte by byte", [STREAM_HEAD, *(chunk(STREAM[at : at + 1]) for at in range(len(STREAM))), END], WELL),
    ("all in one chunk", [STREAM_HEAD, chunk(STREAM), END], WELL),
    ("unchunked, to the close", [CLOSE_HEAD, STREAM, Close()], ends_well(STREAM)),
    ("HTTP/1.0", [OLD_HEAD, STREAM, Close()], ends_well(STREAM)),
    ("with a length", [whole(STREAM, headers=SSE)], WELL),
    ("called JSON", [whole(STREAM)], WELL),
    ("called text/plain, in single bytes", [whole(STREAM, headers=b"Content-Type: text/plain\r\n")], WELL),
    ("without a type", [whole(STREAM, headers=b"")], WELL),
    ("gzip", coded_stream(b"gzip", PACKED_STREAM), WELL),
    (
        "gzip, byte by byte",
        coded_stream(b"gzip", *(PACKED_STREAM[at : at + 1] for at in range(len(PACKED_STREAM)))),
        WELL,
    ),
    ("deflate", coded_stream(b"deflate", zlib.compress(STREAM)), WELL),
    ("100-continue first", [b"HTTP/1.1 100 Continue\r\n\r\n", *streams(STREAM), END], WELL),
    ("103 first", [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", *streams(STREAM), END], WELL),
    (
        "chunk extensions and trailers",
        [STREAM_HEAD, b"%x;a=b\r\n" % len(STREAM) + STREAM + b"\r\n0\r\nX-T: 1\r\n\r\n"],
        WELL,
    ),
    ("a length too long", [OK + SSE + b"Content-Length: 9999\r\n\r\n" + STREAM, Close()], ends_well(STREAM)),
    (
        "a length too short",
        [OK + SSE + b"Content-Length: %d\r\n\r\n" % len(OPENING + ONE) + STREAM],
        breaks(OPENING + ONE, "stream_truncated", "truncated"),
    ),
    ("words after the last chunk", [*streams(STREAM), END + b"HTTP/1.1 200 OK\r\n\r\n"], ends_well(STREAM)),
    (
        "a garbage chunk size",
        [*streams(OPENING, ONE), b"zz\r\nxx\r\n", Close()],
        breaks(OPENING + ONE, "stream_truncated", "truncated"),
    ),
    (
        "a negative chunk size",
        [*streams(OPENING, ONE), b"-5\r\nxx\r\n", Close()],
        breaks(OPENING + ONE, "stream_truncated", "truncated"),
    ),
    (
        "a chunk size of 20 digits",
        [*streams(OPENING, ONE), b"f" * 20 + b"\r\nxx\r\n", Close()],
        breaks(OPENING + ONE, "stream_truncated", "truncated"),
    ),
    ("a garbage first chunk size", [STREAM_HEAD, b"<html>\r\n", Close()], CUT),
    (
        "a chunk longer than it says",
        [STREAM_HEAD, chunk(OPENING + ONE), b"3\r\nabcdef\r\n", Close()],
        breaks(OPENING + ONE, "stream_truncated", "truncated"),
    ),
    ("gzip that is none", coded_stream(b"gzip", STREAM), ODD),
    ("truncated gzip", coded_stream(b"gzip", PACKED_STREAM[:-30]), CUT),
    ("br, unasked", coded_stream(b"br", b"\x8b\x02\x80data\x03"), ODD),
    ("zstd, unasked", coded_stream(b"zstd", b"\x28\xb5\x2f\xfd\x04\x00data"), ODD),
]
WHOLES = [
    (
        "byte by byte",
        [
            OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n",
            *(chunk(TEXT.whole[at : at + 1]) for at in range(len(TEXT.whole))),
            END,
        ],
        WHOLE,
    ),
    (
        "unchunked, to the close",
        [OK + JSON + b"Connection: close\r\n\r\n" + TEXT.whole, Close()],
        ends_well(TEXT.whole),
    ),
    ("HTTP/1.0", [b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n" + TEXT.whole, Close()], ends_well(TEXT.whole)),
    ("HTTP/1.0 that was cut", [b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n" + TEXT.whole[:-9], Close()], ODD),
    ("lines end in LF", [b"HTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(TEXT.whole) + TEXT.whole], WHOLE),
    ("called HTML", [whole(TEXT.whole, headers=b"Content-Type: text/html\r\n")], WHOLE),
    ("called a stream", [whole(TEXT.whole, headers=SSE)], WHOLE),
    ("gzip", coded(b"gzip", PACKED), WHOLE),
    ("x-gzip in two members", coded(b"x-gzip", gzip.compress(TEXT.whole[:50]) + gzip.compress(TEXT.whole[50:])), WHOLE),
    ("deflate", coded(b"deflate", zlib.compress(TEXT.whole)), WHOLE),
    ("raw deflate", coded(b"deflate", raw_deflate(TEXT.whole)), WHOLE),
    ("deflate inside gzip", coded(b"deflate, gzip", gzip.compress(zlib.compress(TEXT.whole))), WHOLE),
    ("gzip as a transfer coding", [OK + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n", chunk(PACKED), END], WHOLE),
    ("gzip that is none", coded(b"gzip", TEXT.whole), ODD),
    ("truncated gzip", coded(b"gzip", PACKED[:-9]), CUT),
    ("garbage behind gzip", coded(b"gzip", PACKED + b"garbage"), WHOLE),
    ("br, unasked", coded(b"br", b"\x8b\x02\x80data\x03"), ODD),
    ("zstd, unasked", coded(b"zstd", b"\x28\xb5\x2f\xfd\x04\x00data"), ODD),
    ("a decompression bomb", coded(b"gzip", bomb()), fails("upstream_too_large")),
    (
        "two interim answers first",
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", whole(TEXT.whole)],
        WHOLE,
    ),
    ("interim answers without end", [b"HTTP/1.1 102 Processing\r\n\r\n" * 300, Close()], EARLY_ODD),
    ("a length too long", [OK + JSON + b"Content-Length: 9999\r\n\r\n" + TEXT.whole, Close()], CUT),
    ("a length too short", [OK + JSON + b"Content-Length: %d\r\n\r\n" % (len(TEXT.whole) - 9) + TEXT.whole], ODD),
    ("a length that is no number", [OK + JSON + b"Content-Length: many\r\n\r\n" + TEXT.whole, Close()], EARLY_ODD),
    ("a negative length", [OK + JSON + b"Content-Length: -1\r\n\r\n" + TEXT.whole, Close()], EARLY_ODD),
    ("two lengths", [OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", Close()], EARLY_ODD),
    ("the same length twice", [OK + b"Content-Length: %d\r\n" % len(TEXT.whole) * 2 + b"\r\n" + TEXT.whole], WHOLE),
    (
        "a length and chunks",
        [OK + JSON + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(TEXT.whole), END],
        WHOLE,
    ),
    ("an unknown transfer coding", [OK + JSON + b"Transfer-Encoding: hail\r\n\r\n" + TEXT.whole, Close()], EARLY_ODD),
    ("no HTTP at all", [b"220 mail.example ESMTP\r\n", Close()], EARLY_ODD),
    (
        "HTTP/2's own preface",
        [b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80", Close()],
        fails("connection_reset", upstream=None),
    ),
    ("a status of two digits", [b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}", Close()], EARLY_ODD),
    ("a status of letters", [b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\n{}", Close()], EARLY_ODD),
    ("no reason", [b"HTTP/1.1 200\r\nContent-Length: %d\r\n\r\n" % len(TEXT.whole) + TEXT.whole], WHOLE),
    ("a header without a colon", [OK + b"nonsense\r\nContent-Length: 2\r\n\r\n{}", Close()], EARLY_ODD),
    (
        "a header line of 70 KB",
        [OK + b"X-Long: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}", Close()],
        EARLY_ODD,
    ),
    ("500 headers", [OK + b"X-Many: x\r\n" * 500 + b"Content-Length: 2\r\n\r\n{}", Close()], EARLY_ODD),
    (
        "a folded header",
        [OK + b"X-Folded: a\r\n b\r\nContent-Length: %d\r\n\r\n" % len(TEXT.whole) + TEXT.whole],
        WHOLE,
    ),
    ("a NUL in a header", [OK + b"X-Nul: a\x00b\r\nContent-Length: %d\r\n\r\n" % len(TEXT.whole) + TEXT.whole], WHOLE),
    (
        "a header in Latin-1",
        [OK + b"X-Latin: gr\xfc\xdf\r\nContent-Length: %d\r\n\r\n" % len(TEXT.whole) + TEXT.whole],
        WHOLE,
    ),
    (
        "pauses between its bytes",
        [HEAD[:30], Sleep(0.1), HEAD[30:], Sleep(0.1), TEXT.whole[:7], Sleep(0.1), TEXT.whole[7:]],
        WHOLE,
    ),
    ("a second answer behind the first", [whole(TEXT.whole) + whole(b"{}")], ends_well(TEXT.whole)),
]


def rows() -> List[Row]:
    """Streams as they are and made into wholes; wholes as they are and made into streams."""
    made = [Row(GROUP, f"a stream: {name}", script, want, "stream") for name, script, want in STREAMS]
    made += [Row(GROUP, f"a whole: {name}", script, want) for name, script, want in WHOLES]
    frame = token(BIG)
    made.append(
        Row(
            GROUP,
            "a stream: one frame of 20 MB",
            [*streams(OPENING, frame, CLOSING, DONE), END],
            ends_well(OPENING + frame + CLOSING + DONE, kept=True),
            "stream",
            heavy=True,
        )
    )
    made.append(
        Row(
            GROUP,
            "a stream: one frame of 40 MB",
            [*streams(OPENING, ONE), chunk(b"data: " + BIG + BIG), Close()],
            breaks(OPENING + ONE, "upstream_too_large"),
            "stream",
            heavy=True,
        )
    )
    made.append(
        Row(
            GROUP,
            "a whole of 70 MB",
            [whole(b'{"x":"' + BIG * 3 + BIG[: 10 << 20] + b'"}')],
            fails("upstream_too_large"),
            "whole",
            heavy=True,
        )
    )
    return made
