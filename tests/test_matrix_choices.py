"""The matrix for what not every protocol has a place for: several choices, and log probabilities of tokens.

Where both sides have the place it crosses over; where the provider has none the client is told so by name.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from typing import Any, Iterator

import pytest
from matrix_clients import openai_client
from matrix_natives import dashscope_answers, dashscope_text, ollama_client
from matrix_providers import PROVIDERS
from matrix_sdks import MODE, sdk
from matrix_stories import Refused, Story

MODES = ("off", "stream", "non_stream")
TWO = Story("two", "Hello?", max_tokens=9)
WEIGHED = Story("weighed", "Hello?", max_tokens=9)
CHOICES = [(0, "left", "stop"), (1, "right", "length")]
# Each token with its log probability, and with those that were considered in its place.
WEIGHTS = [("He", -0.25, {"He": -0.25, "Ho": -1.5}), ("y", -0.5, {"y": -0.5})]


def named(value: Any) -> str:
    return {True: "streams", False: "waits"}.get(value) or getattr(value, "__name__", str(value))


def openai_parts(origin: str, model: str, streams: bool, mode: str, **more: Any) -> Iterator[Any]:
    """The choices in the parts of a chat's answer, or of a completion's."""
    client = openai_client(origin)
    create = client.completions.create if "prompt" in more else client.chat.completions.create
    said = {"model": model, "stream": streams, "extra_headers": {MODE: mode}, **more}
    answer = create(**said)
    for part in answer if streams else [answer]:
        yield from part.choices


def gathered(parts: Iterator[tuple[int, str, str | None]]) -> list[tuple[int, str, str]]:
    """Choices of their pieces: index, text, why it ended."""
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for index, text, reason in parts:
        texts[index] = texts.get(index, "") + text
        assert index not in reasons or not text, "nothing is said after the end"
        reasons.update({index: reason} if reason and reason != "null" else {})
    assert len(texts) == len(reasons)
    return [(index, texts[index], reasons[index]) for index in sorted(texts)]


def chat_choices(origin: str, model: str, streams: bool, mode: str) -> list[tuple[int, str, str]]:
    parts = openai_parts(origin, model, streams, mode, messages=[{"role": "user", "content": "Hello?"}], n=2)
    texts = ((one, one.delta if streams else one.message) for one in parts)
    return gathered((one.index, said.content or "", one.finish_reason) for one, said in texts)


def completion_choices(origin: str, model: str, streams: bool, mode: str) -> list[tuple[int, str, str]]:
    parts = openai_parts(origin, model, streams, mode, prompt="Hello?", n=2)
    return gathered((one.index, one.text, one.finish_reason) for one in parts)


def dashscope_choices(origin: str, model: str, streams: bool, mode: str) -> list[tuple[int, str, str]]:
    more = {"result_format": "message", "n": 2, **({"incremental_output": True} if streams else {})}
    answers = dashscope_answers(origin, TWO, model, streams, mode, **more)
    # Newer SDKs put the choices of a stream together themselves; the last answer has them all.
    return latest(choice for answer in answers for choice in answer.output.choices)


def latest(choices: Iterator[Any]) -> list[tuple[int, str, str]]:
    """Choices of answers of which each tells news, or everything so far."""
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for choice in choices:
        index, text = choice.get("index", 0), choice["message"]["content"]
        before = texts.get(index, "")
        texts[index] = text if before and text.startswith(before) else before + text
        reasons[index] = choice["finish_reason"]
    return [(index, texts[index], reasons[index]) for index in sorted(texts)]


def chat_weights(origin: str, model: str, streams: bool, mode: str) -> list[Any]:
    said = {"messages": [{"role": "user", "content": "Hello?"}], "logprobs": True, "top_logprobs": 2}
    parts = openai_parts(origin, model, streams, mode, **said)
    return [weight(token.to_dict()) for one in parts if one.logprobs for token in one.logprobs.content or ()]


def completion_weights(origin: str, model: str, streams: bool, mode: str) -> list[Any]:
    parts = openai_parts(origin, model, streams, mode, prompt="Hello?", logprobs=2)
    found = [one.logprobs for one in parts if one.logprobs]
    assert [offset for one in found for offset in one.text_offset] == [0, 2]
    rows = (zip(one.tokens, one.token_logprobs, one.top_logprobs) for one in found)
    return [row for several in rows for row in several]


def dashscope_weights(origin: str, model: str, streams: bool, mode: str) -> list[Any]:
    more = {"result_format": "message", "logprobs": True, "top_logprobs": 2}
    more.update({"incremental_output": True} if streams else {})
    answers = list(dashscope_answers(origin, WEIGHED, model, streams, mode, **more))
    said = [dict(answer.output.choices[0]).get("logprobs") or {} for answer in answers]
    assert "".join(dashscope_text(answer.output) for answer in answers) == "Hey"
    return [weight(token) for one in said for token in one.get("content") or ()]


def ollama_weights(origin: str, model: str, streams: bool, mode: str, prompted: bool = False) -> list[Any]:
    client = ollama_client(origin, mode)
    said = {"prompt": "Hello?"} if prompted else {"messages": [{"role": "user", "content": "Hello?"}]}
    ask = client.generate if prompted else client.chat
    answer = ask(model=model, stream=streams, logprobs=True, top_logprobs=2, **said)
    parts = list(answer) if streams else [answer]
    return [weight(token.model_dump()) for part in parts for token in part.logprobs or ()]


def generate_weights(origin: str, model: str, streams: bool, mode: str) -> list[Any]:
    return ollama_weights(origin, model, streams, mode, prompted=True)


def weight(token: dict[str, Any]) -> tuple[str, float, dict[str, float]]:
    """One token in nobody's words."""
    return token["token"], token["logprob"], {one["token"]: one["logprob"] for one in token["top_logprobs"]}


@pytest.fixture()
def told(provider, proxy, model):
    """What a client finds in a story of a provider, which was asked once."""

    def telling(ask, provides, story, streams, mode):
        provider.chooses(PROVIDERS[provides].tells(story))
        found = ask(proxy(url=provider.origin + PROVIDERS[provides].path).origin, model, streams, mode)
        assert len(provider.heard) == 1
        return found, provider.heard[0]

    return telling


SEVERAL = {chat_choices: ("openai", "dashscope"), completion_choices: ("dashscope",), dashscope_choices: ("openai",)}
SEVERAL[dashscope_choices] += ("dashscope",)
WEIGHING = {
    chat_weights: ("openai", "dashscope", "ollama"),
    completion_weights: ("dashscope", "ollama"),
    dashscope_weights: ("openai", "dashscope", "ollama"),
    ollama_weights: ("openai", "dashscope", "ollama"),
    generate_weights: ("openai", "dashscope", "ollama"),
}


def rows(table):
    cells = ((ask, provides) for ask, providers in table.items() for provides in providers)
    return [(ask, provides, *way) for (ask, provides), way in product(cells, product(MODES, (True, False)))]


@pytest.mark.parametrize("ask, provides, mode, streams", rows(SEVERAL), ids=named)
def test_several_choices_cross_over(told, ask, provides, mode, streams):
    found, heard = told(ask, provides, TWO, streams, mode)
    assert found == CHOICES
    body = heard.json if provides == "openai" else heard.json["parameters"]
    assert body["n"] == 2


@pytest.mark.parametrize("ask, provides, mode, streams", rows(WEIGHING), ids=named)
def test_log_probabilities_cross_over(told, ask, provides, mode, streams):
    found, heard = told(ask, provides, WEIGHED, streams, mode)
    assert found == WEIGHTS
    body = heard.json["parameters"] if provides == "dashscope" else heard.json
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize("provides", ["anthropic", "ollama"])
@pytest.mark.parametrize("ask", [chat_choices, completion_choices, dashscope_choices], ids=named)
def test_several_choices_are_refused_where_a_provider_gives_one(provider, proxy, model, ask, provides):
    origin = proxy(url=provider.origin + PROVIDERS[provides].path).origin
    refusals = (Refused, sdk("openai").BadRequestError)
    with pytest.raises(refusals, match="one choice|one answer") as caught:
        ask(origin, model, False, "off")
    assert getattr(caught.value, "status_code", getattr(caught.value, "status", None)) == 400
    assert not provider.heard


@pytest.mark.parametrize("ask", [chat_weights, dashscope_weights, ollama_weights, completion_weights], ids=named)
def test_log_probabilities_are_dropped_by_name_where_a_provider_has_none(provider, proxy, model, ask):
    provider.chooses(PROVIDERS["anthropic"].tells(Story("text", "Hello?")))
    running = proxy(url=provider.origin + PROVIDERS["anthropic"].path)
    with suppress(AssertionError):  # there are none in the answer
        ask(running.origin, model, False, "off")
    assert not {"logprobs", "top_logprobs"} & set(provider.wait().json)
    pair = running.record(model=model)
    assert pair.client["dropped"] == pair.server["dropped"] == ["logprobs", "top_logprobs"]
