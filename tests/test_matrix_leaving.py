"""A client that leaves a translated stream ends its provider's work within a second."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from matrix_asks import spelled
from matrix_providers import PROVIDERS
from matrix_stories import TEXT
from provider import Stall
from raw_client import Call
from witness import sound

pytestmark = pytest.mark.timed


@pytest.mark.parametrize("client, provides", list(permutations(PROVIDERS, 2)))
def test_the_providers_connection_is_closed_within_a_second(provider, proxy, model, client, provides):
    def script(heard):
        steps = list(PROVIDERS[provides].tells(TEXT)(heard))
        second = next(number for number, step in enumerate(steps) if b"Gott" in step)
        return [*steps[:second], Stall()]

    provider.chooses(script)
    running = proxy(url=provider.origin + PROVIDERS[provides].path)
    path, headers, body = spelled(client, TEXT, model, True)
    call = Call(running.port, json.dumps(body).encode(), target=path, headers=headers)
    call.until("Grüß".encode())
    left = call.leave()
    heard = provider.wait()
    assert heard.left_within(1), "the provider goes on working for nobody"
    assert heard.connection.left_at - left < 1
    pair = sound(running.record(model=model), outcome="client_abort")
    assert "Grüß " in repr(pair.client["output"]) and "Grüß " in repr(pair.server["output"])
    assert len(provider.heard) == 1
