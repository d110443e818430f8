"""What can be wrong with an answer that began well: each function bends its steps in one way seen in the field."""

from __future__ import annotations

from typing import Any

from msgspec import json

from proxy.upstream.demo.play import Play
from proxy.upstream.demo.said import DONE, Step, frame, mistake

STALL = 600.0
BROKEN = mistake("The server had an error while processing your request. Sorry about that!", "server_error")


def cut(steps: list[Step], _: Play) -> list[Step]:
    """The connection breaks in the middle (C33)."""
    return [*steps[: len(steps) // 2], Step(0.0, None)]


def stall(steps: list[Step], _: Play) -> list[Step]:
    """Nothing comes for ten minutes in the middle, then the rest (C60)."""
    half = len(steps) // 2
    return [*steps[:half], steps[half]._replace(pause=STALL), *steps[half + 1 :]]


def break_off(steps: list[Step], _: Play) -> list[Step]:
    """An error frame in the middle, under status 200 (C35)."""
    return [*steps[: len(steps) // 2], Step(0.0, frame(BROKEN)), Step(0.0, DONE)]


def broken(_: dict[str, Any]) -> dict[str, Any]:
    """An error where the reply should be, under status 200 (C38)."""
    return BROKEN


def forget_done(steps: list[Step], _: Play) -> list[Step]:
    """The answer finishes and the terminator never comes (C33)."""
    return steps[:-1]


def mess(steps: list[Step], play: Play) -> list[Step]:
    """Every chunk breaks a rule that strict clients rely on (C14, C17, C26, C28, C54)."""
    messy = []
    for place, step in enumerate(steps[:-1]):
        chunk = json.decode((step.data or b"")[len(b"data: ") :])
        chunk["id"] = f"{chunk['id']}-{place}"
        chunk["usage"] = play.reply["usage"]
        del chunk["object"]
        chunk["choices"] = [_messy(choice, "delta") for choice in chunk["choices"]]
        messy.append(step._replace(data=frame(chunk)))
    return [*messy, steps[-1]]


def messy_reply(reply: dict[str, Any]) -> dict[str, Any]:
    """A whole reply with the same habits."""
    said = {key: value for key, value in reply.items() if key != "object"}
    return {**said, "choices": [_messy(choice, "message") for choice in reply["choices"]]}


def _messy(choice: dict[str, Any], part: str) -> dict[str, Any]:
    """A choice without a role, with a foreign word for its end, and without an index where it is the first."""
    messy = {key: value for key, value in choice.items() if key != "index" or value}
    if part in choice:
        messy[part] = {**choice[part], "role": None}
    if choice["finish_reason"] == "stop":
        messy["finish_reason"] = "eos"
    return messy
