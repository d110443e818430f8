"""Values as JSON for other programs."""

from __future__ import annotations

from typing import Any

import msgspec


def to_json(value: Any) -> str:
    """Compact JSON on one line."""
    return msgspec.json.encode(value).decode()
