"""Services beside answering: names of models, pages of lists, failures in the client's own words."""

from __future__ import annotations

import json

import pytest
from matrix_clients import anthropic_client
from matrix_providers import PROVIDERS
from matrix_sdks import sdk
from raw_client import Call
from stories import whole

HI = [{"role": "user", "content": "Hi"}]
VERSION = [("anthropic-version", "2023-06-01"), ("x-api-key", "sk-1")]
MAP = ["gpt-4=claude-real"]


def page(names, **more):
    data = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in names]
    return whole(json.dumps({"data": data, **more}).encode())


def test_an_alias_counts_the_tokens_of_what_it_means(provider, proxy):
    provider.plays([whole(b'{"input_tokens":7}')])
    running = proxy(url=provider.origin + "/v1/messages", model_map=MAP)
    ask = json.dumps({"model": "gpt-4", "messages": HI}).encode()
    got = Call(running.port, ask, target="/v1/messages/count_tokens", headers=VERSION).rest()
    assert got.json == {"input_tokens": 7} and got.header("x-forward-estimated") is None
    heard = provider.wait()
    assert heard.json == {"model": "claude-real", "messages": HI}
    assert heard.target == "/v1/messages/count_tokens"


@pytest.mark.parametrize("provides, target", [("openai", "/v1/models/qwen-max"), ("anthropic", "/v1/models/qwen-max")])
def test_an_alias_shows_the_model_that_it_means(provider, proxy, provides, target):
    provider.plays([whole(b'{"id":"qwen-max","object":"model","created":1,"owned_by":"x"}')])
    running = proxy(url=provider.origin + PROVIDERS[provides].path, model_map=["gpt-4=qwen-max"])
    got = Call(running.port, method="GET", target="/v1/models/gpt-4", headers=VERSION[1:]).rest()
    assert got.json["id"] == "qwen-max" and provider.wait().target == target


def test_the_sdk_reads_all_pages_of_a_list_and_comes_to_its_end(provider, proxy):
    provider.plays([page(["a", "b"], has_more=True, last_id="b")])
    provider.plays([page(["c"], has_more=False, last_id="c")])
    running = proxy(url=provider.origin + "/v1/messages", model_map=MAP)
    found = [one.id for one in anthropic_client(running.origin).models.list()]
    assert found == ["a", "b", "c", "gpt-4"]
    assert [one.target for one in provider.heard] == ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=b"]
    provider.plays([page(["a"])])
    listed = Call(running.port, method="GET", target="/v1/models", headers=VERSION).rest().json
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "gpt-4", False)


@pytest.mark.parametrize("provides", ["anthropic", "openai"])
def test_a_model_that_is_not_there_is_missed_in_the_clients_words(provider, proxy, provides):
    words = {"anthropic": {"type": "error", "error": {"type": "not_found_error", "message": "none"}}}
    said = words.get(
        provides, {"error": {"message": "none", "type": "invalid_request_error", "code": "model_not_found"}}
    )
    provider.plays([whole(json.dumps(said).encode(), b"404 Not Found")])
    running = proxy(url=provider.origin + PROVIDERS[provides].path)
    with pytest.raises(sdk("anthropic").NotFoundError) as caught:
        anthropic_client(running.origin).models.retrieve("nope")
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"] == {"type": "not_found_error", "message": "none"}


@pytest.mark.parametrize("created", [1700000000000, 1e300, -1e300, True, "soon"])
def test_a_strange_time_does_not_cost_the_list(provider, proxy, created):
    model = {"id": "m", "object": "model", "created": created}
    provider.plays([whole(json.dumps({"object": "list", "data": [model]}).encode())])
    running = proxy(url=provider.url)
    got = Call(running.port, method="GET", target="/v1/models", headers=VERSION).rest()
    assert got.status == 200
    (said,) = got.json["data"]
    assert said["created_at"] == ("2023-11-14T22:13:20Z" if created == 1700000000000 else "1970-01-01T00:00:00Z")


NONSENSE = [
    ("GET /api/tags", None, b'{"data":{"a":1}}', "no list"),
    ("POST /api/embed", {"model": "e", "input": "x"}, b'{"data":[{}]}', "no embeddings"),
]
NATIVE_PATH = "/api/v1/services/embeddings/text-embedding/text-embedding"


@pytest.mark.parametrize("request_line, ask, answer, told", NONSENSE)
def test_a_providers_nonsense_is_told_in_words(provider, proxy, request_line, ask, answer, told):
    provider.plays([whole(answer)])
    method, _, path = request_line.partition(" ")
    body = json.dumps(ask).encode() if ask else b""
    got = Call(proxy(url=provider.url).port, body, method=method, target=path).rest()
    assert got.status == 502 and told in got.json["error"]


def test_what_embeddings_drop_is_named(provider, proxy):
    provider.always(whole(b'{"data":[{"index":0,"embedding":[0.5]}],"model":"e","usage":{"total_tokens":1}}'))
    ask = {"model": "e", "input": "x", "truncate": False, "keep_alive": "5m"}
    got = Call(proxy(url=provider.url).port, json.dumps(ask).encode(), target="/api/embed").rest()
    assert got.status == 200 and got.header("x-forward-dropped") == "truncate, keep_alive"
    strict = Call(proxy(url=provider.url, strict=True).port, json.dumps(ask).encode(), target="/api/embed").rest()
    assert strict.status == 400 and "truncate" in strict.json["error"]
    native = {"model": "e", "input": {"texts": ["x"]}, "parameters": {"text_type": "query"}}
    got = Call(proxy(url=provider.url).port, json.dumps(native).encode(), target=NATIVE_PATH).rest()
    assert got.status == 200 and got.header("x-forward-dropped") == "text_type"


def test_our_version_is_no_estimate(proxy, provider):
    got = Call(proxy(url=provider.url).port, method="GET", target="/api/version").rest()
    assert got.json["version"] and got.header("x-forward-estimated") is None


OWN = [
    ("ollama", "/api/embed", {"model": "al", "input": "x", "truncate": False, "options": {"num_ctx": 9}}),
    ("ollama", "/api/embeddings", {"model": "al", "prompt": "x", "options": {"num_ctx": 9}}),
    ("ollama", "/api/show", {"model": "al", "verbose": True}),
    ("dashscope", NATIVE_PATH, {"model": "al", "input": {"texts": ["x"]}, "parameters": {"output_type": "sparse"}}),
    ("openai", "/v1/embeddings", {"model": "al", "input": [[1, 2]], "new": 1}),
]


@pytest.mark.parametrize("provides, path, ask", OWN)
def test_an_alias_changes_nothing_but_the_name_between_the_same_protocols(provider, proxy, provides, path, ask):
    answer = {"anything": {"at": ["all"]}, "total_duration": 5}
    provider.plays([whole(json.dumps(answer).encode())])
    running = proxy(url=provider.origin + PROVIDERS[provides].path, model_map=["al=REAL"])
    got = Call(running.port, json.dumps(ask).encode(), target=path).rest()
    heard = provider.wait()
    assert got.json == answer
    assert (heard.target, heard.json) == (path, {**ask, "model": "REAL"})
    assert got.header("x-forward-dropped") is None


def test_an_alias_stands_beside_the_models_as_their_provider_tells_them(provider, proxy):
    tag = {"name": "REAL", "model": "REAL", "size": 1, "digest": "d", "details": {"family": "f"}}
    provider.plays([whole(json.dumps({"models": [tag]}).encode())])
    running = proxy(url=provider.origin + "/api/chat", model_map=["al=REAL"])
    first, second = Call(running.port, method="GET", target="/api/tags").rest().json["models"]
    assert first == tag and second["name"] == "al"


@pytest.mark.parametrize("path", ["/v1/models", "/api/tags"])
def test_aliases_are_known_where_a_provider_lists_nothing(provider, proxy, path):
    base = provider.origin + PROVIDERS["dashscope"].path
    listed = Call(proxy(url=base, model_map=["al=REAL"]).port, method="GET", target=path).rest()
    assert listed.status == 200 and b'"al"' in listed.content
    assert Call(proxy(url=base).port, method="GET", target=path).rest().status == 404
    assert not provider.heard


def test_an_answer_without_vectors_is_the_providers_fault(provider, proxy):
    provider.plays([whole(b'{"models":[]}')])
    running = proxy(url=provider.origin + PROVIDERS["dashscope"].path)
    ask = json.dumps({"model": "e", "input": "x"}).encode()
    got = Call(running.port, ask, target="/v1/embeddings").rest()
    assert got.status == 502 and got.json["error"]["code"] == "invalid_upstream_response"
