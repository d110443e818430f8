"""What is written about one exchange: filled while it runs, one line for each of the two files when it ended."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Tuple

import msgspec
from msgspec import Struct, field

from proxy.chat.events import Failed
from proxy.framing import Frame
from proxy.journal.credentials import names_credential
from proxy.journal.describe import Body
from proxy.journal.redact import REDACTED, hide_in_urls
from proxy.waiting import Waiting

if TYPE_CHECKING:
    from proxy.tracing.context import Trace

Line = Dict[str, Any]
Pairs = Iterable[Tuple[str, str]]


def arrival() -> str:
    """Give the present time as product.md "Logs" spells it: UTC, ISO 8601 with microseconds, no suffix."""
    seconds, microseconds = divmod(time_ns() // 1000, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06d}"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


class Record(Struct):
    """One exchange. Inputs and outputs are JSON values, raw bytes, text, or a descriptor; times are in milliseconds.

    ``client_input`` is what the client sent and ``client_output`` what it got; ``provider_input`` is what was sent on
    and ``provider_output`` what came back; the headers beside them likewise. ``clock`` and ``frames`` are those of a
    provider's stream. ``secrets`` are the exchange's credentials: never written, only replaced.
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
    sent_model: str | None = None
    client_dialect: str | None = None
    provider_dialect: str | None = None
    client_ask_headers: Optional[Pairs] = None
    client_answer_headers: Optional[Pairs] = None
    provider_ask_headers: Optional[Pairs] = None
    provider_answer_headers: Optional[Pairs] = None
    clock: Optional[Line] = None
    frames: Optional[List[Frame]] = None
    overhead_ms: float | None = None
    stream_bytes: int = 0
    waiting: Waiting = field(default_factory=Waiting)
    asked_at: List[int] = field(default_factory=list)
    trace: Optional[Trace] = None
    timestamp: str = field(default_factory=arrival)
    logging_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Which one it is; what it holds is not for everybody's eyes."""
        return f"Record({self.logging_id!r})"

    def weight(self) -> int:
        """About how many bytes must be understood and spelled."""
        sides = (self.client_input, self.client_output, self.provider_input, self.provider_output)
        return self.stream_bytes + sum(map(_size_of, sides))

    def attempted(self, mode: str | None, status: int | None, code: str | None, ms: float) -> None:
        """Note one ask of the provider: its mode, what came of it (a status, a failure's code), after how long."""
        self.attempts.append({"mode": mode, "status": status, "code": code, "ms": round(ms, 3)})

    def leaves_with(self, headers: Pairs) -> None:
        """Note what an ask of the provider leaves with; from now on the exchange waits."""
        self.provider_ask_headers = headers
        self.asked_at.append(time_ns())
        self.waiting.begin()

    def client_headers(self) -> Line:
        """The headers that the client sent and got."""
        return _sides(self.client_ask_headers, self.client_answer_headers)

    def provider_headers(self) -> Line:
        """The headers that were sent on and that came back."""
        return _sides(self.provider_ask_headers, self.provider_answer_headers)

    def shared(self) -> Line:
        """Give the fields that are the same in both lines, after the inputs and outputs."""
        last = self.attempts[-1].get("mode") if self.attempts else self.send_mode
        tail: Line = {
            "send_mode": last,
            "return_mode": self.return_mode,
            # Credentials in a query or in an error's URL go by name, as nobody may have known their value.
            "path": hide_in_urls(self.path),
            "method": self.method,
            "model": self.model,
            "sent_model": self.sent_model,
            "client_dialect": self.client_dialect,
            "provider_dialect": self.provider_dialect,
            "status": self.status,
            "upstream_status": self.upstream_status,
            "outcome": self.outcome,
            "attempts": self.attempts,
            "ttft_ms": _milliseconds(self.ttft_ms),
            "duration_ms": _milliseconds(self.duration_ms),
            "overhead_ms": self.overhead_ms,
            "chunks": self.chunks,
            "usage": self.usage or None,
            "error": _error(self.error),
        }
        optional = {"repairs": self.repairs, "dropped": self.dropped, "answered_model": self.answered_model}
        tail.update((name, value) for name, value in optional.items() if value)
        return tail


def _size_of(content: Any) -> int:
    content = content.data if isinstance(content, Body) else content
    return len(content) if isinstance(content, bytes) else 0


def _sides(asked: Optional[Pairs], answered: Optional[Pairs]) -> Line:
    return {"ask": _shown(asked), "answer": _shown(answered)}


def _shown(headers: Optional[Pairs]) -> Optional[List[Tuple[str, str]]]:
    """Headers without the values that are credentials by their name, or hold one in a URL; None if there are none."""
    if headers is None:
        return None
    return [
        (name, REDACTED if names_credential(name) else hide_in_urls(value) if "=" in value or "@" in value else value)
        for name, value in headers
    ]


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _error(error: Failed | dict[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    told = msgspec.structs.asdict(error) if isinstance(error, Failed) else error
    fields = {name: told.get(name) for name in ("message", "type", "param", "code")}
    return {name: hide_in_urls(value) if isinstance(value, str) else value for name, value in fields.items()}
