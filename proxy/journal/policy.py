"""What the journals keep of an exchange: all of it, its outlines, or nothing; and how long a line may be."""

from __future__ import annotations

from typing import NamedTuple


class Policy(NamedTuple):
    """``content``: full, metadata or off; ``max_bytes``: of one line; ``frames``: keep the raw ones of a stream."""

    content: str = "full"
    max_bytes: int = 16 << 20
    frames: bool = False


FULL = Policy()
