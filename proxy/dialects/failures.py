"""Failures in, failures understood: whatever a provider says went wrong becomes one ``Failed`` (spec 3.6)."""

from __future__ import annotations

from typing import Any, Dict, Optional

import msgspec
from msgspec import Raw, Struct

from proxy.chat.events import Failed
from proxy.dialects.failure_bodies import error_lines, finish, read_body, read_frame
from proxy.dialects.failure_rules import judge
from proxy.dialects.failure_shapes import is_failure, read_shape
from proxy.errors import FAILURES, Headers
from proxy.framing import Frame

# Our own failures that an SDK would repeat, and should not: the answer would be the same, and may be billed again.
NEVER_AGAIN = frozenset(("tls_failure", "upstream_too_large", "total_timeout", "not_implemented", "internal_error"))
# Our own failures of which the provider surely produced nothing (DECISIONS, "Asking the provider").
SURELY_AGAIN = frozenset(("connection_reset",))


def read_failure(status: int, headers: Headers, body: bytes) -> Failed:
    """What an HTTP answer that is a failure says. Never raises, whatever the bytes; the message is never empty.

    A ``status`` below 400 is no failure's: the one that the body tells is taken, else 500, or 502 for a body in which
    nobody could find an error.
    """
    return judge(status, headers, read_body(body))


class _Signs(Struct):
    """The keys by which a frame is known to be an error; everything else in it is skipped, not decoded."""

    error: Any = None
    object: Any = None
    detail: Any = None
    code: Any = None
    choices: Raw = Raw(b"null")


_SIGNS = msgspec.json.Decoder(_Signs)


def read_failure_frame(frame: Frame) -> Optional[Failed]:
    """The failure that a stream's frame tells of, or None; a frame without an error's keys costs three searches."""
    data = frame.data
    if frame.event and frame.event.lower() == "error":
        return judge(0, [], read_frame(frame))
    if b'"error"' in data or b'"detail"' in data or b'"code"' in data:
        return judge(0, [], read_frame(frame)) if _shows_failure(data) else None
    if not data and error_lines(frame.raw):
        return judge(0, [], read_frame(frame))
    return None


def _shows_failure(data: bytes) -> bool:
    """Is it an error indeed? Many providers send ``"error": null`` in every frame."""
    try:
        signs = _SIGNS.decode(data)
        odd = signs.error or signs.detail or signs.code or signs.object == "error" or b'"error"' in bytes(signs.choices)
        return bool(odd) and is_failure(msgspec.json.decode(data))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def read_failure_reply(body: Dict[str, Any], headers: Optional[Headers] = None) -> Optional[Failed]:
    """The failure that a whole answer under status 200 tells of, or None if it is an answer (C38)."""
    return judge(0, headers or [], finish(read_shape(body))) if is_failure(body) else None


def envelope(failed: Failed) -> Dict[str, Any]:
    """OpenAI's error object; in ``extra`` is the status that ``--compatible`` hides from the status line (C39)."""
    error: Dict[str, Any] = {
        "message": failed.message,
        "type": failed.type,
        "param": failed.param,
        "code": failed.code,
    }
    error.update((name, value) for name, value in failed.extra.items() if name not in error)
    return {"error": error}


def sdk_headers(failed: Failed) -> Headers:
    """``x-should-retry`` for our own failures where an SDK's rule by status would be wrong (spec 3.4); else nothing.

    ``true`` for a connection that was reset before the status; ``false`` for what would only fail again. A failure
    that the provider told of never gets one: if the provider sent the header, its own is relayed.
    """
    kind = FAILURES.get(failed.code or "")
    if kind is None or (failed.status, failed.type, failed.outcome) != kind:
        return []
    if failed.code in SURELY_AGAIN:
        return [("x-should-retry", "true")]
    return [("x-should-retry", "false")] if failed.code in NEVER_AGAIN else []
