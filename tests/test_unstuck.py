"""Nothing in the suite waits for ever."""

from __future__ import annotations

import pytest
from provider import Stall
from stories import STREAM_HEAD, chunk


@pytest.mark.timeout(30)
def test_an_abandoned_stream_may_be_closed_while_its_pool_is_locked(provider):
    """The collector closes it wherever it happens to run."""
    httpx = pytest.importorskip("httpx")
    provider.plays([STREAM_HEAD, chunk(b"one"), Stall()])
    with httpx.Client(trust_env=False) as client:
        response = client.send(client.build_request("GET", f"{provider.origin}/v1/models"), stream=True)
        pieces = response.iter_raw()
        assert next(pieces) == b"one"
        with client._transport._pool._optional_thread_lock:
            del response, pieces
    assert provider.heard[0].left_within(10)
