"""Journals made for reading: lines as the proxy writes them, quickly and many."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

CLIENT, PROVIDER = "client_interaction.jsonl", "server_interaction.jsonl"
START = datetime(2026, 2, 15, 12)


def lid(number: int) -> str:
    """The logging_id of exchange ``number``."""
    return str(uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128), version=4))


def line(number: int, **fields: Any) -> bytes:
    """One line, in the journal's shape; ``fields`` replace or add some."""
    said = fields.pop("said", f"question number{number}")
    told = fields.pop("told", f"answer number{number}")
    made = {
        "timestamp": (START + timedelta(seconds=number)).isoformat(timespec="microseconds"),
        "logging_id": lid(number),
        "input": {"model": "m", "messages": [{"role": "user", "content": said}]},
        "output": {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": told}}]},
        "send_mode": "stream",
        "return_mode": "non_stream",
        "path": "/v1/chat/completions?beta=1",
        "method": "POST",
        "model": "m",
        "status": 200,
        "upstream_status": 200,
        "outcome": "complete",
        "attempts": [{"mode": "stream", "status": 200, "code": None, "ms": 8.5}],
        "ttft_ms": float(number % 100),
        "duration_ms": float(number % 1000),
        "chunks": 3,
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        "error": None,
    }
    return json.dumps({**made, **fields}, ensure_ascii=False).encode() + b"\n"


def write(folder: Path, numbers: Any, **fields: Any) -> None:
    """Append exchanges to both files of a folder."""
    data = b"".join(line(number, **fields) for number in numbers)
    for name in (CLIENT, PROVIDER):
        with (folder / name).open("ab") as file:
            file.write(data)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    """Whose rows they are, in their order."""
    return [row["logging_id"] for row in rows]


def expect(*numbers: int) -> list[str]:
    """The logging_ids of exchanges, in the order given."""
    return [lid(number) for number in numbers]
