"""What the journals keep of an exchange: all of it, its outlines, or nothing; and how long a line may be."""

from __future__ import annotations

from typing import NamedTuple

from config import Settings
from proxy.journal.rotation import Rotation


class Policy(NamedTuple):
    """``content``: full, metadata or off; ``max_bytes``: of one line; ``frames``: keep the raw ones of a stream.

    ``rotation``: of the files.
    """

    content: str = "full"
    max_bytes: int = 16 << 20
    frames: bool = False
    rotation: Rotation = Rotation()


FULL = Policy()


def rotation_of(settings: Settings) -> Rotation:
    """When the settings want log files put aside."""
    return Rotation(settings.log_rotate_bytes, settings.log_rotate_age, settings.log_keep)


def policy_of(settings: Settings) -> Policy:
    """What the settings want kept."""
    return Policy(settings.log_content, settings.log_max_bytes, settings.log_frames, rotation_of(settings))
