"""Whether a request's head leaves nothing open (RFC 9112), for a host that does not look closely. Knows no sockets."""

from __future__ import annotations

import re
from typing import List, Optional

MOST_LINES = 100

_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e\x80-\xff]+ HTTP/1\.([01])\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)\r\n")
_LENGTH = re.compile(rb"[0-9]+")
_FRAMING = (b"content-length", b"transfer-encoding", b"host")


def fault_of(line: bytes, fields: List[bytes]) -> Optional[str]:
    """What is wrong with a request's first line or its header lines, each with its end; None for a sound head.

    Nothing that was received is repeated: there may be a credential in it. Folded lines are refused, as two lengths
    are, or a length beside a transfer coding: each of them is how one request is made to look like two.
    """
    asked = _REQUEST.fullmatch(line)
    if asked is None:
        return "its first line is none of HTTP/1"
    found = [_FIELD.fullmatch(field) for field in fields]
    if None in found:
        return "a line of its head is no header"
    pairs = [(field[1].lower(), field[2].strip(b" \t")) for field in found if field]
    said = {name: [value for key, value in pairs if key == name] for name in _FRAMING}
    if any(len(values) > 1 for values in said.values()):
        return "a header that can be there once is there twice"
    return _misframed(said[_FRAMING[0]], said[_FRAMING[1]], modern=asked[1] == b"1")


def _misframed(lengths: List[bytes], codings: List[bytes], *, modern: bool) -> Optional[str]:
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        return "its Content-Length is no number"
    if codings and (lengths or not modern or codings[0].lower() != b"chunked"):
        return "its Transfer-Encoding cannot be undone"
    return None
