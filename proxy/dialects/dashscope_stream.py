"""A provider's stream: frames in, events out. It ends with its connection; a finish reason tells that it is whole."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Optional

from proxy.chat.ask import Ask
from proxy.chat.events import Event
from proxy.dialects.dashscope_chunks import Respelling
from proxy.dialects.dashscope_common import Common
from proxy.dialects.dialect import Stamp
from proxy.dialects.failures import read_failure, read_failure_frame
from proxy.dialects.json_text import read_object
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_chunks import Reading
from proxy.dialects.openai_repair_notes import skip_unreadable
from proxy.errors import ProxyError
from proxy.framing import Frame


def read_stream(
    frames: Iterable[Frame],
    *,
    repair: bool,
    ask: Optional[Ask] = None,
    stamp: Optional[Stamp] = None,
    repairs: Optional[Dict[str, int]] = None,
) -> Iterator[Event]:
    """Events of a stream, told incrementally or not. Frames that are not JSON are skipped and counted (spec 1.6(a)).

    Raises ProxyError for an error frame, ``stream_truncated`` where a choice has no finish reason, and
    ``invalid_upstream_response`` where nothing could be read at all (C43).
    """
    terms = Terms(repair, False, ask.named_tool if ask else None, repairs={} if repairs is None else repairs)
    reading = Reading(terms, ask, stamp)
    respelling = Respelling(terms, ask, stamp)
    common = Common(respelling, reading)
    for frame in frames:
        events = common.read(frame)
        if events is not None:
            yield from events
            continue
        said = read_object(frame.data)
        if said is None:
            _raise_failure(frame, {})
            skip_unreadable(frame.data, repairs)
        elif frame.event == "error" or not isinstance(said.get("output"), dict):
            _raise_failure(frame, said)
        elif frame.event != "done":
            yield from reading.read(respelling.chunk(said))
    yield from reading.end(done=False)


def _raise_failure(frame: Frame, said: Dict[str, Any]) -> None:
    failed = read_failure_frame(frame)
    if failed is None and said.get("code") and said.get("message"):
        failed = read_failure(0, [], frame.data)  # an empty output beside it
    if failed is not None:
        raise ProxyError(failed)
