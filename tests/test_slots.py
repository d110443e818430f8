"""Which call a piece belongs to, and what of it is new: spec 7.2's rows and the cases C13 to C20."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.chat.slots import Slots, call_id


def item(index: Any = None, id: Any = None, name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """A wire item with just the keys that were given."""
    said = {"index": index, "id": id, **more}
    inner = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**{key: value for key, value in said.items() if value is not None}, "function": inner}


ROWS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, str]]]] = {
    "id and name only in the head": (
        [item(0, "a", "f", ""), item(0, arguments="{"), item(0, arguments="}")],
        [("a", "f", "{}")],
    ),
    "same index, two ids": ([item(0, "a", "f", "{}"), item(0, "b", "f", "{}")], [("a", "f", "{}"), ("b", "f", "{}")]),
    "fresh id with each delta": ([item(0, "a", "f"), item(0, "zz", arguments="{}")], [("a", "f", "{}")]),
    "repeated index, pieces": (
        [item(0, "a", "f", ""), item(0, "", arguments="1"), item(0, "b", "g", ""), item(0, "", arguments="2")],
        [("a", "f", "1"), ("b", "g", "2")],
    ),
    "no index, whole calls": (
        [item(None, "a", "f", "{}"), item(None, "b", "f", "{}")],
        [("a", "f", "{}"), ("b", "f", "{}")],
    ),
    "no index, no id, whole calls": (
        [item(name="f", arguments="{}"), item(name="f", arguments="{}")],
        [("", "f", "{}"), ("", "f", "{}")],
    ),
    "no index, no id, pieces": ([item(name="f", arguments="{"), item(arguments="}")], [("", "f", "{}")]),
    "no index, known id": (
        [item(None, "a", "f", ""), item(None, "b", "g", ""), item(None, "a", arguments="x")],
        [("a", "f", "x"), ("b", "g", "")],
    ),
    "continuation without index": ([item(0, "a", "f", ""), item(arguments="{}")], [("a", "f", "{}")]),
    "argument object": ([item(0, "a", "f", {"a": 1})], [("a", "f", '{"a":1}')]),
    "tail at a wrong index, id known": (
        [item(0, "a", "f", "{}"), item(0, "b", "g", "{"), item(1, "b", arguments="}")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "tail at a wrong index, nameless": (
        [item(0, "a", "f", "{}"), item(0, "b", "g", "{"), item(1, "", arguments="}")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "known id at another call's index": (
        [item(0, "a", "f", "{}"), item(1, "b", "g", "{"), item(0, "b", arguments="}")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "one id for two calls": (
        [item(0, "a", "f", "{}"), item(1, "a", "g", "{"), item(1, "a", arguments="}")],
        [("a", "f", "{}"), ("a", "g", "{}")],
    ),
    "two whole calls at one index, no ids": (
        [item(0, name="f", arguments="{}"), item(0, name="g", arguments='{"x":1}')],
        [("", "f", "{}"), ("", "g", '{"x":1}')],
    ),
    "everything repeated": (
        [item(0, "a", "f", "{"), item(0, "a", "f", "}"), item(0, "a", "f", "")],
        [("a", "f", "{}")],
    ),
    "arguments again at the end": (
        [item(0, "a", "f", '{"x":'), item(0, arguments="1}"), item(0, "a", "f", '{"x": 1}')],
        [("a", "f", '{"x":1}')],
    ),
    "a repeated piece is no repeat": ([item(0, "a", "f", "ha"), item(0, arguments="ha")], [("a", "f", "haha")]),
    "nulls and empties": (
        [
            item(0),
            item(0, "", "", ""),
            item(0, "a", "f", "{}"),
            {"index": 0, "function": {"name": None, "arguments": None}},
        ],
        [("a", "f", "{}")],
    ),
    "an empty item, then a call without index": ([item(), item(None, "a", "f", "{}")], [("a", "f", "{}")]),
    "name in two parts": (
        [item(0, "a", "get_", ""), item(0, name="weather"), item(0, arguments="{}")],
        [("a", "get_weather", "{}")],
    ),
    "name that grows": ([item(0, "a", "get_", ""), item(0, name="get_weather")], [("a", "get_weather", "")]),
    "name after the arguments began": ([item(0, "a", "f", "{"), item(0, name="f2", arguments="}")], [("a", "f", "{}")]),
    "id after the name": ([item(0, name="f", arguments=""), item(0, "a", arguments="{}")], [("a", "f", "{}")]),
    "custom": (
        [
            {"index": 0, "id": "a", "type": "custom", "custom": {"name": "n", "input": "x"}},
            {"index": 0, "custom": {"input": "x"}},
        ],
        [("a", "n", "xx")],
    ),
}


def run(items: list[dict[str, Any]]) -> tuple[list[tuple[str, str, str]], list[Any]]:
    slots, pieces = Slots(), []
    for one in items:
        slot = slots.place(one)
        pieces.append((slot.number, slot.take(one)))
    return [(slot.id, slot.name, slot.arguments) for slot in slots.all if slot.opened], pieces


@pytest.mark.parametrize("items, calls", ROWS.values(), ids=ROWS.keys())
def test_each_piece_goes_to_its_call(items: list[dict[str, Any]], calls: Any) -> None:
    assert run(items)[0] == calls


@pytest.mark.parametrize("items, calls", ROWS.values(), ids=ROWS.keys())
def test_what_is_new_adds_up_to_the_call(items: list[dict[str, Any]], calls: Any) -> None:
    told: dict[int, list[str]] = {}
    for number, piece in run(items)[1]:
        if piece:
            call = told.setdefault(number, ["", "", ""])
            assert piece.head == (call == ["", "", ""])
            told[number] = [call[0] + piece.id, call[1] + piece.name, call[2] + piece.text]
    assert [tuple(call) for _, call in sorted(told.items())] == calls


def test_placing_alone_records_nothing() -> None:
    slots = Slots()
    slot = slots.place(item(0, "a", "f", "{}"))
    assert (slot.number, slot.id, slot.name, slot.arguments, slot.opened) == (0, "", "", "", False)


def test_a_generated_id_depends_on_its_place_only() -> None:
    ids = {call_id(reply, choice, slot) for reply in ("r", "s") for choice in (0, 1) for slot in (0, 1)}
    assert len(ids) == 8 and call_id("r", 0, 1) == call_id("r", 0, 1)


def test_many_small_pieces_are_cheap() -> None:
    slots = Slots()
    slot = slots.place(item(0, "a", "f", ""))
    for _ in range(50_000):
        slot.take({"index": 0, "function": {"arguments": "{}"}})
    assert slot.size >= 2
    assert slot.arguments.startswith("{}")
