"""What the HTTP host refuses by itself, before the proxy hears of it."""

from __future__ import annotations

from typing import NamedTuple

SOUND = b'{"model":"m","messages":[]}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
END = b"\r\n\r\n"


class Refusal(NamedTuple):
    """Bytes that are no request; the status the host answers with, 0 where it only hangs up."""

    name: str
    said: bytes
    status: int


def post(headers: bytes, body: bytes = SOUND) -> bytes:
    """A POST with these headers."""
    return POST + headers + END + body


REFUSALS = [
    Refusal("garbage", b"\x00\xff\xfe\r\n\r\n", 400),
    Refusal("a TLS client's hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500 + END, 400),
    Refusal("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    Refusal("no version", b"GET /healthz\r\n\r\n", 400),
    Refusal("version 3", b"GET /healthz HTTP/3.0\r\n\r\n", 400),
    Refusal("no target", b"GET HTTP/1.1\r\n\r\n", 400),
    Refusal("a method of control characters", b"G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    Refusal("a request line too long", b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    Refusal("a header line too long", post(b"X-Long: " + b"x" * 17_000), 431),
    Refusal("101 headers", post(b"X-Many: x\r\n" * 101 + b"Content-Length: 27"), 431),
    Refusal("a header without a colon", post(b"nonsense"), 400),
    Refusal("a header without a name", post(b": x"), 400),
    Refusal("a blank before the colon", post(b"Content-Length : 27"), 400),
    Refusal("a folded header", post(b"X-Folded: a\r\n b\r\nContent-Length: 27"), 400),
    Refusal("a NUL in a header", post(b"X-Nul: a\x00b\r\nContent-Length: 27"), 400),
    Refusal("a bare CR in a header", post(b"X-Cr: a\rTransfer-Encoding: chunked\r\nContent-Length: 27"), 400),
    Refusal("a control character in a name", post(b"X\x01: a\r\nContent-Length: 27"), 400),
    Refusal("two lengths", post(b"Content-Length: 27\r\nContent-Length: 5"), 400),
    Refusal("two lengths in one", post(b"Content-Length: 27, 5"), 400),
    Refusal("a negative length", post(b"Content-Length: -27"), 400),
    Refusal("a length with a sign", post(b"Content-Length: +27"), 400),
    Refusal("a length in hexadecimal", post(b"Content-Length: 0x1b"), 400),
    Refusal("a length and chunks", post(b"Content-Length: 27\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"), 400),
    Refusal("chunks, then a length", post(b"Transfer-Encoding: chunked\r\nContent-Length: 27", b"0\r\n\r\n"), 400),
    Refusal("chunked twice", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"), 400),
    Refusal("chunked, but not last", post(b"Transfer-Encoding: chunked, gzip", b"0\r\n\r\n"), 400),
    Refusal("an unknown transfer coding", post(b"Transfer-Encoding: xchunked", b"0\r\n\r\n"), 501),
    Refusal("a transfer coding behind a tab", post(b"Transfer-Encoding:\x0bchunked", b"0\r\n\r\n"), 400),
    Refusal("chunks under HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Refusal("an expectation it does not know", post(b"Expect: something\r\nContent-Length: 27"), 417),
    Refusal("a head that never ends", POST + b"X-Slow: ", 0),
    Refusal("a head without a line end", b"GET / HTTP/1.1", 0),
]
