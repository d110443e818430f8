"""The matrix once more, without SDKs: the very bytes that every client protocol gets, held to that protocol's rules."""

from __future__ import annotations

import json
from itertools import product

import pytest
from matrix_asks import spelled
from matrix_providers import PROVIDERS, check_credential, play
from matrix_stories import BROKE, BROKEN, STORIES, TEXT
from matrix_wire import FAILED, STREAMS, TYPES, WHOLES
from provider import Until
from raw_client import Call

MODES = ("off", "stream", "non_stream")
CELLS = list(product(STREAMS, PROVIDERS, MODES))
SUFFIX = {"openai": "sse", "anthropic": "sse", "ollama": "ndjson", "dashscope": "sse"}


def named(value):
    return value.name if hasattr(value, "name") else str(value)


@pytest.fixture()
def call(provider, proxy, model):
    """One raw ask through the proxy in front of one provider."""

    def asking(client, provides, story, streams, mode):
        scripted = PROVIDERS[provides]
        running = proxy(url=provider.origin + scripted.path)
        provider.chooses(provider.chooser or scripted.tells(story))
        path, headers, body = spelled(client, story, model, streams)
        return Call(running.port, json.dumps(body).encode(), target=path, headers=[*headers, ("X-Forward-Mode", mode)])

    return asking


@pytest.mark.parametrize("story", STORIES, ids=named)
@pytest.mark.parametrize("client, provides, mode", CELLS)
def test_every_stream_is_one_that_a_strict_client_takes(provider, call, client, provides, mode, story):
    got = call(client, provides, story, True, mode).rest()
    assert got.status == 200
    assert got.header("content-type").startswith(TYPES[client])
    assert "no-cache" in got.header("cache-control")
    STREAMS[client](got.content)
    check_credential(provider.heard[0], provides, same=client == provides)
    if client == provides and mode != "non_stream":
        assert got.content == play(provides, f"{story.play}.{SUFFIX[provides]}"), "nothing had to be touched"


@pytest.mark.parametrize("story", STORIES, ids=named)
@pytest.mark.parametrize("client, provides, mode", CELLS)
def test_every_whole_is_one_that_a_strict_client_takes(provider, call, client, provides, mode, story):
    got = call(client, provides, story, False, mode).rest()
    assert got.status == 200
    assert got.header("content-type").startswith("application/json")
    WHOLES[client](got.json)
    if client == provides and mode != "stream":
        assert got.content == play(provides, f"{story.play}.json"), "nothing had to be touched"


@pytest.mark.parametrize("client, provides", list(product(STREAMS, PROVIDERS)))
def test_a_failure_ends_every_stream_as_its_protocol_says(call, client, provides):
    got = call(client, provides, BROKEN, True, "off").rest()
    assert got.status == 200
    if client == provides == "anthropic":  # which leaves its block open, and so do we
        assert got.content == play(provides, "broken.sse")
    else:
        assert FAILED[client](got.content) == BROKE
    assert got.content.count(BROKE.encode()) == 1


@pytest.mark.parametrize("client, provides", list(product(STREAMS, PROVIDERS)))
def test_the_first_word_is_there_before_the_second_is_said(provider, call, client, provides):
    """A provider that says nothing more until the client got what it said: nothing is held back on the way."""

    def script(heard):
        steps = list(PROVIDERS[provides].tells(TEXT)(heard))
        second = next(number for number, step in enumerate(steps) if b"Gott" in step)
        return [*steps[:second], Until("heard"), *steps[second:]]

    provider.chooses(script)
    with call(client, provides, TEXT, True, "off") as asked:
        asked.until("Grüß".encode(), 3)
        provider.tell("heard")
        asked.rest()
    assert asked.status == 200
    STREAMS[client](asked.content)
