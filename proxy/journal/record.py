"""What is written about one exchange: filled while it runs, one line for each of the two files when it ended."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Dict

import msgspec

from proxy.chat.events import Failed
from proxy.journal.describe import body_for_journal
from proxy.journal.redact import hide_in_urls

Line = Dict[str, Any]


def arrival() -> str:
    """Give the present time as product.md "Logs" spells it: UTC, ISO 8601 with microseconds, no suffix."""
    return datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")


@dataclass
class Record:
    """One exchange. Inputs and outputs are JSON values, raw bytes, text, or a descriptor; times are in milliseconds.

    ``client_input`` is what the client sent and ``client_output`` what it got; ``provider_input`` is what was sent on
    and ``provider_output`` what came back. ``secrets`` are the exchange's credentials: never written, only replaced.
    """

    method: str = ""
    path: str = ""
    model: str | None = None
    return_mode: str | None = None
    send_mode: str | None = None
    client_input: Any = None
    client_output: Any = None
    provider_input: Any = None
    provider_output: Any = None
    status: int | None = None
    upstream_status: int | None = None
    outcome: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    ttft_ms: float | None = None
    duration_ms: float | None = None
    chunks: int | None = None
    usage: Any = None
    error: Failed | dict[str, Any] | None = None
    repairs: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    answered_model: str | None = None
    timestamp: str = field(default_factory=arrival)
    logging_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def attempted(self, mode: str | None, status: int | None, code: str | None, ms: float) -> None:
        """Note one ask of the provider: its mode, what came of it (a status, a failure's code), after how long."""
        self.attempts.append({"mode": mode, "status": status, "code": code, "ms": round(ms, 3)})

    def lines(self) -> tuple[Line, Line]:
        """Give the client's line and the provider's; they differ in ``input`` and ``output`` alone."""
        said, got = _legible(self.client_input), _legible(self.client_output)
        # In the verbatim lane both sides are the very same object, which is then read once.
        sent = said if self.provider_input is self.client_input else _legible(self.provider_input)
        came = got if self.provider_output is self.client_output else _legible(self.provider_output)
        head, tail = {"timestamp": self.timestamp, "logging_id": self.logging_id}, self._tail()
        return {**head, "input": said, "output": got, **tail}, {**head, "input": sent, "output": came, **tail}

    def _tail(self) -> Line:
        last = self.attempts[-1].get("mode") if self.attempts else self.send_mode
        tail: Line = {
            "send_mode": last,
            "return_mode": self.return_mode,
            # Credentials in a query or in an error's URL go by name, as nobody may have known their value.
            "path": hide_in_urls(self.path),
            "method": self.method,
            "model": self.model,
            "status": self.status,
            "upstream_status": self.upstream_status,
            "outcome": self.outcome,
            "attempts": self.attempts,
            "ttft_ms": _milliseconds(self.ttft_ms),
            "duration_ms": _milliseconds(self.duration_ms),
            "chunks": self.chunks,
            "usage": self.usage or None,
            "error": _error(self.error),
        }
        optional = {"repairs": self.repairs, "dropped": self.dropped, "answered_model": self.answered_model}
        tail.update((name, value) for name, value in optional.items() if value)
        return tail


def _legible(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview, msgspec.Raw)):
        body = bytes(value)
        return body_for_journal("", body, len(body))
    return value


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _error(error: Failed | dict[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    told = msgspec.structs.asdict(error) if isinstance(error, Failed) else error
    fields = {name: told.get(name) for name in ("message", "type", "param", "code")}
    return {name: hide_in_urls(value) if isinstance(value, str) else value for name, value in fields.items()}
