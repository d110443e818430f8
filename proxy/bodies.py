"""The body of a provider's answer before anybody knows what it means: how it begins, and how far an error's goes."""

from __future__ import annotations

from typing import Iterator, List, Tuple

from proxy.errors import ProxyError
from proxy.framing.sniff import BLANK, sniff
from proxy.upstream.answer import Answer

ERROR_LIMIT = 1024 * 1024
GLUED = b"data: [DONE]"


def begin_of_body(answer: Answer, limit: int) -> bytes:
    """What an error says, as far as it goes: too long, cut or stalled, it is still that error with that status."""
    parts: List[bytes] = []
    size = 0
    try:
        for piece in answer.pieces():
            parts.append(piece)
            size += len(piece)
            if size >= limit:
                break
    except ProxyError as error:
        if error.failed.code in ("client_left", "shutting_down"):
            raise
    finally:
        answer.close()
    return b"".join(parts)[:limit]


def unglued(body: bytes) -> bytes:
    """A whole answer without the end of a stream that some gateways glue to it (C08)."""
    bare = body.rstrip()
    return bare[: -len(GLUED)].rstrip() if bare.endswith(GLUED) else body


def begin_of(pieces: Iterator[bytes]) -> Tuple[bytes, str, Iterator[bytes]]:
    """Read until the first bytes tell the form: what was read, less leading blanks; the form; what is still to come."""
    begin = b""
    for piece in pieces:
        begin = (begin + piece).lstrip(BLANK)
        form = sniff(begin)
        if form:
            return begin, form, pieces
    return begin, "other", pieces
