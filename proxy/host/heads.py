"""The head of a request read at a glance, where it leaves nothing open; any other is for gunicorn's own reader.

Parties send the same lines again and again, so each line is understood once. Knows no sockets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, NamedTuple, Optional, Tuple
from urllib.parse import unquote_to_bytes

Pair = Tuple[str, str]

# RFC 9112 3 and RFC 9110 5.5, and nothing that anybody might read differently. An underscore in a name would be a
# hyphen to WSGI, a fragment is part of no request.
_ASKED = re.compile(rb"(?!CONNECT )([A-Z]{3,20}) (/[\x21\x22\x24-\x7e]*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile("[0-9]{1,15}")
# What these mean for the connection, gunicorn knows.
_FOR_GUNICORN = {"TRANSFER_ENCODING", "EXPECT", "UPGRADE"}
_BARE = {"CONTENT_LENGTH", "CONTENT_TYPE"}


class Head(NamedTuple):
    """Its ``size`` with the empty line, the body's ``length``, and what WSGI says of it (PEP 3333).

    ``closes``: the connection is for no other request.
    """

    size: int
    length: int
    closes: bool
    environ: Dict[str, str]


def read_head(data: bytes, longest: int, most: int) -> Optional[Head]:
    """The head that ``data`` begins with, of ``longest`` bytes and ``most`` header lines at most; None if not plain."""
    end = data.find(b"\r\n\r\n")
    if not 0 < end <= longest:
        return None
    first, *lines = data[:end].split(b"\r\n")
    environ = dict(_asked(first))
    if not environ or len(lines) > most:
        return None
    for line in lines:
        field = _field(line)
        if field is None or field[0] in environ:
            return None
        environ[field[0]] = field[1]
    if "HTTP_HOST" not in environ:
        return None
    closes = environ.get("HTTP_CONNECTION", "").lower() == "close"
    return Head(end + 4, int(environ.get("CONTENT_LENGTH", 0)), closes, environ)


@lru_cache(maxsize=256)
def _asked(line: bytes) -> Tuple[Pair, ...]:
    """What WSGI says of a request line; nothing of one that is not plain."""
    found = _ASKED.fullmatch(line)
    if found is None:
        return ()
    target = found[2].decode("ascii")
    path, _, query = target.partition("?")
    own = unquote_to_bytes(path).decode("latin-1")
    return (
        ("REQUEST_METHOD", found[1].decode("ascii")),
        ("RAW_URI", target),
        ("PATH_INFO", own),
        ("QUERY_STRING", query),
    )


@lru_cache(maxsize=512)
def _field(line: bytes) -> Optional[Pair]:
    """A header's name as WSGI spells it, and its value; None for one that is not plain."""
    found = _FIELD.fullmatch(line)
    if found is None:
        return None
    name = found[1].decode("ascii").upper().replace("-", "_")
    value = found[2].decode("latin-1").strip(" \t")
    if name in _FOR_GUNICORN or (name == "CONNECTION" and value.lower() not in ("keep-alive", "close")):
        return None
    if name == "CONTENT_LENGTH" and not _LENGTH.fullmatch(value):
        return None
    return (name if name in _BARE else f"HTTP_{name}"), value
