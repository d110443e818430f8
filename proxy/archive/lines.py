"""A journal line as a row of the index: tolerant of older, newer and foreign lines."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, NamedTuple, Optional, Tuple

import msgspec

from proxy.archive.filters import microseconds, moment_of
from proxy.archive.words import text_of

# The index's columns that come from a line, and how a value of a foreign type is taken.
TEXTS = (
    "method",
    "path",
    "model",
    "sent_model",
    "answered_model",
    "client_dialect",
    "provider_dialect",
    "return_mode",
    "send_mode",
    "outcome",
    "error_code",
)
NUMBERS = (
    "status",
    "upstream_status",
    "ttft_ms",
    "duration_ms",
    "chunks",
    "tokens_in",
    "tokens_out",
    "attempts",
    "overhead_ms",
)
COLUMNS = (*TEXTS, *NUMBERS)
OURS = len("2026-02-15T14:22:35.123456")
LONGEST = 300  # characters of a column: a name that is longer is none


class Line(msgspec.Struct):
    """The fields of a journal line that the index knows; whatever they are, as lines may be of foreign origin."""

    logging_id: Any = None
    timestamp: Any = None
    input: Any = None
    output: Any = None
    method: Any = None
    path: Any = None
    model: Any = None
    sent_model: Any = None
    answered_model: Any = None
    client_dialect: Any = None
    provider_dialect: Any = None
    return_mode: Any = None
    send_mode: Any = None
    outcome: Any = None
    status: Any = None
    upstream_status: Any = None
    ttft_ms: Any = None
    duration_ms: Any = None
    chunks: Any = None
    usage: Any = None
    attempts: Any = None
    overhead_ms: Any = None
    error: Any = None


class Row(NamedTuple):
    """One line understood: who it belongs to, when it arrived (microseconds), its columns, and its words."""

    logging_id: str
    at: int
    columns: Tuple[Any, ...]
    text: str


class Briefly(msgspec.Struct):
    """A line of which only the identity matters, as the other file's has the rest."""

    logging_id: Any = None


_READ = msgspec.json.Decoder(Line)
_READ_BRIEFLY = msgspec.json.Decoder(Briefly)
_ANY = msgspec.json.Decoder()


def read_row(data: bytes, words: bool) -> Optional[Row]:
    """A line as a row, with its text if ``words``; None if it is no exchange of ours."""
    try:
        line = _READ.decode(data)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    if not _is_id(line.logging_id):
        return None
    text = text_of(line.input, line.output, _of(line.error, "message")) if words else ""
    return Row(line.logging_id, _at(line.timestamp), _columns(line), text)


def id_of(data: bytes) -> Optional[str]:
    """Whose line it is; None if it is nobody's."""
    try:
        found = _READ_BRIEFLY.decode(data).logging_id
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return found if _is_id(found) else None


def read_line(data: bytes) -> Dict[str, Any]:
    """A whole line as a mapping. Raises ValueError."""
    try:
        found = _ANY.decode(data)
    except msgspec.MsgspecError as exc:
        raise ValueError(str(exc)) from None
    if not isinstance(found, dict):
        raise ValueError("a line that is no object")
    return found


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST


def _at(timestamp: Any) -> int:
    try:
        if len(timestamp) == OURS:
            return microseconds(datetime.fromisoformat(timestamp))
        return moment_of(timestamp)
    except (TypeError, ValueError, OverflowError):
        return 0


def _columns(line: Line) -> Tuple[Any, ...]:
    known = {
        "path": line.path.partition("?")[0] if isinstance(line.path, str) else None,
        "error_code": _of(line.error, "code"),
        "attempts": len(line.attempts) if isinstance(line.attempts, list) else None,
        "tokens_in": _tokens(line.usage, "prompt_tokens", "input_tokens"),
        "tokens_out": _tokens(line.usage, "completion_tokens", "output_tokens"),
    }
    texts = [_text(known[name] if name in known else getattr(line, name)) for name in TEXTS]
    numbers = [_number(known[name] if name in known else getattr(line, name)) for name in NUMBERS]
    return (*texts, *numbers)


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _tokens(usage: Any, *names: str) -> Any:
    found = (_of(usage, name) for name in names)
    return next((value for value in found if value is not None), None)


def _text(value: Any) -> Optional[str]:
    return value[:LONGEST] if isinstance(value, str) else None


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < 1 << 62 else None
