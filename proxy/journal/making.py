"""The two lines of one exchange: each value spelled once, cleaned of credentials, and held to the policy."""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Dict, List, Optional, Tuple

import msgspec

from proxy.journal.describe import Body, body_for_journal
from proxy.journal.line import as_it_is, spell
from proxy.journal.media import may_hold_media, without_media
from proxy.journal.policy import Policy
from proxy.journal.record import Line, Record
from proxy.journal.redact import Needles

# Our own words: no credential can be in them, and a credential that is such a word must not blot them out.
_OURS = {"timestamp", "logging_id", "send_mode", "return_mode", "status", "upstream_status", "outcome", "repairs"}
_OURS |= {"client_dialect", "provider_dialect", "overhead_ms", "clock"}
# These mix our words with the provider's.
_MIXED = {"attempts", "method", "usage"}

JOINED = 1 << 16  # bytes up to which it is cheaper to look at all parts in one
BULK = 1 << 19  # bytes from which on a body is copied without being understood, where that will do
HEAD = 500  # characters of a value that was left out
_DECODE = msgspec.json.Decoder().decode
_BYTES = (bytes, bytearray, memoryview, msgspec.Raw)
Parts = Dict[str, bytes]


def make_lines(record: Record, policy: Policy, look_for: Needles) -> Tuple[bytes, bytes]:
    """The client's line and the provider's, each with its newline; they differ in what each side said and heard."""
    made = _Making(record, policy, look_for)
    if policy.content == "full" and made.needs_care():
        made = _Making(record, policy, look_for, careful=True)
    return made.lines()


class _Making:
    """The parts of both lines, as JSON; ``careful`` looks into every value for credentials and media.

    They are seldom there, and one look at the bytes tells whether they may be.
    """

    def __init__(self, record: Record, policy: Policy, look_for: Needles, *, careful: bool = False) -> None:
        self._policy = policy
        self._look_for = look_for
        self._careful = careful or policy.content == "metadata"
        self._lossy = False
        self._contents: List[Tuple[Any, bytes]] = []
        self._head = msgspec.json.encode({"timestamp": record.timestamp, "logging_id": record.logging_id})[:-1]
        self._shared = self._fields(record.shared())
        self._client = self._side(record.client_input, record.client_output, record.client_headers)
        self._provider = self._side(record.provider_input, record.provider_output, record.provider_headers)
        if record.clock is not None:
            self._provider["clock"] = msgspec.json.encode(record.clock)
        if record.frames is not None and policy.frames and policy.content == "full":
            self._provider["frames"] = self._value([frame.raw.decode("utf-8", "replace") for frame in record.frames])

    def needs_care(self) -> bool:
        """Say whether a credential or media may be in what was made without care."""
        parts = [data for _, data in self._contents]
        parts += [*self._shared.values(), self._client["headers"], self._provider["headers"]]
        parts.append(self._provider.get("frames", b""))
        if sum(map(len, parts)) < JOINED:
            parts = [b"\n".join(parts)]
        return any(self._look_for.found_in(data) or may_hold_media(data) for data in parts)

    def lines(self) -> Tuple[bytes, bytes]:
        """Both lines."""
        return self._line(self._client), self._line(self._provider)

    def _side(self, said: Any, heard: Any, headers: Callable[[], Line]) -> Parts:
        shown = self._value(headers()) if self._policy.content == "full" else b"null"
        return {"input": self._content(said), "output": self._content(heard), "headers": shown}

    def _content(self, value: Any) -> bytes:
        """An input or output; the same one on both sides is made once."""
        if value is None:
            return b"null"
        value, given = (value.data if isinstance(value, Body) else value), value
        for known, data in self._contents:
            if known is value or (type(known) is type(value) is bytes and known == value):
                return data
        data = self._value(given)
        if self._policy.content == "metadata":
            data = marker(data, "log_content", head=0)
        self._contents.append((value, data))
        return data

    def _value(self, value: Any) -> bytes:
        data = (not self._careful and _in_bulk(value, self._look_for.plain)) or self._sound(_legible(value))
        if not self._careful:
            return data
        if may_hold_media(data):
            data = self._sound(without_media(_DECODE(data)))
        return self._look_for.clean_json(data) if self._look_for.found_in(data) else data

    def _fields(self, fields: Line) -> Parts:
        """What both lines share: all in one where that is short and nothing needs a look, else field by field."""
        if self._policy.content == "metadata":
            fields = {**fields, "error": _without_message(fields["error"])}
        data = self._sound(fields)
        if len(data) < self._policy.max_bytes // 2 and not (self._careful and self._look_for.found_in(data)):
            return {"": data}
        return {name: self._field(name, value) for name, value in fields.items()}

    def _field(self, name: str, value: Any) -> bytes:
        data = self._sound(value)
        if name in _OURS or not (self._careful and self._look_for.found_in(data)):
            return data
        return self._look_for.clean_json(data, words=name not in _MIXED)

    def _sound(self, value: Any) -> bytes:
        data, changed = spell(value)
        self._lossy = self._lossy or changed
        return data

    def _line(self, own: Parts) -> bytes:
        """One line: the contract's fields first, and what is too long for it left out."""
        parts = {"input": own["input"], "output": own["output"], **self._shared, **own}
        parts = _fitting(parts, self._policy.max_bytes - len(self._head) - 100)
        pieces = [self._head]
        for name, data in parts.items():
            pieces += [b',"', name.encode(), b'":', data] if name else [b",", data[1:-1]]
        return b"".join([*pieces, b',"lossy":true}\n' if self._lossy else b"}\n"])


def marker(data: bytes, reason: str, head: int = HEAD) -> bytes:
    """What stands in place of a value: why it was left out, its size as JSON, its checksum, and how it began."""
    told: Dict[str, Any] = {"omitted": reason, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if head:
        told["head"] = data[: 4 * head].decode("utf-8", "ignore")[:head]
    return msgspec.json.encode(told)


def _fitting(parts: Parts, room: int) -> Parts:
    """``parts`` with the largest ones marked as left out, until they fit."""
    while sum(map(len, parts.values())) > room:
        name = max((name for name in parts if name), key=lambda name: len(parts[name]), default="")
        short = marker(parts[name], "log_max_bytes") if name else b"{}"
        if len(short) >= len(parts[name]):
            return parts
        parts = {**parts, name: short}
    return parts


def _in_bulk(value: Any, escapes: bool) -> Optional[bytes]:
    """The JSON of a large body as it came: nothing else can go on while so much is understood and spelled again."""
    body = value.data if isinstance(value, Body) else value
    if not isinstance(body, bytes) or len(body) < BULK or body[:1] not in (b"{", b"["):
        return None
    return as_it_is(body, escapes)


def _legible(value: Any) -> Any:
    if isinstance(value, Body):
        return body_for_journal(value.content_type, value.data, len(value.data))
    if isinstance(value, _BYTES):
        body = bytes(value)
        return body_for_journal("", body, len(body))
    return value


def _without_message(error: Optional[Line]) -> Optional[Line]:
    """An error may quote what was asked."""
    return None if error is None else {**error, "message": None}
