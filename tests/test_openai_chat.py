"""The chat dialect on the wire: recordings by hand beside what they mean, and asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.chat.events import Audio, Opened, Started, Text, Usage
from proxy.chat.fold import Folding, fold
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS, Stamp
from proxy.errors import ProxyError
from proxy.framing import Frame
from proxy.framing.sse import read_sse

CHAT = DIALECTS["openai"]
WIRE = Path(__file__).parent / "wire" / "openai"
STREAMS = sorted(WIRE.glob("*.sse"))


def frames(data: bytes, size: int = 0) -> list[Frame]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)] if size else [data]
    return [frame for batch in read_sse(pieces) for frame in batch]


def whole(data: bytes, size: int = 0, **terms: Any) -> Any:
    return CHAT.write_reply(fold(CHAT.read_stream(frames(data, size), **{"repair": True, **terms})))


def failure_of(data: bytes, **terms: Any) -> Any:
    with pytest.raises(ProxyError) as caught:
        whole(data, **terms)
    return caught.value.failed


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_stream_folds_to_the_reply_it_amounts_to(path: Path, size: int) -> None:
    assert whole(path.read_bytes(), size) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_a_stream_told_again_folds_to_the_same_reply(path: Path) -> None:
    events = CHAT.read_stream(frames(path.read_bytes()), repair=True)
    again = b"".join(CHAT.write_stream(events, show_usage=True))
    assert whole(again, repair=False) == json.loads(path.with_suffix(".json").read_text())


# Each part of a content gets an index for the SDK, which tells the pieces of a list apart by it: so they stay apart
INDEXED = {"content_in_parts", "content_in_text_parts"}


@pytest.mark.parametrize("path", [one for one in STREAMS if one.stem not in INDEXED], ids=lambda path: path.stem)
def test_a_mended_stream_folds_to_the_same_reply(path: Path) -> None:
    stamp = Stamp("chatcmpl-ours", 7)
    ask = CHAT.read_ask(b'{"model":"m","messages":[]}')
    mender = CHAT.mend_stream(ask, stamp, repair=True, show_usage=True, asked_usage=False)
    mended = b"".join(mender.mend(frame) for frame in frames(path.read_bytes())) + mender.end()
    assert whole(mended) == json.loads(path.with_suffix(".json").read_text())


def test_there_are_as_many_recordings_as_there_were() -> None:
    assert len(STREAMS) >= 36


def test_a_whole_answer_becomes_the_stream_of_the_reference() -> None:
    message = {"role": "assistant", "reasoning_content": "r", "content": "hi"}
    choice = {"index": 0, "message": message, "logprobs": {"content": [1]}, "finish_reason": "stop"}
    head = {"id": "i", "created": 1, "model": "m"}
    reply = CHAT.read_reply({**head, "choices": [choice], "usage": {"total_tokens": 1}, "system_fingerprint": "fp"})
    told = frames(b"".join(CHAT.write_stream(unfold(reply), show_usage=True)))
    envelope = {**head, "object": "chat.completion.chunk", "system_fingerprint": "fp"}
    choices = [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 0, "delta": {"reasoning_content": "r"}, "finish_reason": None},
        {"index": 0, "delta": {"content": "hi"}, "logprobs": {"content": [1]}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    chunks = [{**envelope, "choices": [choice], "usage": None} for choice in choices]
    chunks.append({**envelope, "choices": [], "usage": {"total_tokens": 1}})
    assert [json.loads(frame.data) for frame in told[:-1]] == chunks
    assert told[-1].data == b"[DONE]"


CLOSING = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
ONE = b'data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}\n\n'
FAILURES = {
    "nothing": (b"", 502, "invalid_upstream_response"),
    "only the end": (b"data: [DONE]\n\n", 502, "invalid_upstream_response"),
    "only comments": (b": hello\n\n", 502, "invalid_upstream_response"),
    "no json": (b"data: oops\n\ndata: [DONE2\n\n", 502, "invalid_upstream_response"),
    "cut": (ONE, 502, "stream_truncated"),
    "cut before any choice": (b'data: {"id":"c","choices":[]}\n\n', 502, "stream_truncated"),
    "one of two choices cut": (
        ONE + ONE.replace(b'"index":0', b'"index":1').replace(b"}}]}", b'},"finish_reason":"stop"}]}'),
        502,
        "stream_truncated",
    ),
    "error after text": (
        ONE + b'data: {"error":{"message":"boom","type":"server_error","code":null,"param":null}}\n\n',
        500,
        None,
    ),
    "error beside choices": (
        b'data: {"error":{"message":"x","code":429},"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}\n\n',
        429,
        ...,
    ),
    "error in a choice": (
        ONE
        + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":429,"message":"m"}}]}\n\n',
        429,
        ...,
    ),
    "error event": (b'event: error\ndata: {"code":"InvalidParameter","message":"no"}\n\n', 400, ...),
    "error field": (ONE + b'error: {"code":500,"message":"boom","type":"server_error"}\n\n', 500, ...),
    "an error without a field": (ONE + b': hi\n\n{"error":{"message":"boom","code":429}}\n\n', 429, ...),
    "only chunks without choices": (
        b'data: {"id":"x"}\n\ndata: {"choices":null}\n\ndata: [DONE]\n\n',
        502,
        "invalid_upstream_response",
    ),
    "detail": (b'data: {"detail":"Not authenticated"}\n\n', ..., ...),
}


@pytest.mark.parametrize("data, status, code", FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("repair", [True, False])
def test_a_stream_that_failed_is_no_answer(data: bytes, status: Any, code: Any, repair: bool) -> None:
    failed = failure_of(data, repair=repair)
    assert status in (..., failed.status) and code in (..., failed.code)
    assert failed.message


def test_what_came_before_a_failure_can_still_be_folded() -> None:
    folding = Folding()
    with pytest.raises(ProxyError):
        for event in CHAT.read_stream(frames(ONE), repair=True):
            folding.add(event)
    assert folding.reply().choices[0].text == "a"


def test_nothing_is_read_after_the_end() -> None:
    def provider() -> Any:
        yield from frames(ONE + b"data: [DONE]\n\n")
        raise AssertionError("read on")

    assert len(list(CHAT.read_stream(provider(), repair=True))) == 4


def test_half_a_reply_can_be_asked_for_again_and_again() -> None:
    folding = Folding()
    events = list(CHAT.read_stream(frames((WIRE / "logprobs.sse").read_bytes()), repair=True))
    first = [folding.add(event) or folding.reply() for event in events]
    again = [fold(events[: count + 1]) for count in range(len(events))]
    assert first == again


def test_ids_that_no_provider_gave_are_the_same_each_time_and_ours() -> None:
    item = b'{"function":{"name":"f","arguments":"{}"}}'
    data = b'data: {"choices":[{"delta":{"tool_calls":[%s,%s]},"finish_reason":"stop"}]}\n\n' % (item, item)
    ask = CHAT.read_ask(b'{"model":"asked","messages":[]}')
    repairs: dict[str, int] = {}
    reply = whole(data, ask=ask, stamp=Stamp("chatcmpl-ours", 7), repairs=repairs)
    ids = [call["id"] for call in reply["choices"][0]["message"]["tool_calls"]]
    assert (reply["id"], reply["created"], reply["model"]) == ("chatcmpl-ours", 7, "asked")
    assert len(set(ids)) == 2 and all(len(one) == 29 and one.startswith("call_") for one in ids)
    assert ids == [
        call["id"]
        for call in whole(data, ask=ask, stamp=Stamp("chatcmpl-ours", 7))["choices"][0]["message"]["tool_calls"]
    ]
    assert repairs == {
        **dict.fromkeys(["id", "object", "created", "model", "index", "role", "finish_reason", "done"], 1),
        **dict.fromkeys(["tool_call_id", "tool_call_type", "tool_call_index"], 2),
    }


def test_stop_beside_a_call_stays_where_the_ask_named_its_tool() -> None:
    data = (WIRE / "calls_without_index.sse").read_bytes()
    ask = CHAT.read_ask(b'{"model":"m","messages":[],"tool_choice":{"type":"function","function":{"name":"f"}}}')
    assert whole(data, ask=ask)["choices"][0]["finish_reason"] == "stop"
    assert whole(data)["choices"][0]["finish_reason"] == "tool_calls"


def test_without_repair_words_and_blanks_stay_as_they_came() -> None:
    data = (WIRE / "calls_without_index.sse").read_bytes()
    assert whole(data, repair=False)["choices"][0]["finish_reason"] == "stop"
    refused = whole((WIRE / "refusal.sse").read_bytes(), repair=False)
    assert refused["choices"][0]["message"] == {"role": "assistant", "content": "", "refusal": "Nope"}


CUMULATIVE = b'data: {"id":"c","model":"%s","choices":[{"delta":{"content":"%s"},"finish_reason":%s}]}\n\n'


def cumulative(model: bytes, texts: list[bytes]) -> bytes:
    ends = [b"null"] * (len(texts) - 1) + [b'"stop"']
    return b"".join(CUMULATIVE % (model, text, end) for text, end in zip(texts, ends))


@pytest.mark.parametrize(
    "model, texts, folded, told",
    [
        (b"qwen-mt-plus", [b"a", b"ab", b"abc"], "abc", "abc"),
        (b"m", [b"ha", b"haha", b"hahaha"], "hahahahahaha", "hahahahahaha"),
        (b"m", [b"x" * n for n in (16, 17, 18)], "x" * 51, "x" * 51),
        (b"m", [b"x" * n for n in (3, 16, 17, 18, 20)], "x" * 20, "x" * 74),
        (b"m", [b"x" * n for n in (16, 17, 18, 20, 20)], "x" * 91, "x" * 91),
    ],
)
def test_text_that_repeats_itself_with_every_chunk_is_told_once(
    model: bytes, texts: Any, folded: str, told: str
) -> None:
    data = cumulative(model, texts)
    events = list(CHAT.read_stream(frames(data), repair=True))
    assert fold(events).choices[0].text == folded
    assert "".join(getattr(event, "text", "") for event in events) == told


def test_a_whole_answer_without_choices_is_none() -> None:
    for body in ({}, {"id": "x"}, {"choices": None}, {"choices": "x"}, []):
        with pytest.raises(ProxyError) as caught:
            CHAT.read_reply(body)  # type: ignore[arg-type]
        assert caught.value.failed.code == "invalid_upstream_response"


ELSEWHERE = [path for path in STREAMS if path.stem.startswith("usage_in_")]


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: path.stem)
def test_usage_is_found_wherever_it_is_told_and_once(path: Path, repair: bool) -> None:
    want = json.loads(path.with_suffix(".json").read_text())["usage"]
    events = list(CHAT.read_stream(frames(path.read_bytes()), repair=repair))
    told = [event.counts for event in events if isinstance(event, Usage)]
    assert told[-1] == want and (len(told) == 1 or "every_chunk" in path.stem)
    told_again = CHAT.read_stream(frames(b"".join(CHAT.write_stream(events, show_usage=True))), repair=repair)
    assert [event.counts for event in told_again if isinstance(event, Usage)] == [want]
    whole_answer = json.loads(path.with_suffix(".json").read_text())
    assert CHAT.read_reply({key: said for key, said in whole_answer.items() if key != "usage"}).usage in (want, None)
    assert (CHAT.read_reply(whole_answer).usage, len(ELSEWHERE)) == (want, 4)


AUDIOS = [
    {"id": "a", "expires_at": 1.5},
    {"id": "a", "expires_at": "soon"},
    {"id": 7, "data": ["x"], "transcript": {"t": 1}, "expires_at": None},
]


@pytest.mark.parametrize("audio", AUDIOS)
def test_audio_of_other_types_is_kept_as_it_came(audio: dict[str, Any]) -> None:
    kept = {name: said for name, said in audio.items() if said is not None}
    body = {"id": "i", "choices": [{"index": 0, "message": {"audio": audio}, "finish_reason": "stop"}]}
    reply = CHAT.read_reply(body)
    assert reply.choices[0].audio == kept and fold(unfold(reply)) == reply
    told = frames(b"".join(CHAT.write_stream(unfold(reply), show_usage=False)))
    assert fold(CHAT.read_stream(told, repair=False)).choices[0].audio == kept
    mixed = [*unfold(reply), Audio(transcript="hi"), Audio(extra={"expires_at": audio["expires_at"]})]
    assert fold(mixed).choices[0].audio == {**kept, "transcript": "hi", **fold(mixed[-1:]).choices[0].audio}


def test_a_failure_inside_a_stream_is_one_frame_and_the_end() -> None:
    failed = failure_of(ONE)
    block = CHAT.write_failed_stream(failed)
    error, done = frames(block)
    assert json.loads(error.data) == CHAT.write_failed(failed)
    assert set(json.loads(error.data)["error"]) >= {"message", "type", "param", "code"}
    assert done.raw == b"data: [DONE]\n\n"
    assert b"".join(CHAT.write_stream([failed], show_usage=True)) == block


def test_what_is_learned_late_stands_on_every_later_chunk() -> None:
    late = [
        Started("", "m", 1),
        Opened(),
        Text("a"),
        Text("b"),
        Started("i", extra={"system_fingerprint": "fp"}),
        Text("c"),
    ]
    told = [json.loads(frame.data) for frame in frames(b"".join(CHAT.write_stream(late, show_usage=False)))[:-1]]
    assert [(chunk["id"], chunk.get("system_fingerprint")) for chunk in told] == [("", None)] * 3 + [("i", "fp")]


@pytest.mark.parametrize("index", [b"true", b"-1", b'"0"', b"null", b"0.0"])
def test_an_index_that_is_none_folds_as_a_stream_with_it_is_mended(index: bytes) -> None:
    one, rest = ONE.replace(b'"index":0', b'"index":' + index), CLOSING
    (choice,) = whole(ONE.replace(b'"a"', b'"b"') + one + rest)["choices"]
    assert (choice["index"], choice["message"]["content"]) == (0, "ba")
