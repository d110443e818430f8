"""The two lines of one exchange: each value spelled once, cleaned of credentials, and held to the policy."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Optional, Tuple

import msgspec

from proxy.journal.describe import Body, body_for_journal
from proxy.journal.line import spell
from proxy.journal.media import may_hold_media, without_media
from proxy.journal.policy import Policy
from proxy.journal.record import Line, Record
from proxy.journal.redact import Needles

# Our own words: no credential can be in them, and a credential that is such a word must not blot them out.
_OURS = {"timestamp", "logging_id", "send_mode", "return_mode", "status", "upstream_status", "outcome", "repairs"}
_OURS |= {"client_dialect", "provider_dialect", "overhead_ms", "clock"}
# These mix our words with the provider's.
_MIXED = {"attempts", "method", "usage"}

HEAD = 500  # characters of a value that was left out
_DECODE = msgspec.json.Decoder().decode
_BYTES = (bytes, bytearray, memoryview, msgspec.Raw)
Parts = Dict[str, bytes]


def make_lines(record: Record, policy: Policy, look_for: Needles) -> Tuple[bytes, bytes]:
    """The client's line and the provider's, each with its newline; they differ in what each side said and heard."""
    made = _Making(policy, look_for)
    head = msgspec.json.encode({"timestamp": record.timestamp, "logging_id": record.logging_id})[:-1]
    tail = made.fields(record.shared())
    client = {
        "input": made.content(record.client_input),
        "output": made.content(record.client_output),
        "headers": made.headers(record.client_headers()),
    }
    provider = {
        "input": made.content(record.provider_input),
        "output": made.content(record.provider_output),
        "headers": made.headers(record.provider_headers()),
    }
    if record.clock is not None:
        provider["clock"] = msgspec.json.encode(record.clock)
    if record.frames is not None and policy.frames and policy.content == "full":
        provider["frames"] = made.value([frame.raw.decode("utf-8", "replace") for frame in record.frames])
    return made.line(head, tail, client), made.line(head, tail, provider)


class _Making:
    """What is known while the lines of one exchange are made: values already spelled, and whether one was changed."""

    def __init__(self, policy: Policy, look_for: Needles) -> None:
        self._policy = policy
        self._look_for = look_for
        self._lossy = False
        self._spelled: List[Tuple[Any, bytes]] = []

    def content(self, value: Any) -> bytes:
        """An input or output; the same one on both sides is spelled once."""
        if value is None:
            return b"null"
        for known, data in self._spelled:
            if known is value or (type(known) is type(value) is bytes and known == value):
                return data
        data = self.value(_legible(value))
        if self._policy.content == "metadata":
            data = marker(data, "log_content", head=0)
        self._spelled.append((value.data if isinstance(value, Body) else value, data))
        return data

    def value(self, value: Any) -> bytes:
        """Any JSON value without media and credentials."""
        data = self._sound(value)
        if may_hold_media(data):
            data = self._sound(without_media(_DECODE(data)))
        return self._look_for.clean_json(data) if self._look_for.found_in(data) else data

    def headers(self, sides: Line) -> bytes:
        """The headers of an ask and its answer, under ``full`` only."""
        return self.value(sides) if self._policy.content == "full" else b"null"

    def fields(self, fields: Line) -> Parts:
        """What both lines share: all in one where that is short and clean, else field by field."""
        if self._policy.content == "metadata":
            fields = {**fields, "error": _without_message(fields["error"])}
        data = self._sound(fields)
        if len(data) < self._policy.max_bytes // 2 and not self._look_for.found_in(data):
            return {"": data}
        return {name: self._field(name, value) for name, value in fields.items()}

    def line(self, head: bytes, shared: Parts, own: Parts) -> bytes:
        """One line of both, the contract's fields first, and what is too long for it left out."""
        own = _fitting({**own, **shared}, self._policy.max_bytes - len(head) - 100)
        parts = [head, *_named(own, ("input", "output")), b"," + own[""][1:-1] if "" in own else b""]
        parts += _named(
            own, [name for name in own if name not in ("", "input", "output", "headers", "clock", "frames")]
        )
        parts += _named(own, [name for name in ("headers", "clock", "frames") if name in own])
        return b"".join([*parts, b',"lossy":true}\n' if self._lossy else b"}\n"])

    def _sound(self, value: Any) -> bytes:
        data, changed = spell(value)
        self._lossy = self._lossy or changed
        return data

    def _field(self, name: str, value: Any) -> bytes:
        data = self._sound(value)
        if name in _OURS or not self._look_for.found_in(data):
            return data
        return self._look_for.clean_json(data, words=name not in _MIXED)


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


def _named(parts: Parts, names: Any) -> List[bytes]:
    return [b',"%b":%b' % (name.encode(), parts[name]) for name in names]


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
