"""Headers and parameters that speak one protocol do not reach a provider of another, and those of nobody's do."""

from __future__ import annotations

import json
from itertools import product

import pytest
from matrix_asks import spelled
from matrix_providers import PROVIDERS
from matrix_stories import TEXT
from raw_client import Call

# What each protocol's clients send beside their key: what must stay behind, as it is spelled there.
OWN = {
    "openai": (("OpenAI-Organization", "org-1"), ("OpenAI-Project", "proj-1"), ("OpenAI-Beta", "assistants=v2")),
    "anthropic": (("anthropic-beta", "tools-2026-01-01"), ("anthropic-dangerous-direct-browser-access", "true")),
    "ollama": (),
    "dashscope": (("X-DashScope-Plugin", "{}"), ("X-DashScope-DataInspection", "disable"), ("X-DashScope-Async", "no")),
}
NOBODYS = (("X-Tenant", "t-1"), ("Accept-Language", "de"), ("User-Agent", "agent/1"))
ACCEPTS = (("Accept", "text/event-stream"),)


def named(value):
    return {True: "streams", False: "waits"}.get(value, str(value))


@pytest.mark.parametrize("client, provides, streams", list(product(OWN, PROVIDERS, (True, False))), ids=named)
def test_a_protocols_own_headers_stay_with_it(provider, proxy, model, client, provides, streams):
    provider.chooses(PROVIDERS[provides].tells(TEXT))
    running = proxy(url=provider.origin + PROVIDERS[provides].path)
    path, headers, body = spelled(client, TEXT, model, streams)
    accepts = () if any(name == "Accept" for name, _ in headers) else ACCEPTS if streams else ()
    sent = [*headers, *OWN[client], *NOBODYS, *accepts]
    got = Call(running.port, json.dumps(body).encode(), target=f"{path}?beta=true&tenant=1", headers=sent).rest()
    assert got.status == 200
    heard = provider.wait()
    assert all(heard.header(name) == value for name, value in NOBODYS)
    names = {name.lower() for name, _ in heard.headers}
    if client == provides:
        assert all(heard.header(name) == value for name, value in OWN[client])
        assert heard.target.endswith("?beta=true&tenant=1")
        return
    assert not names & {name.lower() for name, _ in OWN[client]}
    assert provides == "anthropic" or not [name for name in names if name.startswith("anthropic-")]
    if provides == "dashscope":
        assert heard.header("accept") == ("text/event-stream" if streams else "application/json")
        assert heard.header("x-dashscope-sse") == ("enable" if streams else None)
    else:
        assert not names & {"accept", "x-dashscope-sse"}
    assert heard.target.endswith("?beta=true&tenant=1" if provides == "anthropic" else "?tenant=1")


@pytest.mark.parametrize("provides, name", [("ollama", "anthropic-beta"), ("openai", "anthropic-version")])
def test_so_does_what_asks_for_a_list_of_models(provider, proxy, provides, name):
    body = b'{"object":"list","data":[],"models":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    provider.always(head + body)
    running = proxy(url=provider.origin + PROVIDERS[provides].path)
    sent = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "x"), *NOBODYS]
    assert Call(running.port, method="GET", target="/v1/models", headers=sent).rest().status == 200
    heard = provider.wait()
    assert heard.header(name) is None and heard.header("x-tenant") == "t-1"
