"""The verbatim lane's repair: sound bytes leave as they came, what would break a strict client is mended, no more.

It knows frames and the order of a stream; what a chunk, a choice, a call or a whole reply needs is next door.
"""

from __future__ import annotations

from typing import Any, Container, Dict

from proxy.chat.ask import Ask
from proxy.dialects.failures import read_failure_frame
from proxy.dialects.openai_repair_chunk import Chunks
from proxy.dialects.openai_repair_notes import Notes, read_object, respell, write_data, write_object
from proxy.dialects.openai_repair_reply import mend_reply, mend_reply_json
from proxy.dialects.openai_sound import Head, soundness
from proxy.errors import ProxyError, failure
from proxy.framing import Frame

__all__ = ["StreamMender", "mend_reply", "mend_reply_json"]

DONE = b"[DONE]"
FIELDS = frozenset({b"data", b"event", b"id", b"retry"})


class StreamMender:
    """One stream's repair: give it each frame in turn, then ``end``.

    ``show_usage``: the client asked for usage; ``asked_usage``: the provider was asked for it. ``repair`` off leaves
    frames alone, but failures and truncation are still told, unasked usage hidden, and ``[DONE]`` said exactly once.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        repair: bool,
        show_usage: bool,
        asked_usage: bool,
        fallback_id: str,
        fallback_created: int,
        completions: bool = False,
    ) -> None:
        name = "text_completion" if completions else "chat.completion.chunk"
        fallback = Head(name, fallback_id, fallback_created, ask.model)
        self.meaningful = False
        self.done = False
        self._repair = repair
        self._show_usage, self._bare = show_usage, asked_usage and not show_usage
        self._notes = Notes()
        self._chunks = Chunks(fallback, ask.named_tool, completions, self._notes)
        self._head, self._talking = self._chunks.head, _NOBODY
        self._is_sound = soundness(completions=completions, unasked=self._bare)
        self._held = b""
        self._silent = True

    @property
    def repairs(self) -> Dict[str, int]:
        """The names of the repairs made, in the order of their first appearance, and how often each was made."""
        return self._notes.counts

    @property
    def finished(self) -> bool:
        """Whether the answer is complete: ``[DONE]`` came, or every choice that began has its finish reason (C33)."""
        return self.done or self._chunks.finished

    def mend(self, frame: Frame) -> bytes:
        """The bytes for the client: the frame's own if it is sound, none if it is hidden, dropped or held back.

        Raises ProxyError for a frame that is a failure (C35), and for a stream that says nothing but ``[DONE]`` (C43).
        """
        if self._talking and frame.event != "error" and self._is_sound(frame.data, self._head, self._talking):
            return frame.raw
        if self.done:
            return b""
        self._notes.touched = False
        data = frame.data.strip()
        if data.startswith(DONE):
            return self._mend_done(frame)
        mended = self._mend_data(frame) if data else self._mend_blank(frame)
        self._talking = _NOBODY if self._held else self._chunks.talking
        return mended

    def end(self) -> bytes:
        """The provider has ended: what is still owed to the client.

        Raises ProxyError ``stream_truncated`` where neither a finish nor ``[DONE]`` came, ``invalid_upstream_response``
        where nothing came at all.
        """
        if self.done:
            return b""
        self._refuse_silence()
        if not self.finished:
            raise failure("stream_truncated", "The provider's stream ended before its answer was finished.")
        self._notes.mended("done")
        return self._close() + write_data(DONE)

    def _mend_done(self, frame: Frame) -> bytes:
        self._refuse_silence()
        if frame.data == DONE:
            return self._close() + frame.raw
        self._notes.mended("done")
        return self._close() + respell(frame, DONE)

    def _close(self) -> bytes:
        """The stream is complete: finish what is not, in front of the usage that was held back for that."""
        self.done = self.meaningful = True
        self._talking = _NOBODY
        return (self._chunks.finish() if self._repair else b"") + self._held

    def _mend_blank(self, frame: Frame) -> bytes:
        """A frame without data: comments pass (C45), but a field makes the SDK read nothing as JSON (C46)."""
        _refuse_failure(frame)
        if not self._repair or not any(line.partition(b":")[0] in FIELDS for line in frame.raw.splitlines()):
            return frame.raw
        self._notes.mended("empty_frame")
        return b""

    def _mend_data(self, frame: Frame) -> bytes:
        chunk = read_object(frame.data, self._notes if self._repair else Notes())
        if chunk is None or frame.event == "error" or _looks_failed(chunk):
            _refuse_failure(frame)
        if chunk is None or ("choices" not in chunk and "ping" in (frame.event, chunk.get("type"))):
            return self._mend_noise(frame, "not_json" if chunk is None else "ping")
        self._silent = False
        if _is_usage(chunk) and not self._show_usage:
            return b""
        opening = self._mend_chunk(chunk)
        said = opening + (respell(frame, write_object(chunk)) if self._notes.touched else frame.raw)
        held, self._held = self._held, b""
        if self._repair and _is_usage(chunk) and self._chunks.open:
            self._held = held + said
            return b""
        return held + said

    def _mend_chunk(self, chunk: Dict[str, Any]) -> bytes:
        """Mend or only observe a chunk; a null usage that only our asking brought goes in either case (C53)."""
        if self._bare and chunk.get("usage", chunk) is None:
            del chunk["usage"]
            self._notes.touched = True
        opening = b""
        if self._repair:
            opening = self._chunks.mend(chunk)
        else:
            self._chunks.observe(chunk)
        self.meaningful = self.meaningful or bool(self._chunks.talking)
        return opening

    def _mend_noise(self, frame: Frame, name: str) -> bytes:
        """Data that is no chunk: the SDK would fail on it."""
        if not self._repair:
            return frame.raw
        self._notes.mended(name)
        return b""

    def _refuse_silence(self) -> None:
        if self._silent:
            raise failure("invalid_upstream_response", "The provider's stream ended without saying anything.")


_NOBODY: Container[int] = ()


def _is_usage(chunk: Dict[str, Any]) -> bool:
    """A chunk whose point is usage: clients that did not ask for it fail on its missing choice (C53)."""
    return not chunk.get("choices") and isinstance(chunk.get("usage"), dict)


def _looks_failed(chunk: Dict[str, Any]) -> bool:
    """Whether a chunk is worth asking whether it is a failure (spec 1.6(b))."""
    choices = chunk.get("choices")
    if chunk.get("error") or chunk.get("object") == "error" or not choices or not isinstance(choices, list):
        return True
    return any(isinstance(choice, dict) and choice.get("finish_reason") == "error" for choice in choices)


def _refuse_failure(frame: Frame) -> None:
    failed = read_failure_frame(frame)
    if failed is not None:
        raise ProxyError(failed)
