"""What a provider's words for a failure amount to: one status, one type, one code (spec 3.6 steps 3 to 8)."""

from __future__ import annotations

from typing import Any, Optional

from proxy.chat.events import Extra, Failed
from proxy.dialects.failure_shapes import Said, text_of
from proxy.dialects.failure_tables import (
    CODE_STARTS,
    CODES,
    CONTEXT,
    CONTEXT_STATUSES,
    EDGES,
    OTHER_STATUSES,
    OWN_TYPES,
    REQUEST_ID_HEADERS,
    STATUSES,
    TEXTS,
    TOO_LONG,
    TYPES,
    Row,
)
from proxy.dialects.failure_text import phrase, writable
from proxy.errors import Headers

# Keys of the error object that have a place of their own in the envelope.
PLACED = ("message", "type", "param", "code", "http_status")
# A further key of the error object is kept up to this size (characters of JSON) and depth.
EXTRA_LIMIT = 16_384
EXTRA_DEPTH = 32
# How much of a message the tables of words look at.
MESSAGE_SEEN = 2000


def judge(status: int, headers: Headers, said: Said) -> Failed:
    """The failure that these words amount to; ``status`` is the HTTP status, or anything below 400 if it was none."""
    real = _served(status) if status >= 400 else 0
    if real == 400 and _number(said.code) == 404:
        real = 404
    row = _row(said, real)
    final = real or _told(said, row)
    kind, default = STATUSES.get(final) or OTHER_STATUSES[final // 100]
    if not real and said.plain and row is None:
        default = "invalid_upstream_response"
    code = _code(said, row, default)
    kept = said.type if said.type in OWN_TYPES else (row and row.type) or kind
    message = said.message or phrase(status if status >= 400 else final)
    extra = _extra(said, headers, code, kept)
    return Failed(final, code, message, kept, _param(said, row, code), "upstream_error", extra)


def _served(status: int) -> int:
    """The status that a client can be given for one that only a vendor's edge knows."""
    return EDGES[status][0] if status in EDGES else status if status < 600 else 502


def _told(said: Said, row: Optional[Row]) -> int:
    """The status of a failure that came without one: as the body says, as its words mean, or the provider's fault."""
    if said.status is not None:
        return _served(said.status)
    if row is not None:
        return row.status
    return 502 if said.plain else 500


def _number(code: Any) -> Optional[int]:
    """A code that is a mere HTTP status, as a number or in a string."""
    if isinstance(code, str) and len(code) == 3 and code.isdecimal():
        code = int(code)
    return int(code) if isinstance(code, (int, float)) and 400 <= code < 600 else None


def _word(code: Any) -> Optional[str]:
    """A code that is a word."""
    return writable(code) if isinstance(code, str) and _number(code) is None else None


def _row(said: Said, real: int) -> Optional[Row]:
    """The row of the tables that fits best, if one does: by context, by code, by type, by words."""
    known = real or said.status or 0
    words = said.message[:MESSAGE_SEEN]
    if known in CONTEXT_STATUSES and CONTEXT.search(words):
        return TOO_LONG
    row = _row_of_code(_word(said.code))
    if row is not None and known // 100 in (0, row.status // 100):
        return row
    for name in (said.type, said.extra.get("status")):
        row = TYPES.get(name.lower()) if isinstance(name, str) else None
        if row is not None and known in (0, row.status):
            # A type such as NotFoundError does not say what was not found; the words may.
            return row if row.code else _row_of_text(words, row.status) or row
    return _row_of_text(words, known) if _word(said.code) is None else None


def _row_of_code(code: Optional[str]) -> Optional[Row]:
    if code is None:
        return None
    lower = code.lower()
    exact = CODES.get(lower) or CODES.get(lower.split(".")[0])
    return exact or next((row for start, row in CODE_STARTS if lower.startswith(start)), None)


def _row_of_text(words: str, known: int) -> Optional[Row]:
    return next((row for pattern, row, statuses in TEXTS if known in statuses and pattern.search(words)), None)


def _code(said: Said, row: Optional[Row], default: Optional[str]) -> Optional[str]:
    """OpenAI's code: the table's, else the provider's own if it is a word (a number breaks typed clients)."""
    if said.null_code and said.type in OWN_TYPES and row is not TOO_LONG:
        return None
    return (row and row.code) or _word(said.code) or default


def _param(said: Said, row: Optional[Row], code: Optional[str]) -> Optional[str]:
    if isinstance(said.param, str) and said.param:
        return writable(said.param)
    if isinstance(said.param, list):
        return writable(".".join(str(part) for part in said.param if isinstance(part, (str, int)))) or None
    return row.param if row is not None and row.code == code else None


def _extra(said: Said, headers: Headers, code: Optional[str], kind: str) -> Extra:
    """Everything else that was said, and what the tables replaced, under names of its own."""
    extra = {name: value for name, value in said.extra.items() if name not in PLACED and _fits({name: value})}
    if said.code is not None and said.code != code:
        extra["upstream_code"] = writable(said.code) if isinstance(said.code, str) else text_of(said.code)
    if said.type is not None and said.type != kind:
        extra["upstream_type"] = writable(said.type)
    request_id = extra.get("request_id") or extra.get("requestId") or _request_id(headers)
    return {**extra, "request_id": request_id} if request_id else extra


def _request_id(headers: Headers) -> Optional[str]:
    known = {name.lower(): value for name, value in headers}
    return next((known[name] for name in REQUEST_ID_HEADERS if known.get(name)), None)


def _fits(value: Any) -> bool:
    """Can this be written into an envelope, at a cost that has a bound?"""
    return _is_shallow(value, EXTRA_DEPTH) and 0 < len(text_of(value)) <= EXTRA_LIMIT


def _is_shallow(value: Any, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, dict):
        value = list(value.values())
    return all(_is_shallow(item, depth - 1) for item in value) if isinstance(value, list) else True
