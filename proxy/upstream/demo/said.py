"""What the demo provider says on the wire: steps in time, whole answers and refusals. It knows no endpoint."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Sequence, Tuple

from msgspec import json

Headers = List[Tuple[str, str]]

JSON_TYPE = ("Content-Type", "application/json")
STREAM_TYPE = ("Content-Type", "text/event-stream; charset=utf-8")
DONE = b"data: [DONE]\n\n"


class Step(NamedTuple):
    """Bytes said after ``pause`` seconds of silence; ``None`` instead of bytes: the connection breaks."""

    pause: float
    data: bytes | None


class Answered(NamedTuple):
    """An HTTP answer: its status line comes after ``wait`` seconds, its body step by step."""

    status: int
    headers: Sequence[tuple[str, str]]
    steps: Sequence[Step]
    wait: float = 0.0


class Refused(Exception):  # noqa: N818 - a fact about the ask, caught at the provider's own door
    """The ask cannot be answered; ``answered`` is what the client gets instead."""

    def __init__(self, answered: Answered) -> None:
        super().__init__(answered.status)
        self.answered = answered


def frame(value: Any) -> bytes:
    """One JSON value as one record of an event stream."""
    return b"data: " + json.encode(value) + b"\n\n"


def mistake(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The OpenAI error object (spec 3.1), with all four keys."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def answered_json(status: int, value: Any, headers: Sequence[tuple[str, str]] = ()) -> Answered:
    """A whole JSON answer, said at once."""
    body = json.encode(value)
    return Answered(status, [JSON_TYPE, ("Content-Length", str(len(body))), *headers], [Step(0.0, body)])


def refusal(
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    kind: str = "invalid_request_error",
    headers: Sequence[tuple[str, str]] = (),
) -> Answered:
    """An error answer in OpenAI's envelope."""
    return answered_json(status, mistake(message, kind, param, code), headers)
