"""Embeddings, models, counts and versions between protocols: real sockets, literal answers, both journals."""

import json

import pytest
from raw_client import Call
from stories import whole

PATHS = {
    "openai": "/v1/chat/completions",
    "ollama": "/api/chat",
    "dashscope": "/api/v1/services/aigc/text-generation/generation",
    "anthropic": "/v1/messages",
}
NATIVE_EMBEDDINGS = "/api/v1/services/embeddings/text-embedding/text-embedding"
OPENAI_VECTORS = (
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,1.0]}],'
    b'"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}'
)
OPENAI_MODELS = b'{"object":"list","data":[{"id":"m1","object":"model","created":1700000000,"owned_by":"x"}]}'

# (provider's family, method, path, ask, provider's answer, what the provider hears, what the client gets of it)
ROWS = {
    "openai embeddings at ollama": (
        "ollama",
        "POST /v1/embeddings",
        {"model": "e", "input": ["a"], "encoding_format": "float", "user": "u"},
        b'{"model":"e","embeddings":[[0.5,1.0]],"prompt_eval_count":3}',
        ("POST", "/api/embed", {"model": "e", "input": ["a"]}),
        {"object": "list", "usage": {"prompt_tokens": 3, "total_tokens": 3}},
    ),
    "openai embeddings at dashscope": (
        "dashscope",
        "POST /v1/embeddings",
        {"model": "text-embedding-v3", "input": "a", "dimensions": 2, "encoding_format": "float"},
        b'{"output":{"embeddings":[{"text_index":0,"embedding":[0.5,1.0]}]},"usage":{"total_tokens":3},"request_id":"r"}',
        (
            "POST",
            NATIVE_EMBEDDINGS,
            {"model": "text-embedding-v3", "input": {"texts": ["a"]}, "parameters": {"dimension": 2}},
        ),
        {"object": "list", "model": "text-embedding-v3", "usage": {"prompt_tokens": 3, "total_tokens": 3}},
    ),
    "ollama embed at openai": (
        "openai",
        "POST /api/embed",
        {"model": "e", "input": "a"},
        OPENAI_VECTORS,
        ("POST", "/v1/embeddings", {"model": "e", "input": "a", "encoding_format": "float"}),
        {"model": "e", "embeddings": [[0.5, 1.0]], "prompt_eval_count": 3},
    ),
    "dashscope embeddings at openai": (
        "openai",
        "POST " + NATIVE_EMBEDDINGS,
        {"model": "e", "input": {"texts": ["a"]}, "parameters": {"dimension": 2}},
        OPENAI_VECTORS,
        ("POST", "/v1/embeddings", {"model": "e", "input": ["a"], "encoding_format": "float", "dimensions": 2}),
        {"output": {"embeddings": [{"text_index": 0, "embedding": [0.5, 1.0]}]}},
    ),
    "ollama tags at openai": (
        "openai",
        "GET /api/tags",
        None,
        OPENAI_MODELS,
        ("GET", "/v1/models", None),
        {},
    ),
    "openai models at ollama": (
        "ollama",
        "GET /v1/models",
        None,
        b'{"models":[{"name":"m1:latest","model":"m1:latest","modified_at":"2023-11-14T22:13:20Z","size":1,"digest":"d"}]}',
        ("GET", "/api/tags", None),
        {"object": "list", "first_id": "m1:latest", "has_more": False},
    ),
    "openai models at anthropic": (
        "anthropic",
        "GET /v1/models",
        None,
        b'{"data":[{"type":"model","id":"m1","display_name":"M","created_at":"2023-11-14T22:13:20Z"}],"has_more":false}',
        ("GET", "/v1/models?limit=1000", None),
        {"has_more": False, "object": "list", "last_id": "m1"},
    ),
    "ollama show at openai": (
        "openai",
        "POST /api/show",
        {"model": "m1"},
        b'{"id":"m1","object":"model","created":1700000000,"owned_by":"x"}',
        ("GET", "/v1/models/m1", None),
        {"capabilities": ["completion", "tools"], "modified_at": "2023-11-14T22:13:20Z"},
    ),
}


def called(running, line, ask, **headers):
    method, _, target = line.partition(" ")
    body = b"" if ask is None else json.dumps(ask).encode()
    return Call(running.port, body, method=method, target=target, headers=headers.items()).rest()


@pytest.mark.parametrize("family, line, ask, answer, heard, got", ROWS.values(), ids=ROWS)
def test_a_service_is_asked_for_in_one_protocol_and_fetched_in_another(
    proxy, provider, family, line, ask, answer, heard, got
):
    running = proxy(url=provider.origin + PATHS[family])
    before = len(running.lines("client"))
    provider.plays([whole(answer)])
    call = called(running, line, ask, Authorization="Bearer sk-services-123456")
    assert call.status == 200
    assert {key: json.loads(call.content).get(key) for key in got} == got
    request = provider.heard[0]
    assert (request.method, request.target) == heard[:2]
    assert heard[2] is None or request.json == heard[2]
    shown = request.header("x-api-key") if family == "anthropic" else request.header("authorization")
    assert shown.rpartition(" ")[2] == "sk-services-123456"
    records = running.records(before + 1)[-1]
    assert records.client["outcome"] == "complete" and records.client["output"] == json.loads(call.content)
    assert records.server["output"] == json.loads(answer)


def test_what_was_dropped_is_named(proxy, provider):
    running = proxy(url=provider.origin + PATHS["ollama"])
    provider.plays([whole(b'{"model":"e","embeddings":[[0.5]]}')])
    call = called(running, "POST /v1/embeddings", {"model": "e", "input": "a", "user": "u"})
    assert call.header("X-Forward-Dropped") == "user"


@pytest.mark.parametrize("line", ["POST /v1/images/generations", "GET /v1/fine_tuning/jobs", "POST /v1/embeddings"])
def test_what_a_provider_of_another_kind_lacks_is_a_404_that_names_both(proxy, provider, line):
    running = proxy(url=provider.origin + PATHS["anthropic"])
    call = called(running, line, {"model": "m", "input": "x"} if line.startswith("POST") else None)
    assert call.status == 404 and call.error["code"] == "not_found"
    assert "anthropic" in call.error["message"]
    assert provider.heard == []


def test_a_count_of_tokens_is_an_estimate_and_says_so(proxy, provider):
    running = proxy()
    ask = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}
    call = called(running, "POST /v1/messages/count_tokens", ask)
    assert call.header("X-Forward-Estimated") == "1"
    assert json.loads(call.content)["input_tokens"] > 1
    assert provider.heard == []


def test_a_provider_that_can_count_is_asked_to(proxy, provider):
    running = proxy(url=provider.origin + PATHS["anthropic"])
    provider.plays([whole(b'{"input_tokens":14}')])
    call = called(running, "POST /v1/messages/count_tokens", {"model": "m", "messages": []})
    assert call.content == b'{"input_tokens":14}' and call.header("X-Forward-Estimated") is None


def test_the_version_of_a_protocol_is_ours_where_the_provider_has_none(proxy, provider):
    assert "version" in json.loads(called(proxy(), "GET /api/version", None).content)
    assert provider.heard == []


def test_aliases_are_listed_beside_the_providers_models_and_mean_them(proxy, provider):
    running = proxy(model_map="gpt-4=m1,gpt-*=m2")
    provider.plays([whole(OPENAI_MODELS)], [whole(OPENAI_VECTORS)])
    listed = json.loads(called(running, "GET /v1/models", None).content)
    assert [model["id"] for model in listed["data"]] == ["m1", "gpt-4"]
    assert called(running, "POST /v1/embeddings", {"model": "gpt-4", "input": "a"}).status == 200
    assert provider.heard[1].json["model"] == "m1"


def test_a_refusal_is_told_in_the_clients_own_envelope(proxy, provider):
    running = proxy()
    provider.plays(
        [whole(b'{"error":{"message":"no such model","type":"x","code":"model_not_found"}}', b"404 Not Found")]
    )
    call = called(running, "POST /api/show", {"model": "m1"})
    assert call.status == 404 and json.loads(call.content)["error"] == "no such model"
