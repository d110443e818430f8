"""W3C Trace Context: which trace an exchange belongs to, as its client says and as its provider is told."""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple, Optional

from proxy.errors import Headers
from proxy.headers import first

# Trace Context 3.2: later versions may say more behind the flags, and are read as this one.
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
HEADERS = ("traceparent", "tracestate")
SAMPLED = 1


class Trace(NamedTuple):
    """The ids of an exchange's span, and of its parent's if the client named one; ``sampled``: is it recorded."""

    trace: int
    span: int
    parent: Optional[int]
    sampled: bool

    @property
    def header(self) -> str:
        """What the provider is told: this exchange is its parent."""
        return f"00-{self.trace:032x}-{self.span:016x}-{int(self.sampled):02x}"


def trace_of(headers: Headers) -> Trace:
    """The client's trace with a span of ours in it, or a new trace."""
    found = _PARENT.fullmatch(first(headers, "traceparent").strip())
    trace, parent = (int(found[1], 16), int(found[2], 16)) if found else (0, 0)
    if found is None or not trace or not parent or (found[4] and found[0].startswith("00")):
        return Trace(_some(128), new_span(), None, True)
    return Trace(trace, new_span(), parent, bool(int(found[3], 16) & SAMPLED))


def told(headers: Headers, trace: Trace) -> Headers:
    """The headers for the provider; the state of a trace that is not continued stays here."""
    gone = HEADERS if trace.parent is None else HEADERS[:1]
    return [*(pair for pair in headers if pair[0].lower() not in gone), ("traceparent", trace.header)]


def new_span() -> int:
    """An id for a span; zero is none."""
    return _some(64)


def _some(bits: int) -> int:
    return secrets.randbits(bits) or 1
