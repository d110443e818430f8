"""Anthropic's streams on the wire: recordings by hand beside what they mean, read in every way of cutting."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from anthropic_checker import check_stream

from proxy.chat.ask import Ask
from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects import Stamp
from proxy.dialects.anthropic import ANTHROPIC
from proxy.errors import ProxyError
from proxy.framing import Frame
from proxy.framing.sse import read_sse

STREAMS = sorted((Path(__file__).parent / "wire" / "anthropic").glob("*.sse"))
EACH = pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)


def frames(data: bytes, size: int = 0) -> list[Frame]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)] if size else [data]
    return [frame for batch in read_sse(pieces) for frame in batch]


def whole(data: bytes, size: int = 0) -> Any:
    return ANTHROPIC.write_reply(fold(ANTHROPIC.read_stream(frames(data, size), repair=True)))


def meaning(path: Path) -> Any:
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


@EACH
@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 64])
def test_a_stream_folds_to_the_message_it_amounts_to(path: Path, size: int) -> None:
    assert whole(path.read_bytes(), size) == meaning(path)


@EACH
def test_one_cut_anywhere_changes_nothing(path: Path) -> None:
    data = path.read_bytes()
    want = [(frame.event, frame.data) for frame in frames(data)]
    for cut in range(1, len(data)):
        got = [frame for batch in read_sse([data[:cut], data[cut:]]) for frame in batch]
        assert [(frame.event, frame.data) for frame in got] == want


@EACH
def test_a_message_becomes_a_sound_stream_that_amounts_to_it(path: Path) -> None:
    said = meaning(path)
    data = b"".join(ANTHROPIC.write_stream(unfold(ANTHROPIC.read_reply(said)), show_usage=True))
    check_stream(data, foreign=False)
    assert whole(data) == said


@EACH
def test_a_stream_told_live_has_the_same_text_and_the_same_calls(path: Path) -> None:
    data = b"".join(
        ANTHROPIC.write_stream(ANTHROPIC.read_stream(frames(path.read_bytes()), repair=True), show_usage=True)
    )
    check_stream(data, foreign=False)
    one, other = (ANTHROPIC.read_reply(said).choices[0] for said in (whole(data), meaning(path)))
    assert (one.text, one.reasoning, one.reason) == (other.text, other.reasoning, other.reason)
    assert [(call.id, call.name) for call in one.calls] == [(call.id, call.name) for call in other.calls]


@EACH
def test_the_verbatim_lane_lets_a_stream_pass_and_knows_its_end(path: Path) -> None:
    data = path.read_bytes()
    ask = Ask("m", True, {})
    mender = ANTHROPIC.mend_stream(ask, Stamp("", 0), repair=True, show_usage=True, asked_usage=False)
    mended = b"".join(mender.mend(frame) for frame in frames(data))
    unnamed = re.sub(rb"(?m)^event: \w+\n", b"", mended)
    assert (unnamed if mender.repairs else mended) == data
    assert mender.finished == (b"message_stop" in data)
    assert mender.meaningful


def test_there_are_as_many_recordings_as_there_were() -> None:
    assert len(STREAMS) >= 18


BEGIN = b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","content":[]}}\n\n'
TEXT = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hal"}}\n\n'
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'


@pytest.mark.parametrize(
    ("data", "code", "status"),
    [
        (b"", "invalid_upstream_response", 502),
        (b": ping\n\n", "invalid_upstream_response", 502),
        (b"data: [DONE]\n\n", "invalid_upstream_response", 502),
        (b"data: oops\n\n", "invalid_upstream_response", 502),
        (BEGIN, "stream_truncated", 502),
        (BEGIN + TEXT, "stream_truncated", 502),
        (BEGIN + TEXT + ERROR, "server_is_overloaded", 503),
        (ERROR, "server_is_overloaded", 503),
    ],
)
def test_a_stream_without_a_sound_end_is_a_failure(data: bytes, code: str, status: int) -> None:
    with pytest.raises(ProxyError) as caught:
        whole(data)
    assert (caught.value.failed.code, caught.value.failed.status) == (code, status)


@pytest.mark.parametrize("body", [{"id": "x"}, {"content": None}, {"content": "text"}, []])
def test_a_whole_answer_without_blocks_is_none(body: Any) -> None:
    with pytest.raises(ProxyError) as caught:
        ANTHROPIC.read_reply(body)
    assert caught.value.failed.code == "invalid_upstream_response"
