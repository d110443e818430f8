"""How an answer is framed, read strictly: a doubt here would let framing pass for content, or the reverse."""

from __future__ import annotations

import re
from typing import Iterable

from proxy.upstream.decoding import CODINGS
from proxy.upstream.failures import FramingError

_LENGTH = re.compile(r"[0-9]+")


def length_of(values: Iterable[str]) -> int | None:
    """The one Content-Length in a header's values, of which equal ones may repeat (RFC 9110 8.6); None without any.

    Raises FramingError for anything else, as RFC 9112 6.3 asks of a proxy.
    """
    lengths = {one.strip(" \t") for one in _parts(values)}
    if not lengths:
        return None
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(one) for one in lengths):
        raise FramingError("its Content-Length is not one number")
    return int(lengths.pop())


def transfer_codings(values: Iterable[str]) -> list[str]:
    """What Transfer-Encoding names, in the order of undoing: ``chunked``, if it is there, comes first.

    Raises FramingError for what cannot be undone. ``identity`` of old is none, and a repeated ``chunked`` is taken for
    the header that a framework and its server have both set: nobody chunks twice (RFC 9112 6.1 forbids it).
    """
    named = [one.strip(" \t").lower() for one in _parts(values)]
    codings = [one for one in dict.fromkeys(named) if one not in ("", "identity")]
    if "chunked" in codings[:-1] or not all(one == "chunked" or one in CODINGS for one in codings):
        raise FramingError("its Transfer-Encoding cannot be undone")
    return codings[::-1]


def _parts(values: Iterable[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]
