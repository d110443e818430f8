"""Laws of the Anthropic dialect: a message survives a stream of any cut, and what it emits is sound (4.5)."""

from __future__ import annotations

from typing import Any

from anthropic_checker import check_stream
from anthropic_replies import EXCEPTIONS, anthropic_replies
from hypothesis import HealthCheck, given, settings
from laws import SEEDS, streamed
from test_laws import frames
from wire_replies import chat_replies

from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS
from proxy.dialects.anthropic import ANTHROPIC
from proxy.framing.sse import read_sse

CHAT = DIALECTS["openai"]
LAW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def told_again(data: bytes, seed: int = 0) -> Any:
    return ANTHROPIC.write_reply(fold(ANTHROPIC.read_stream(frames(data, seed), repair=False)))


@LAW
@given(anthropic_replies(), SEEDS)
def test_a_message_survives_a_stream_however_it_is_cut(whole: dict[str, Any], seed: int) -> None:
    data = streamed(ANTHROPIC, ANTHROPIC.read_reply(whole))
    check_stream(data, foreign=False)
    assert told_again(data, seed) == whole


@LAW
@given(anthropic_replies())
def test_reading_and_writing_a_message_changes_nothing(whole: dict[str, Any]) -> None:
    reply = ANTHROPIC.read_reply(whole)
    assert ANTHROPIC.write_reply(reply) == whole
    assert fold(unfold(reply)) == reply


@LAW
@given(anthropic_replies())
def test_what_is_read_of_a_stream_is_what_is_read_of_a_whole(whole: dict[str, Any]) -> None:
    reply = ANTHROPIC.read_reply(whole)
    again = fold(ANTHROPIC.read_stream(frames(streamed(ANTHROPIC, reply)), repair=False))
    assert again.choices == reply.choices
    assert (again.id, again.model, again.usage, again.extra) == (reply.id, reply.model, reply.usage, reply.extra)


@LAW
@given(chat_replies)
def test_whatever_a_provider_of_chat_says_is_a_sound_stream(whole: dict[str, Any]) -> None:
    reply = CHAT.read_reply(whole)
    check_stream(streamed(ANTHROPIC, reply))
    live = b"".join(CHAT.write_stream(unfold(reply), show_usage=True))
    events = CHAT.read_stream([frame for batch in read_sse([live]) for frame in batch], repair=True)
    check_stream(b"".join(ANTHROPIC.write_stream(events, show_usage=True)))


@LAW
@given(anthropic_replies())
def test_a_message_is_told_to_clients_of_chat_in_words_they_know(whole: dict[str, Any]) -> None:
    said = CHAT.write_reply(ANTHROPIC.read_reply(whole))["choices"][0]
    texts = [block["text"] for block in whole["content"] if block["type"] == "text"]
    calls = [block["id"] for block in whole["content"] if block["type"] == "tool_use"]
    assert (said["message"]["content"] or "") == "".join(texts)
    assert [call["id"] for call in said["message"].get("tool_calls", [])] == calls
    assert all(call["function"]["arguments"] for call in said["message"].get("tool_calls", []))


def test_the_exceptions_from_the_law_are_few_and_each_has_its_reason() -> None:
    assert len(EXCEPTIONS) == 6 and all(EXCEPTIONS.values())
