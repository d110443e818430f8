"""A provider's stream: frames in, events out."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, Optional

from proxy.chat.ask import Ask
from proxy.chat.events import Event, Text
from proxy.dialects.alike import Alike, only_delta
from proxy.dialects.dialect import Stamp
from proxy.dialects.json_text import read_object
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_chunks import Reading
from proxy.dialects.openai_repair import StreamMender, is_ping, looks_failed, refuse_failure
from proxy.dialects.openai_repair_notes import skip_unreadable
from proxy.errors import failure
from proxy.framing import Frame

DONE = b"[DONE]"
SHOWN = 300


def read_stream(
    frames: Iterable[Frame],
    *,
    repair: bool,
    ask: Optional[Ask] = None,
    stamp: Optional[Stamp] = None,
    repairs: Optional[Dict[str, int]] = None,
    cumulative: bool = False,
    completions: bool = False,
) -> Iterator[Event]:
    """Events of a chat or completions stream; nothing is read after ``[DONE]``.

    What is not JSON is skipped and counted as a repair, ``not_json`` (spec 1.6(a)).

    Raises ProxyError for an error frame (C35), ``stream_truncated`` where neither ``[DONE]`` nor a finish of every
    choice asked for came (C33), and ``invalid_upstream_response`` where nothing could be read at all or no chunk had a
    list of choices (C43). ``cumulative``: this provider repeats all text so far in every chunk (C25). That is a switch,
    or known of the model: a stream cannot take back what it has said, so it is never guessed here (``fold`` guesses, as
    it can). ``completions``: chunks have texts, not deltas.
    """
    witness = None
    if repair and repairs is not None:
        witness = _Witness(_mender(ask, stamp, repairs, cumulative, completions))
    reading = Reading(Terms(repair, cumulative, ask.named_tool if ask else None), ask, stamp)
    nonsense = b""
    alike = Alike("content", only_delta)
    for frame in frames:
        data = frame.data
        text = None if frame.event else alike.text_of(data)
        if witness is not None:
            witness.see(frame, text is not None)
        if text is not None:
            yield reading.read_alike(text, alike.choice)
            continue
        if data[:1] != b"{" and data.lstrip().startswith(DONE):
            yield from reading.end(done=True)
            return
        chunk = read_object(data)
        if frame.event or chunk is None or looks_failed(chunk):
            refuse_failure(frame)
        if chunk is None:
            nonsense = nonsense or data
            skip_unreadable(data, None if repair else repairs)  # where repair is on, the witness has counted it
        elif not is_ping(frame, chunk):
            events = reading.read(chunk)
            yield from events
            if len(events) == 1 and isinstance(events[0], Text) and not reading.cumulative:
                alike.learn(data, chunk, events[0].choice)
    if witness is not None:
        witness.end()
    if nonsense and not reading.parsed:
        shown = nonsense[:SHOWN].decode("utf-8", "replace")
        raise failure("invalid_upstream_response", f"The provider's stream is not JSON; it begins with {shown!r}.")
    yield from reading.end(done=False)


class _Witness:
    """Sees the frames as one who would mend them: what is mended has the same names in every lane."""

    def __init__(self, mender: StreamMender) -> None:
        self._mender = mender
        self._alike = False
        self.end = mender.end

    def see(self, frame: Frame, alike: bool) -> None:
        """``alike``: it differs from the one before in its text alone; then two of them tell all there is to tell."""
        if not (alike and self._alike):
            self._mender.mend(frame)
        self._alike = alike


def _mender(
    ask: Optional[Ask], stamp: Optional[Stamp], repairs: Dict[str, int], cumulative: bool, completions: bool
) -> StreamMender:
    return StreamMender(
        ask or Ask("", True, {}),
        repair=True,
        show_usage=True,
        asked_usage=False,
        fallback_id=stamp.id if stamp else "",
        fallback_created=stamp.created if stamp else 0,
        completions=completions,
        cumulative=cumulative,
        repairs=repairs,
    )
