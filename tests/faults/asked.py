"""Asks that nobody can answer."""

from __future__ import annotations

import gzip
from typing import List

from stories import TEXT, chunk, whole

from faults.row import HalfClose, Leave, Rest, Row, Want

GROUP = "What the client asks"
SLOW = "How the client's body arrives"
LEFT = Want(499, "client_abort", "client_left", upstream=None, asked=False)
SOUND = b'{"model":"m","messages":[{"role":"user","content":"Hello?"}]}'
DEEP = b"[" * 100_000
BODIES = [
    ("no body", b""),
    ("blanks", b"  \n"),
    ("a text", b'"x"'),
    ("a number", b"5"),
    ("null", b"null"),
    ("an array", b"[]"),
    ("half an object", b'{"model": "m", "mess'),
    ("a comma too many", b'{"model": "m", "messages": [],}'),
    ("single quotes", b"{'model': 'm'}"),
    ("a form", b"model=m&messages=x"),
    ("HTML", b"<html></html>"),
    ("a BOM", b"\xef\xbb\xbf" + SOUND),
    ("UTF-16", SOUND.decode().encode("utf-16")),
    ("invalid UTF-8", SOUND.replace(b"Hello", b"\xff\xfe")),
    ("a raw NUL", SOUND.replace(b"Hello", b"\x00")),
    ("an escaped NUL", SOUND.replace(b"Hello", b"\\u0000")),
    ("a lone surrogate", SOUND.replace(b"Hello", b"\\ud800")),
    ("NaN", SOUND[:-1] + b',"temperature":NaN}'),
    ("Infinity", SOUND[:-1] + b',"temperature":Infinity}'),
    ("1e999", SOUND[:-1] + b',"temperature":1e999}'),
    ("5,000 digits", SOUND[:-1] + b',"seed":' + b"9" * 5000 + b"}"),
    ("duplicate keys", SOUND[:-1] + b',"model":"n"}'),
    ("two objects", SOUND + SOUND),
    ("100,000 levels", b'{"model":"m","messages":' + DEEP),
    ("100,000 levels that close", b'{"model":"m","messages":' + DEEP + b"]" * 100_000 + b"}"),
    ("100,000 levels in an unknown field", SOUND[:-1] + b',"x":' + DEEP + b"]" * 100_000 + b"}"),
    ("200 levels in an unknown field", SOUND[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}"),
    ("10,000 unknown fields", SOUND[:-1] + b"".join(b',"k%d":1' % one for one in range(10_000)) + b"}"),
    ("an empty key", SOUND[:-1] + b',"":1}'),
]
FIELDS = [  # (a field, its wrong values)
    ("model", (b"5", b"null", b"[]", b"{}", b"true", b'""')),
    ("messages", (b"5", b"null", b'"x"', b"{}", b"[5]", b"[null]", b"[[]]", b"[]")),
    ("stream", (b"5", b"null", b'"yes"', b"[]", b"{}", b"0")),
    ("stream_options", (b"5", b'"x"', b"[]", b'{"include_usage":5}')),
    ("n", (b'"x"', b"0", b"-1", b"1e30", b"null")),
    ("temperature", (b'"hot"', b"[]", b"null")),
    ("max_tokens", (b'"many"', b"-5", b"1e30")),
    ("tools", (b"5", b'"x"', b"[5]", b"{}")),
    ("tool_choice", (b"5", b"[]")),
    ("response_format", (b"5", b"[]", b"{}")),
    ("stop", (b"5", b"[5]", b"{}")),
    ("logprobs", (b'"x"', b"5")),
    ("user", (b"5", b"[]")),
    ("metadata", (b"5", b"[]")),
]
HEADERS = [
    ("X-Forward-Mode: sideways", ("X-Forward-Mode", "sideways")),
    ("X-Forward-Compatible: perhaps", ("X-Forward-Compatible", "perhaps")),
    ("Content-Encoding: gzip over plain text", ("Content-Encoding", "gzip")),
    ("Content-Encoding: br", ("Content-Encoding", "br")),
    ("Upgrade: websocket", ("Upgrade", "websocket")),
]


def given(field: str, value: bytes) -> bytes:
    """A sound ask with one field replaced or added."""
    fields = {"model": b'"m"', "messages": b'[{"role":"user","content":"Hello?"}]', field: value}
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), one) for name, one in fields.items()) + b"}"


def slow() -> List[Row]:
    """Bodies that come late, wrongly framed, or not at all."""

    def framed(name: str, headers: list, *acts: object, want: Want | None = None, arena: str = "patient") -> Row:
        return Row(SLOW, name, [whole(TEXT.whole)], want, headers=headers, body=b"", acts=acts, arena=arena)  # type: ignore[arg-type]

    long, chunked = [("Content-Length", "5000")], [("Transfer-Encoding", "chunked")]
    return [
        framed("never", long, Rest(), arena="hasty"),
        framed("half of it", long, SOUND, Rest(), arena="hasty"),
        framed("half a chunk", chunked, b"ff\r\n" + SOUND, Rest(), arena="hasty"),
        framed("no last chunk", chunked, chunk(SOUND), Rest(), arena="hasty"),
        framed("the client closes in the middle", long, SOUND, Leave(), want=LEFT),
        framed("the client resets in the middle", long, SOUND, Leave(reset=True), want=LEFT),
        framed(
            "the client half-closes in the middle", long, SOUND, HalfClose(), Rest(), want=LEFT._replace(content=None)
        ),
        framed("the client closes inside a chunk", chunked, b"ff\r\n" + SOUND, Leave(), want=LEFT),
        framed("a garbage chunk size", chunked, b"zz\r\n" + SOUND, Rest()),
        framed("a negative chunk size", chunked, b"-5\r\n" + SOUND, Rest()),
        framed("a chunk longer than it says", chunked, b"5\r\n" + SOUND + b"\r\n", Rest()),
        framed("a length too short", [("Content-Length", "20")], SOUND, Rest()),
        framed("a length over the limit", [("Content-Length", "2000000")], Rest(), arena="hasty"),
        framed("chunks over the limit", chunked, chunk(b" " * 1_100_000) + b"0\r\n\r\n", Rest(), arena="hasty"),
        framed(
            "gzip",
            [("Content-Encoding", "gzip"), ("Content-Length", str(len(gzip.compress(SOUND))))],
            gzip.compress(SOUND),
            Rest(),
        ),
    ]


def rows() -> List[Row]:
    """Bodies, fields, headers, and bodies that arrive badly."""
    sound = [whole(TEXT.whole)]
    made = [
        Row(GROUP, name, sound, None, body=body, headers=[] if body else [("Content-Length", "0")])
        for name, body in BODIES
    ]
    made += [
        Row(GROUP, f"{field}: {value.decode()}", sound, None, body=given(field, value))
        for field, values in FIELDS
        for value in values
    ]
    made += [Row(GROUP, name, sound, None, headers=[header]) for name, header in HEADERS]
    return [*made, *slow()]
