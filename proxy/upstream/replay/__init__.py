"""A provider made of journals: it answers what was asked before as it was answered then, and needs no key.

Only what a host may import before it patches its sockets stands here; the transport is in ``adapter``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from proxy.dialects import Family, family_of
from proxy.upstream.replay.recording import Recording, recorded

if TYPE_CHECKING:
    from config import Settings

__all__ = ["Recording", "family_for", "recorded", "replayed"]

SCHEME = "replay:"


def replayed(url: str) -> Optional[str]:
    """The path of the journals that ``--url`` wants replayed; None for any other provider."""
    text = url.strip()
    if text[: len(SCHEME)].lower() != SCHEME:
        return None
    path = text[len(SCHEME) :]
    return path[2:] if path.startswith("///") else path


def family_for(settings: Settings) -> Family:
    """What the provider of the settings speaks; of a recording, what most of it is. Raises ValueError."""
    path = replayed(settings.url)
    if path is None:
        return family_of(settings.url, settings.dialect)
    return family_of("", settings.dialect or recorded(path).family)
