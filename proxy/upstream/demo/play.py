"""How one answer is performed: whole, or chunk by chunk in time, as its model behaves. It knows no endpoint."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Callable, Dict, Mapping, NamedTuple

from msgspec import json

from proxy.upstream.demo.said import DONE, JSON_TYPE, STREAM_TYPE, Answered, Step, frame

Wire = Dict[str, Any]

# What a client's retry logic and bookkeeping read (spec 3.3).
LIMITS = (
    ("x-ratelimit-limit-requests", "1000"),
    ("x-ratelimit-remaining-requests", "999"),
    ("x-ratelimit-reset-requests", "60ms"),
)


class Play(NamedTuple):
    """An answer in both forms: ``reply`` whole; ``choices`` as the wire choices of each, chunk after chunk."""

    reply: Wire
    chunk: str
    choices: list[list[Wire]]
    show_usage: bool

    def head(self) -> Wire:
        """What every chunk repeats of the reply."""
        same = {key: value for key, value in self.reply.items() if key not in ("choices", "usage")}
        return {**same, "object": self.chunk}


class Pace(NamedTuple):
    """Seconds until the first word, and between words."""

    first: float = 0.0
    word: float = 0.005


def as_asked(steps: list[Step], _: Play) -> list[Step]:
    """Say it as it is."""
    return steps


class Model(NamedTuple):
    """A model of the demo provider, and what is wrong with it.

    ``refusal`` is answered if the ask has the trait ``refuses`` (streamed, whole, options; None: to every ask).
    ``streams`` forces a form. ``twist`` bends a stream's steps, ``bend`` those of a whole answer, ``reply`` its JSON.
    """

    name: str
    description: str
    refusal: Answered | None = None
    refuses: str | None = None
    streams: bool | None = None
    pace: Pace = Pace()
    twist: Callable[[list[Step], Play], list[Step]] = as_asked
    bend: Callable[[list[Step], Play], list[Step]] = as_asked
    reply: Callable[[Wire], Wire] = dict
    thinks: bool = False
    eager: bool = False


def perform(play: Play, model: Model, stream: bool) -> Answered:
    """Give the answer in the form that was asked for, unless the model knows better."""
    if stream if model.streams is None else model.streams:
        steps = model.twist(streamed(play, model.pace), play)
        return Answered(200, [STREAM_TYPE, ("Cache-Control", "no-cache"), *LIMITS], steps)
    body = json.encode(model.reply(play.reply))
    half = len(body) // 2
    steps = model.bend([Step(0.0, body[:half]), Step(0.0, body[half:])], play)
    headers = [JSON_TYPE, ("Content-Length", str(len(body))), *LIMITS]
    # A whole answer comes when its last word would have come.
    wait = model.pace.first + model.pace.word * max(map(len, play.choices), default=0)
    return Answered(200, headers, steps, wait)


def streamed(play: Play, pace: Pace) -> list[Step]:
    """The answer chunk by chunk: all choices begin, then take turns; usage and the terminator come last (spec 1.4)."""
    head, steps = play.head(), []
    for turn, said in enumerate(zip_longest(*play.choices)):
        pause = pace.word if turn else pace.first
        for choice in filter(None, said):
            steps.append(Step(pause, frame(_chunk(head, [choice], play.show_usage))))
            pause = 0.0
    if play.show_usage:
        steps.append(Step(0.0, frame({**head, "choices": [], "usage": play.reply["usage"]})))
    return [*steps, Step(0.0, DONE)]


def _chunk(head: Mapping[str, Any], choices: list[Wire], show_usage: bool) -> Wire:
    # Whoever asked for usage sees a null in every chunk before it.
    return {**head, "choices": choices, "usage": None} if show_usage else {**head, "choices": choices}


def usage(prompt: int, completion: int, reasoning: int = 0) -> Wire:
    """OpenAI's usage object for so many tokens; ``reasoning`` of the ``completion`` tokens were thoughts."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
