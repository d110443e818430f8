"""The verbatim lane's repair: sound bytes leave as they came, what would break a strict client is mended, no more.

It knows frames and the order of a stream; what a chunk, a choice, a call or a whole reply needs is next door.
"""

from __future__ import annotations

from typing import Any, Container, Dict, List, NamedTuple, Optional

from proxy.chat.ask import Ask
from proxy.chat.unfold import EVERYWHERE
from proxy.dialects.failures import read_failure_frame
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_chunks import ENVELOPE, PADDING
from proxy.dialects.openai_repair_chunk import Chunks
from proxy.dialects.openai_repair_notes import NOT_JSON, Notes, read_object, respell, write_data
from proxy.dialects.openai_repair_reply import mend_reply_json
from proxy.dialects.openai_sound import Head, soundness
from proxy.errors import ProxyError, failure, truncated
from proxy.framing import Frame
from proxy.framing.sse import LINE_END

__all__ = ["StreamMender", "is_ping", "looks_failed", "mend_reply_json", "refuse_failure"]

DONE = b"[DONE]"
ALIKE = ENVELOPE | PADDING | frozenset(EVERYWHERE)  # what chunks say besides their point


class _Held(NamedTuple):
    """A usage chunk that waits, mended as far as its stream was known; ``touched``: it is not what came."""

    frame: Frame
    chunk: Dict[str, Any]
    touched: bool


class StreamMender:
    """One stream's repair: give it each frame in turn, then ``end``.

    ``show_usage``: the client asked for usage; ``asked_usage``: the provider was asked for it. ``repair`` off leaves
    frames alone, but failures and truncation are still told, unasked usage hidden, and ``[DONE]`` said exactly once.
    ``cumulative``: the provider repeats all text so far with every chunk (C25). ``repairs``: where to count them.
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
        cumulative: bool = False,
        repairs: Optional[Dict[str, int]] = None,
    ) -> None:
        name = "text_completion" if completions else "chat.completion.chunk"
        fallback = Head(name, fallback_id, fallback_created, ask.model)
        self.meaningful = False
        self.done = False
        self._repair = repair
        self._show_usage, self._bare = show_usage, asked_usage and not show_usage
        self._notes = Notes(repairs)
        self._chunks = Chunks(fallback, ask, completions, self._notes, cumulative)
        self._head, self._talking = self._chunks.head, _NOBODY
        self._is_sound = soundness(completions=completions, unasked=self._bare)
        self._held: List[_Held] = []
        self._overtaken = False
        self._numbered = False
        self._silent = True

    @property
    def repairs(self) -> Dict[str, int]:
        """The names of the repairs made, in the order of their first appearance, and how often each was made."""
        return self._notes.counts

    @property
    def finished(self) -> bool:
        """Whether the answer is complete: ``[DONE]`` came, or every choice asked for has its finish reason (C33)."""
        return self.done or self._chunks.finished

    def mend(self, frame: Frame) -> bytes:
        """The bytes for the client: the frame's own if it is sound, none if it is hidden, dropped or held back.

        Raises ProxyError for a frame that is a failure (C35), and for a stream that says nothing but ``[DONE]`` (C43).
        """
        if self._talking and frame.event != "error" and self._is_sound(frame.data, self._head, self._talking):
            self._numbered = self._numbered or frame.id
            return frame.raw
        if self.done:
            return b""
        self._notes.touched = False
        data = frame.data.strip()
        if data.startswith(DONE):
            return self._mend_done(frame)
        mended = self._mend_data(frame) if data else self._mend_blank(frame)
        self._talking = _NOBODY if self._held or (self._repair and self._chunks.cumulative) else self._chunks.talking
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
            raise truncated()
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
        return (self._chunks.finish() if self._repair else b"") + self._release()

    def _mend_blank(self, frame: Frame) -> bytes:
        """A frame without data: comments pass (C45), but a field makes the SDK read nothing as JSON (C46).

        So does a blank line once a frame had an id: what comments there are goes on without one. Lines of neither kind
        may be a gateway's page of HTML, which no client ever sees (C40).
        """
        refuse_failure(frame)
        if not self._repair:
            return frame.raw
        lines = [line for line in LINE_END.split(frame.raw) if line]
        if not all(line.startswith(b":") for line in lines):
            self._notes.mended("empty_frame")
            return b""
        if not self._numbered:
            return frame.raw
        self._notes.mended("comment")
        return b"".join(line + b"\n" for line in lines)

    def _mend_data(self, frame: Frame) -> bytes:
        chunk = read_object(frame.data, self._notes if self._repair else Notes())
        if chunk is None or frame.event == "error" or looks_failed(chunk):
            refuse_failure(frame)
        if chunk is None or is_ping(frame, chunk):
            return self._mend_noise(frame, NOT_JSON if chunk is None else "ping")
        self._silent = self._silent and not isinstance(chunk.get("choices"), list)
        if self._hide_usage(chunk):
            return b""
        self._numbered = self._numbered or frame.id
        opening = self._mend_chunk(chunk)
        if self._repair and _is_usage(chunk) and not self._chunks.finished:
            self._held.append(_Held(frame, chunk, self._notes.touched))
            return b""
        said = opening + (respell(frame, write_json(chunk)) if self._notes.touched else frame.raw)
        return self._overtake(said) if self._held else said

    def _hide_usage(self, chunk: Dict[str, Any]) -> bool:
        """Take out the usage that the client did not ask for (C53); True if that was the point of the chunk.

        A chunk that brings anything else may have it, unless only our asking brought it.
        """
        costs = _is_usage(chunk)
        if self._show_usage or "usage" not in chunk or not (costs or self._bare):
            return False
        del chunk["usage"]
        self._notes.touched = True
        return costs and not any(said is not None for key, said in chunk.items() if key not in ALIKE)

    def _overtake(self, said: bytes) -> bytes:
        """Usage waits until all choices have finished: clients forget it with the next chunk (spec 1.5)."""
        if not self._overtaken:
            self._overtaken = True
            self._notes.mended("usage")
        return said + self._release() if self._chunks.finished else said

    def _release(self) -> bytes:
        """The usage that was held back, under the head that the stream has by now."""
        said = []
        for frame, chunk, touched in self._held:
            self._notes.touched = touched
            self._chunks.mend(chunk)
            said.append(respell(frame, write_json(chunk)) if self._notes.touched else frame.raw)
        self._held, self._overtaken = [], False
        return b"".join(said)

    def _mend_chunk(self, chunk: Dict[str, Any]) -> bytes:
        """Mend or only observe a chunk; the bytes are frames that have to leave before it."""
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


def is_ping(frame: Frame, chunk: Dict[str, Any]) -> bool:
    """Whether a chunk only says that the provider is still there."""
    return "choices" not in chunk and "ping" in (frame.event, chunk.get("type"))


def looks_failed(chunk: Dict[str, Any]) -> bool:
    """Whether a chunk is worth asking whether it is a failure (spec 1.6(b))."""
    choices = chunk.get("choices")
    if chunk.get("error") or chunk.get("object") == "error" or not choices or not isinstance(choices, list):
        return True
    return any(isinstance(choice, dict) and choice.get("finish_reason") == "error" for choice in choices)


def refuse_failure(frame: Frame) -> None:
    """Raise ProxyError for a frame that tells of a failure (C35, C36)."""
    failed = read_failure_frame(frame)
    if failed is not None:
        raise ProxyError(failed)
