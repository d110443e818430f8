"""Laws: a whole answer survives the way through a stream of any cut, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import SEEDS, framed, must_stay, must_survive, streamed
from msgspec.structs import replace
from wire_replies import EXCEPTIONS, MODELLED, PADDING, chat_replies, text_replies

from proxy.chat.fold import fold
from proxy.chat.reply import Reply, is_plain
from proxy.dialects import DIALECTS, Dialect
from proxy.dialects.json_text import read_json
from proxy.framing.sse import read_sse

CHAT, TEXT = DIALECTS["openai"], DIALECTS["completions"]
BOTH = pytest.mark.parametrize(("dialect", "wire"), [(CHAT, chat_replies), (TEXT, text_replies)], ids=["chat", "text"])
frames = framed(read_sse)


@BOTH
def test_a_whole_answer_survives_a_stream_however_it_is_cut(dialect: Dialect, wire: Any) -> None:
    must_survive(dialect, wire, frames, 120)


@BOTH
def test_reading_and_writing_a_whole_answer_changes_nothing(dialect: Dialect, wire: Any) -> None:
    must_stay(dialect, wire, 60)


PLAIN = st.fixed_dictionaries(
    {
        "text": st.text(min_size=1, max_size=40),
        "reason": st.sampled_from(["stop", "length", "content_filter"]),
        "more": st.dictionaries(st.sampled_from(["system_fingerprint", "service_tier", "x"]), st.text(max_size=4)),
        "note": st.sampled_from(
            [{}, {"refusal": None}, {"annotations": []}, {"reasoning_content": "r"}, {"refusal": ""}]
        ),
        "logprobs": st.sampled_from([..., None, {"content": [{"token": "a", "logprob": -1.5}]}]),
    }
)


@settings(max_examples=60, deadline=None)
@given(PLAIN, st.booleans())
def test_a_stream_that_says_a_plain_reply_need_not_be_read_to_know_it(said: dict[str, Any], show_usage: bool) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": said["text"], **said["note"]}}
    choice.update({} if said["logprobs"] is ... else {"logprobs": said["logprobs"]}, finish_reason=said["reason"])
    whole = {"id": "i", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    reply = CHAT.read_reply({**whole, "usage": {"total_tokens": 1}, **said["more"]})
    assert CHAT.lossless and is_plain(reply)
    read = fold(CHAT.read_stream(frames(streamed(CHAT, reply, show_usage)), repair=False))
    assert CHAT.write_reply(read) == CHAT.write_reply(reply if show_usage else replace(reply, usage=None))


def left_over(reply: Reply) -> list[tuple[str, str]]:
    """Each key in a bag for unknown things, with the bag's level."""
    bags = [("reply", reply.extra)]
    for choice in reply.choices:
        bags += [("choice", choice.extra), ("message", choice.note)]
        bags += [("call", call.extra) for call in choice.calls] + [("inner", call.inner) for call in choice.calls]
    return [(level, key) for level, bag in bags for key in bag]


@settings(max_examples=60, deadline=None)
@given(chat_replies)
def test_nothing_that_has_a_name_is_put_away_as_unknown(whole: dict[str, Any]) -> None:
    reply = CHAT.read_reply(whole)
    assert not [(level, key) for level, key in left_over(reply) if key in MODELLED[level] | PADDING]


@settings(max_examples=50, deadline=None)
@given(chat_replies, SEEDS)
def test_without_leave_no_chunk_has_a_usage_key_and_nothing_else_is_missing(whole: dict[str, Any], seed: int) -> None:
    data = streamed(CHAT, CHAT.read_reply(whole), show_usage=False)
    chunks = [read_json(frame.data) for frame in frames(data)[:-1]]
    assert not [chunk for chunk in chunks if "usage" in chunk]
    whole.pop("usage", None)
    assert CHAT.write_reply(fold(CHAT.read_stream(frames(data, seed), repair=False))) == whole


@settings(max_examples=50, deadline=None)
@given(chat_replies)
def test_every_chunk_is_complete_and_the_usage_is_last(whole: dict[str, Any]) -> None:
    *told, done = frames(streamed(CHAT, CHAT.read_reply(whole)))
    chunks = [read_json(frame.data) for frame in told]
    assert done.data == b"[DONE]"
    assert all({"id", "object", "created", "model", "choices", "usage"} <= chunk.keys() for chunk in chunks)
    assert all({"index", "delta", "finish_reason"} <= choice.keys() for chunk in chunks for choice in chunk["choices"])
    costs = [chunk["usage"] for chunk in chunks]
    assert costs[-1] == whole.get("usage") and not any(costs[:-1])
    assert [chunk["choices"] == [] for chunk in chunks] == [cost is not None for cost in costs]


@settings(max_examples=60, deadline=None)
@given(chat_replies, SEEDS)
def test_telling_a_stream_again_changes_nothing_and_it_is_sound_for_repair_too(
    whole: dict[str, Any], seed: int
) -> None:
    data = streamed(CHAT, CHAT.read_reply(whole))
    again = b"".join(CHAT.write_stream(CHAT.read_stream(frames(data, seed), repair=False), show_usage=True))
    mended = CHAT.read_stream(frames(again), repair=True)
    assert CHAT.write_reply(fold(CHAT.read_stream(frames(again), repair=False))) == whole
    assert len(fold(mended).choices) == len(whole["choices"])


def test_the_exceptions_from_the_law_are_few_and_each_has_its_reason() -> None:
    assert len(EXCEPTIONS) == 9 and all(EXCEPTIONS.values())
