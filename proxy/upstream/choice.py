"""Which transport carries the asks: the fast one where it can, requests' own adapter everywhere else (--transport)."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Type

from proxy.aside import is_green
from proxy.upstream.transport import Transport

if TYPE_CHECKING:
    from config import Settings

OLDEST = (2, 6)  # of geventhttpclient: earlier ones send a POST again (measured: 202 times)


def kind_of(settings: Settings) -> Type[Transport]:
    """The transport for these settings in this process; raises ValueError where the one asked for cannot be had."""
    if settings.transport == "requests":
        return Transport
    why_not = obstacle(settings)
    if not why_not:
        from proxy.upstream.fast import FastTransport

        return FastTransport
    if settings.transport == "fast":
        raise ValueError(f"--transport fast {why_not}")
    return Transport


def obstacle(settings: Settings) -> str:
    """What keeps this process from the fast transport, as the end of a sentence; empty if nothing does."""
    if settings.proxy:
        return "knows no outbound proxy (--proxy)"
    if settings.transport == "auto" and not is_green():
        return "is for hosts of gevent's"
    if sys.version_info < (3, 11):
        return "needs Python 3.11 or newer"
    try:
        from geventhttpclient import __version__
    except ImportError:
        return "needs geventhttpclient, which is not installed"
    numbers = tuple(int(number) for number in re.findall(r"\d+", __version__)[:2])
    return "" if numbers >= OLDEST else f"needs geventhttpclient 2.6 or newer, not {__version__}"
