"""Folding: how pieces that no law covers grow together."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.chat.events import (
    Audio,
    Blank,
    Failed,
    Logprobs,
    Noted,
    Opened,
    Part,
    Started,
    Text,
    ToolArguments,
    ToolCall,
    Usage,
)
from proxy.chat.fold import Folding, fold
from proxy.chat.merge import join_base64, join_details, merge_into
from proxy.errors import ProxyError

MERGED: dict[str, tuple[str, list[Any], Any]] = {
    "message: strings append": ("message", ["a", "b"], "ab"),
    "message: lists extend": ("message", [[1], [2]], [1, 2]),
    "message: numbers, the last": ("message", [1, 2], 2),
    "message: null is nothing": ("message", [None, "a", None], "a"),
    "message: only null": ("message", [None, None], None),
    "message: objects, deep": (
        "message",
        [{"a": {"b": "x", "id": "1"}}, {"a": {"b": "y", "id": "2"}}],
        {"a": {"b": "xy", "id": "1"}},
    ),
    "message: another type replaces": ("message", ["a", [1]], [1]),
    "choice: strings, the last": ("choice", ["a", "b"], "b"),
    "choice: lists, the last": ("choice", [[1], [2]], [2]),
    "choice: objects, deep": ("choice", [{"a": 1}, {"b": [2]}], {"a": 1, "b": [2]}),
    "reply: lists, the last": ("reply", [["u"], ["u", "v"]], ["u", "v"]),
    "reply: null is nothing": ("reply", ["fp", None], "fp"),
}


@pytest.mark.parametrize("level, pieces, merged", MERGED.values(), ids=MERGED.keys())
def test_unknown_values_grow_together(level: str, pieces: list[Any], merged: Any) -> None:
    reply = fold([Opened(), *(Noted(level, {"key": piece}) for piece in pieces)])
    bag = reply.extra if level == "reply" else reply.choices[0].note if level == "message" else reply.choices[0].extra
    assert bag == {"key": merged}


@pytest.mark.parametrize(
    "key, level, pieces, merged",
    [
        ("signature", "message", ["s", "t"], "s"),
        ("type", "message", ["", "t"], "t"),
        ("channel", "message", ["a", "a", "f"], "f"),
        ("token_ids", "choice", [[1], [2]], [1, 2]),
    ],
)
def test_some_names_have_rules_of_their_own(key: str, level: str, pieces: Any, merged: Any) -> None:
    choice = fold([Noted(level, {key: piece}) for piece in pieces]).choices[0]
    assert (choice.note or choice.extra) == {key: merged}


@given(st.binary(max_size=40), st.lists(st.integers(0, 60)))
def test_one_base64_text_may_be_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    text = b64encode(data).decode()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert join_base64([text[start:end] for start, end in zip(places, places[1:])]) == text


@given(st.lists(st.binary(max_size=9), max_size=6))
def test_base64_texts_with_their_own_padding_are_one(parts: list[bytes]) -> None:
    assert join_base64([b64encode(part).decode() for part in parts]) == b64encode(b"".join(parts)).decode()


def test_what_is_no_base64_is_joined_as_it_came() -> None:
    assert join_base64(["a=", "?", "b"]) == "a=?b"


def test_reasoning_details_of_another_kind_or_id_are_not_joined() -> None:
    one = {"type": "t", "index": 0, "id": "1", "text": "a"}
    assert join_details([one], [{**one, "text": "b"}]) == [{**one, "text": "ab"}]
    assert join_details([one], [{**one, "id": "2"}]) == [one, {**one, "id": "2"}]
    assert join_details([one], [{**one, "index": 1}]) == [one, {**one, "index": 1}]


def test_no_event_is_changed_by_folding() -> None:
    events = [
        Started("i", "m", 1, {"a": {"b": 1}}),
        Noted("message", {"l": [1], "o": {"l": [1]}}),
        Noted("message", {"l": [2], "o": {"l": [2]}}),
        Logprobs({"content": [1]}),
        Logprobs({"content": [2]}),
        Noted("reply", {"a": {"c": 2}}),
        Part([{"type": "text", "text": "a"}]),
        Part([{"type": "text", "text": "b"}]),
        ToolCall(0, "i", "n", extra={"x": {"y": 1}}),
        ToolCall(0, "", "", extra={"x": {"z": 1}}),
        Audio(extra={"q": [1]}),
        Audio(extra={"q": [2]}),
    ]
    before = repr(events)
    reply = fold(events)
    assert repr(events) == before
    assert reply.choices[0].note == {"l": [1, 2], "o": {"l": [1, 2]}}
    assert reply.choices[0].content == [{"type": "text", "text": "ab"}]


def test_a_blank_stays_only_until_something_is_said() -> None:
    choice = fold([Blank("content", ""), Blank("refusal"), Text("a")]).choices[0]
    assert (choice.text, choice.blank) == ("a", {"refusal": None})
    assert fold([Blank("usage"), Usage({"a": 1})]).blank == {}


def test_of_usage_the_last_one_counts() -> None:
    assert fold([Usage({"a": 1}), Usage({"b": 2})]).usage == {"b": 2}


def test_calls_come_in_the_order_of_their_numbers_and_arguments_need_no_head() -> None:
    calls = (
        fold([ToolArguments(1, "x"), ToolCall(0, "i", "n"), ToolCall(-1, "", "old", "function_call")]).choices[0].calls
    )
    assert [(call.name, call.arguments) for call in calls] == [("n", ""), ("", "x"), ("old", "")]


def test_choices_are_sorted() -> None:
    assert [choice.index for choice in fold([Text("b", 1), Text("a", 0)]).choices] == [0, 1]


def test_a_failure_is_raised_and_what_came_before_it_stays() -> None:
    folding = Folding()
    folding.add(Text("a"))
    with pytest.raises(ProxyError):
        folding.add(Failed(500, "x", "boom"))
    assert folding.reply().choices[0].text == "a"


def test_a_later_start_only_fills_what_is_missing() -> None:
    reply = fold([Started("", "m"), Started("i", "other", 7)])
    assert (reply.id, reply.model, reply.created) == ("i", "m", 7)


def test_merging_leaves_what_it_was_given() -> None:
    bag = {"o": {"l": [1]}}
    inner = bag["o"]
    merge_into(bag, {"o": {"l": [2]}}, grow=True)
    assert (bag, inner) == ({"o": {"l": [1, 2]}}, {"l": [1]})
