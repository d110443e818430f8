"""Laws of Ollama's two forms: a whole answer survives the way through a stream of any cut, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from laws import framed, must_stay, must_survive, streamed
from ollama_replies import EXCEPTIONS, chat_replies, generate_replies

from proxy.dialects.dialect import Dialect
from proxy.dialects.json_text import read_json
from proxy.dialects.ollama import OLLAMA, OLLAMA_GENERATE
from proxy.dialects.ollama_forms import MESSAGE_KEYS, NAMESPACES, REPLY_KEYS
from proxy.framing.ndjson import read_ndjson

BOTH = pytest.mark.parametrize(
    ("dialect", "wire"), [(OLLAMA, chat_replies), (OLLAMA_GENERATE, generate_replies)], ids=["chat", "generate"]
)
frames = framed(read_ndjson)


@BOTH
def test_a_whole_answer_survives_a_stream_however_it_is_cut(dialect: Dialect, wire: Any) -> None:
    must_survive(dialect, wire, frames, 150)


@BOTH
def test_reading_and_writing_a_whole_answer_changes_nothing(dialect: Dialect, wire: Any) -> None:
    must_stay(dialect, wire, 100)


@BOTH
def test_nothing_that_has_a_name_is_put_away_as_unknown(dialect: Dialect, wire: Any) -> None:
    @settings(max_examples=60, deadline=None)
    @given(wire)
    def law(whole: dict[str, Any]) -> None:
        reply = dialect.read_reply(whole)
        assert not (REPLY_KEYS - NAMESPACES) & reply.extra.keys()
        assert not (MESSAGE_KEYS - NAMESPACES) & reply.choices[0].note.keys()
        for call in reply.choices[0].calls:
            assert not {"id", "type", "index", "function", "custom"} & call.extra.keys()
            assert not {"name", "arguments", "input"} & call.inner.keys()
            assert call.id

    law()


@BOTH
def test_every_line_is_complete_and_only_the_last_one_is_done(dialect: Dialect, wire: Any) -> None:
    @settings(max_examples=60, deadline=None)
    @given(wire)
    def law(whole: dict[str, Any]) -> None:
        *lines, last = [read_json(frame.data) for frame in frames(streamed(dialect, dialect.read_reply(whole)))]
        assert last["done"] is True and not [line for line in lines if line["done"] is not False]
        for line in lines:
            said = line["message"] if dialect is OLLAMA else line
            assert {"model", "created_at"} <= line.keys()
            assert isinstance(said["content" if dialect is OLLAMA else "response"], str)

    law()


def test_the_exceptions_from_the_law_are_few_and_each_has_its_reason() -> None:
    assert len(EXCEPTIONS) == 5 and all(EXCEPTIONS.values())
