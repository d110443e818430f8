"""A journal line of the provider's side, as far as it says how to answer; older lines have less."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

import msgspec

from proxy.dialects import DIALECTS, Dialect
from proxy.upstream.replay.asked import ANYWHERE, dialect_at, place_of

# Whoever left early did not hear the end, so nobody knows how it would have gone on.
PARTIAL = ("client_abort", "cancelled", "shutdown", "timeout_total")
_OMITTED = (b'{"omitted":', b'{"type":')


class Line(msgspec.Struct):
    """What is needed to find a recording; ``output`` stays as it is spelled. Any value may be of a foreign type."""

    logging_id: Any = None
    timestamp: Any = None
    side: Any = None
    method: Any = None
    path: Any = None
    input: Any = None
    output: msgspec.Raw = msgspec.Raw(b"null")
    send_mode: Any = None
    client_dialect: Any = None
    provider_dialect: Any = None
    upstream_status: Any = None
    outcome: Any = None
    attempts: Any = None
    chunks: Any = None


class FullLine(Line):
    """What is needed to answer."""

    headers: Any = None
    clock: Any = None
    frames: Any = None
    error: Any = None
    ttft_ms: Any = None
    duration_ms: Any = None

    @property
    def streamed(self) -> bool:
        """Whether the provider answered in frames."""
        return self.clock is not None or self.chunks is not None

    def told(self, name: str) -> Any:
        """A field of the recorded error."""
        return self.error.get(name) if isinstance(self.error, dict) else None

    def seconds(self, name: str) -> float:
        """A recorded duration."""
        value = getattr(self, name)
        return max(0.0, value / 1000) if isinstance(value, (int, float)) else 0.0

    @property
    def created(self) -> int:
        """When it was recorded, in Unix seconds."""
        try:
            moment = datetime.fromisoformat(str(self.timestamp).rstrip("Z"))
            return int(moment.replace(tzinfo=timezone.utc).timestamp())
        except (ValueError, OverflowError):
            return 0


_READ = msgspec.json.Decoder(Line)
_READ_FULL = msgspec.json.Decoder(FullLine)
_ERRORS = (ValueError, RecursionError, msgspec.MsgspecError)


def read_line(data: bytes) -> Optional[Line]:
    """A line to be indexed; None for what is none, or is the client's side of a recording."""
    try:
        line = _READ.decode(data)
    except _ERRORS:
        return None
    sound = isinstance(line.logging_id, str) and isinstance(line.path, str) and isinstance(line.method, str)
    return line if sound and line.side in (None, "provider") else None


def read_full(data: bytes) -> FullLine:
    """A line to be answered with. Raises ValueError."""
    try:
        return _READ_FULL.decode(data)
    except _ERRORS as exc:
        raise ValueError(str(exc)) from None


def flaw_of(line: Line) -> str:
    """Why nothing can be answered with a line; empty if something can."""
    if line.upstream_status is None and not line.attempts:
        return "never reached a provider"
    if line.outcome in PARTIAL:
        return "ended before the provider did"
    if isinstance(line.input, dict) and "omitted" in line.input and "sha256" in line.input:
        return "kept without the ask"
    output = bytes(line.output)
    if output.startswith(_OMITTED) and _is_descriptor(output):
        return "kept without the answer"
    return ""


def _is_descriptor(output: bytes) -> bool:
    said: Dict[str, Any] = msgspec.json.decode(output)
    omitted = "omitted" in said and "sha256" in said
    return omitted or ({"type", "size"} <= set(said) <= {"type", "size", "name", "parts"})


def dialect_of(line: Line) -> Optional[Dialect]:
    """The provider's dialect, if a model was asked."""
    spoken = dialect_at(line.path.partition("?")[0]) if line.method == "POST" else None
    return DIALECTS.get(line.provider_dialect or "", spoken) if spoken is not None else None


def place_in(line: Line) -> str:
    """Where the line's ask went to."""
    dialect = dialect_of(line)
    if dialect is None and line.provider_dialect and line.client_dialect != line.provider_dialect:
        return f"{line.method} {ANYWHERE}"
    path, _, query = line.path.partition("?")
    return place_of(line.method, path, query, dialect)


def attempted_ms(line: Line) -> List[float]:
    """How long each ask of the provider took."""
    attempts = line.attempts if isinstance(line.attempts, list) else []
    taken = [attempt.get("ms") for attempt in attempts if isinstance(attempt, dict)]
    return [float(ms) if isinstance(ms, (int, float)) else 0.0 for ms in taken]
