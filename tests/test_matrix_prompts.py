"""Bare prompts between protocols: a gap to fill and a prompt without a template reach the endpoint that has them."""

from __future__ import annotations

import pytest
from matrix_clients import openai_client
from matrix_natives import ollama_client
from matrix_providers import PROVIDERS
from matrix_sdks import MODE
from matrix_stories import HELLO, TEXT, Story

WEIGHED = Story("weighed", "Hello?")
GAP = {"prompt": "def f(", "suffix": "    return 1"}
MODES = ("off", "stream", "non_stream")


@pytest.fixture()
def asked(provider, proxy, model):
    """Ask, once: what came of it, what the provider heard, and what the journals tell."""

    def asking(provides, ask, mode="off", story=TEXT):
        scripted = PROVIDERS[provides]
        provider.chooses(scripted.tells(story))
        running = proxy(url=provider.origin + scripted.path)
        answer = ask(running.origin, model, mode)
        heard = provider.wait()
        assert len(provider.heard) == 1
        return answer, heard, running.record(model=model)

    return asking


def generate(streams, **said):
    def ask(origin, model, mode):
        answer = ollama_client(origin, mode).generate(model=model, stream=streams, **said)
        parts = list(answer) if streams else [answer]
        assert parts[-1].done and parts[-1].done_reason in ("stop", "length")
        return "".join(part.response for part in parts)

    return ask


def complete(streams, **said):
    def ask(origin, model, mode):
        create = openai_client(origin).completions.create
        answer = create(model=model, stream=streams, extra_headers={MODE: mode}, **said)
        return "".join(one.text for part in (answer if streams else [answer]) for one in part.choices)

    return ask


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_a_gap_to_fill_reaches_generate_of_its_own_kind_of_provider(asked, streams, mode):
    text, heard, _ = asked("ollama", generate(streams, **GAP), mode)
    assert text == HELLO and heard.target == "/api/generate"
    assert {name: heard.json[name] for name in GAP} == GAP


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_a_gap_to_fill_becomes_a_completion_with_a_suffix(asked, streams, mode):
    said = generate(streams, **GAP, options={"num_predict": 9, "temperature": 0, "num_ctx": 100})
    text, heard, pair = asked("openai", said, mode)
    assert text == "Grüß Gott 😀" and heard.target == "/v1/completions"
    assert {name: heard.json[name] for name in GAP} == GAP and "messages" not in heard.json
    assert (heard.json["max_tokens"], heard.json["temperature"]) == (9, 0)
    assert pair.client["dropped"] == ["num_ctx"]


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_a_prompt_without_a_template_becomes_a_completion(asked, streams):
    said = generate(streams, prompt="<|user|>Hi<|end|>", raw=True, think=True, format="json")
    text, heard, pair = asked("openai", said)
    assert text == "Grüß Gott 😀" and heard.target == "/v1/completions"
    assert heard.json["prompt"] == "<|user|>Hi<|end|>" and "raw" not in heard.json
    assert set(pair.client["dropped"]) == {"reasoning_effort", "response_format"}


@pytest.mark.parametrize("provides", ["anthropic", "dashscope"])
def test_where_only_chats_are_known_the_suffix_is_dropped_by_name(asked, provides):
    text, heard, pair = asked(provides, generate(False, **GAP))
    assert text == HELLO and "suffix" not in repr(heard.json)
    assert pair.client["dropped"] == ["suffix"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_a_completion_reaches_generate(asked, streams, mode):
    said = complete(streams, **GAP, max_tokens=9, stop=["END"], echo=True, logit_bias={"5": 1})
    text, heard, pair = asked("ollama", said, mode)
    assert text == HELLO and heard.target == "/api/generate"
    assert {name: heard.json[name] for name in GAP} == GAP
    assert heard.json["options"] == {"num_predict": 9, "stop": ["END"]}
    assert pair.client["dropped"] == ["echo", "logit_bias"]


def test_a_chat_without_a_gap_stays_a_chat(asked):
    text, heard, _ = asked("openai", generate(False, prompt="Hi", suffix="", raw=False))
    assert text == HELLO and heard.target == "/v1/chat/completions"
