"""Anthropic's stream: blocks that begin, grow and end, as events."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Mapping, Optional

from proxy.chat.ask import Ask
from proxy.chat.events import Blank, Event, Finished, Noted, Opened, Started, Usage
from proxy.chat.slots import word
from proxy.dialects.anthropic_blocks import kept, nothing_said
from proxy.dialects.anthropic_ends import kept_end, read_reason
from proxy.dialects.anthropic_growing import Growing
from proxy.dialects.anthropic_names import given_names
from proxy.dialects.anthropic_reply import envelope_of, noted
from proxy.dialects.anthropic_usage import add_usage, read_usage
from proxy.dialects.dialect import Mender, Stamp, Wire
from proxy.dialects.failures import read_failure_frame
from proxy.dialects.json_text import read_object
from proxy.dialects.openai_reasons import missing_reason
from proxy.dialects.openai_repair_notes import skip_unreadable
from proxy.dialects.verbatim import Watch
from proxy.errors import ProxyError, failure, truncated
from proxy.framing import Frame

DELTA_KEYS = frozenset(("type", "delta", "usage"))
STOP = "message_stop"


def read_stream(
    frames: Iterable[Frame],
    *,
    repair: bool,
    ask: Optional[Ask] = None,
    stamp: Optional[Stamp] = None,
    repairs: Optional[Dict[str, int]] = None,
) -> Iterator[Event]:
    """Events of a stream of messages; nothing is read after ``message_stop``, unknown events are skipped.

    So is what is no JSON object, which is counted as a repair, ``not_json`` (spec 1.6(a)).

    Raises ProxyError for an ``error`` event, ``stream_truncated`` where the answer has no end (C33: a stop reason is
    one), and ``invalid_upstream_response`` where nothing could be read at all (C43).
    """
    reading = _Reading(ask, stamp, {} if repairs is None else repairs, repair=repair)
    for frame in frames:
        failed = read_failure_frame(frame)
        if failed is not None:
            raise ProxyError(failed)
        said = read_object(frame.data)
        if said is None:
            skip_unreadable(frame.data, repairs)
        elif said.get("type") == STOP and reading.began:
            reading.stopped = True
            break
        else:
            yield from reading.read(said)
    yield from reading.end()


def read_frame(frame: Frame) -> Wire:
    """What a frame says; nothing if it is no JSON object."""
    return read_object(frame.data) or {}


def is_end(frame: Frame) -> bool:
    """Whether a frame ends the stream."""
    return STOP.encode() in frame.data and read_frame(frame).get("type") == STOP


def says(frame: Frame) -> bool:
    """Whether a frame says more than that an answer begins."""
    return frame.event not in ("", "message_start", "ping") or b'"content_block_' in frame.data[:40]


class _Watched(Watch):
    """A stream as it came; an event without its name gets it, for the official SDK drops it otherwise (4.1)."""

    def __init__(self, repair: bool) -> None:
        super().__init__(is_end, says)
        self._repair = repair

    def mend(self, frame: Frame) -> bytes:
        """The frame's bytes. Raises ProxyError for one that is a failure."""
        raw = super().mend(frame)
        kind = word(read_frame(frame), "type") if self._repair and not frame.event and frame.data else ""
        if not kind:
            return raw
        self.repairs["event_name"] = self.repairs.get("event_name", 0) + 1
        return b"event: %s\n%s" % (kind.encode("utf-8", "replace"), raw)


def mend_stream(ask: Ask, stamp: Stamp, *, repair: bool, show_usage: bool, asked_usage: bool) -> Mender:
    """Begin the repair of a verbatim stream."""
    return _Watched(repair)


class _Reading:
    """One answer under way."""

    def __init__(self, ask: Optional[Ask], stamp: Optional[Stamp], repairs: Dict[str, int], *, repair: bool) -> None:
        self._repair = repair
        self._repairs = repairs
        self.began = False
        self.stopped = False
        self._model = ask.model if ask else ""
        self._created = stamp.created if stamp else 0
        self._growing = Growing(given_names(ask))
        self._usage: Wire = {}
        self._envelope: Wire = {}

    def read(self, said: Wire) -> Iterator[Event]:
        """What one event says."""
        kind = word(said, "type")
        if kind == "message_start":
            message = said.get("message")
            yield from self._begin(message if isinstance(message, dict) else {})
        elif kind == "message_delta" and self.began:
            self._close(said)
        elif kind.startswith("content_block_"):
            if not self.began:
                yield from self._begin({})
            yield from self._growing.read(kind[len("content_block_") :], said)

    def end(self) -> Iterator[Event]:
        """The end of the answer, with all that could not be said before; raises ProxyError where it has none."""
        if not self.began:
            raise failure("invalid_upstream_response", "The provider's stream ended without a message.")
        reason = read_reason(self._envelope.get("stop_reason"))
        if not self.stopped and reason is None:
            raise truncated()
        yield from self._growing.end()
        if reason is None and self._repair:  # its end was said, and only the reason was not
            reason = missing_reason(["function"] * self._growing.calls)
            self._repairs["finish_reason"] = 1
        blocks = self._growing.blocks
        calls = self._growing.calls > 0
        for name, value in {**nothing_said(self._growing.texts or calls, False), **kept(blocks)}.items():
            yield Blank(name, value)
        cited = noted(blocks)
        if cited:
            yield Noted("message", cited)
        others = kept_end(self._envelope, calls)
        if others:
            yield Noted("reply", others)
        if reason is not None:
            yield Finished(reason)
        if self._usage:
            yield Usage(read_usage(self._usage))

    def _begin(self, message: Wire) -> Iterator[Event]:
        if self.began:
            return
        self.began = True
        self._envelope = envelope_of(message)
        yield Started(word(message, "id"), word(message, "model") or self._model, self._created)
        add_usage(self._usage, message.get("usage"))
        if self._usage:
            yield Usage(read_usage(self._usage))
        yield Opened(0, word(message, "role") or "assistant")
        content = message.get("content")
        for place, block in enumerate(content if isinstance(content, list) else []):
            yield from self._growing.read("start", {"index": place, "content_block": block})
            yield from self._growing.read("stop", {"index": place})

    def _close(self, said: Mapping[str, Any]) -> None:
        """A delta of the message itself: later ones add to earlier ones, null says nothing new (reference 1.4)."""
        delta = said.get("delta")
        news: Dict[str, Any] = dict(delta) if isinstance(delta, dict) else {}
        news.update((key, value) for key, value in said.items() if key not in DELTA_KEYS)
        self._envelope.update(
            (key, value) for key, value in news.items() if value is not None or key not in self._envelope
        )
        add_usage(self._usage, said.get("usage"))
