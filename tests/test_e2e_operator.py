"""What an operator can set, seen working: keys, fixed headers, certificates, an outbound proxy, CORS, limits."""

import hashlib
import json

import pytest
from provider import Stall
from raw_client import Call
from stories import HELLO, TEXT, streamed, whole

OURS, THEIRS = "sk-stored-1234567890", "team-key-1234567890"


def asked(running, *headers, target="/v1/chat/completions", **more):
    body = json.dumps({"model": "m", "messages": HELLO, **more}).encode()
    return Call(running.port, body, target=target, headers=headers).rest()


HASHED = "sha256:" + hashlib.sha256(THEIRS.encode()).hexdigest()


@pytest.fixture(params=["plain", "hashed"])
def guarded(proxy, request):
    keys = {"plain": THEIRS, "hashed": f"sk-of-another, {HASHED.upper().replace('SHA', 'sha')}"}[request.param]
    return proxy(environ={"FORWARD_API_KEY": OURS, "FORWARD_CLIENT_KEYS": keys})


@pytest.mark.parametrize("shown", [HASHED, HASHED[7:], "", "sha256:", THEIRS + "\xe4", THEIRS[:-1]])
def test_neither_a_hash_nor_a_part_of_a_key_opens(guarded, provider, shown):
    call = asked(guarded, ("Authorization", f"Bearer {shown}"))
    assert (call.status, call.error["code"]) == (401, "invalid_api_key")
    assert provider.heard == []


@pytest.mark.parametrize("shown", [[], [("Authorization", "Bearer wrong")], [("x-api-key", "wrong")]])
def test_without_a_client_key_nobody_is_asked(guarded, provider, shown):
    call = asked(guarded, *shown)
    assert (call.status, call.error["code"]) == (401, "invalid_api_key")
    assert provider.heard == []


@pytest.mark.parametrize("shown", [("Authorization", f"Bearer {THEIRS}"), ("x-api-key", THEIRS), ("api-key", THEIRS)])
def test_a_client_key_opens_and_the_stored_key_goes_on_in_its_place(guarded, provider, shown):
    provider.plays([whole(TEXT.whole)])
    assert asked(guarded, shown).status == 200
    heard = provider.heard[0]
    assert heard.all("authorization") == [f"Bearer {OURS}"]
    assert THEIRS.encode() not in heard.head
    assert OURS not in guarded.log() and THEIRS not in guarded.log()


def test_a_refused_key_of_a_legacy_client_that_streams_is_a_stream(proxy, provider):
    running = proxy(environ={"FORWARD_API_KEY": OURS, "FORWARD_CLIENT_KEYS": THEIRS}, compatible=True)
    call = asked(running, stream=True)
    assert (call.status, call.header("content-type")) == (200, "text/event-stream; charset=utf-8")
    assert call.header("x-upstream-status") == "401"
    assert b'"http_status":401' in call.content and call.content.endswith(b"data: [DONE]\n\n")


def test_fixed_headers_reach_the_provider_in_place_of_the_clients(proxy, provider):
    running = proxy(header="X-Team: blue")
    provider.plays([whole(TEXT.whole)])
    assert asked(running, ("X-Team", "red")).status == 200
    assert provider.heard[0].all("x-team") == ["blue"]


def test_a_bundle_of_certificates_is_trusted_and_without_it_nobody_is(proxy, tls_provider, certificate):
    tls_provider.plays([whole(TEXT.whole)])
    assert asked(proxy(url=tls_provider.url, ca_bundle=certificate[0])).status == 200
    call = asked(proxy(url=tls_provider.url))
    assert (call.status, call.error["code"]) == (502, "tls_failure")


def test_an_outbound_proxy_is_asked_for_the_providers_url(proxy, provider):
    running = proxy(url="http://provider.invalid/v1", proxy=provider.origin)
    provider.plays([whole(TEXT.whole)])
    assert asked(running).status == 200
    assert provider.heard[0].target == "http://provider.invalid/v1/chat/completions"


@pytest.mark.parametrize(
    "origin, allowed", [("https://app.example", "https://app.example"), ("https://evil.example", None)]
)
def test_only_named_origins_may_ask_from_a_page(proxy, provider, origin, allowed):
    running = proxy(cors="https://app.example")
    theirs = b"Content-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n"
    provider.plays([whole(TEXT.whole, headers=theirs)])
    call = asked(running, ("Origin", origin))
    assert (call.status, call.header("access-control-allow-origin")) == (200, allowed)
    assert call.header("vary") == "Origin"


def test_a_preflight_is_answered_here(proxy, provider):
    running = proxy(cors="https://app.example")
    wishes = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]
    wishes.append(("Access-Control-Request-Headers", "authorization,x-mine"))
    call = Call(running.port, method="OPTIONS", headers=wishes).rest()
    assert (call.status, call.header("access-control-allow-origin")) == (204, "https://app.example")
    assert call.header("access-control-allow-headers") == "authorization,x-mine"
    assert call.header("content-type") is None and provider.heard == []


def test_a_client_that_does_not_send_its_body_is_told_in_time(proxy, provider):
    running = proxy(client_timeout=0.5)
    call = Call(running.port, b"{", headers=[("Content-Length", "50")]).rest()
    assert (call.status, call.error["code"]) == (408, "request_timeout")


def test_more_than_the_places_is_a_503_that_says_when_to_come_back(proxy, provider):
    running = proxy(max_exchanges=1, queue=0)
    provider.plays([*streamed(TEXT.stream)[:3], Stall()])
    with Call(running.port, json.dumps({"model": "m", "messages": HELLO, "stream": True}).encode()) as first:
        first.until(b"data: ")
        call = asked(running)
        assert (call.status, call.error["code"], call.header("retry-after")) == (503, "server_is_overloaded", "1")


@pytest.mark.parametrize("name, value", [("X-Forward-Mode", "fast"), ("X-Forward-Compatible", "yes")])
def test_a_wish_that_nobody_knows_is_a_400_that_names_it(proxy, provider, name, value):
    call = asked(proxy(), (name, value))
    assert (call.status, call.error["param"]) == (400, name)


def test_strict_refuses_what_the_provider_has_no_parameter_for(proxy, provider):
    running = proxy(url=provider.origin + "/api/chat", strict=True)
    call = asked(running, logit_bias={"1": 2})
    assert (call.status, call.error["code"], call.error["param"]) == (400, "unsupported_parameter", "logit_bias")
    assert provider.heard == []


def test_a_whole_that_is_not_quite_json_leaves_as_json_and_the_journal_names_it(proxy, provider):
    running = proxy()
    provider.plays([whole(TEXT.whole.rstrip()[:-1] + b',"score":NaN}')])
    call = asked(running, model="not-quite-json")
    assert call.status == 200 and b"NaN" not in call.content
    assert "json" in running.record(model="not-quite-json").client["repairs"]
