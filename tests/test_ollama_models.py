"""Ollama's other endpoints: embeddings both ways, lists of models, one model, the version."""

from __future__ import annotations

import json
from base64 import b64encode
from struct import pack
from typing import Any

import pytest

from proxy.dialects.dialect import Stamp
from proxy.dialects.ollama_models import (
    read_embed_ask,
    read_embed_reply,
    read_show,
    read_tags,
    shown_name,
    version,
    write_embed_ask,
    write_embed_reply,
    write_show,
    write_tags,
)
from proxy.errors import ProxyError

VECTORS = [[0.5, -1.25], [2.0, 0.0]]
PACKED = [b64encode(pack("<2f", *vector)).decode() for vector in VECTORS]
REPLY = {"model": "m", "embeddings": VECTORS, "total_duration": 7, "load_duration": 1, "prompt_eval_count": 4}


def openai_reply(vectors: list[Any]) -> dict[str, Any]:
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4}}


@pytest.mark.parametrize("texts", ["hi", ["hi", "ho"], []])
def test_an_ask_for_embeddings_is_ollamas(texts: Any) -> None:
    said = write_embed_ask({"model": "m", "input": texts, "dimensions": 2, "encoding_format": "base64", "user": "u"})
    assert json.loads(said.body) == {"model": "m", "input": texts, "dimensions": 2}
    assert (said.path, said.dropped) == ("/api/embed", ("user",))


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]], None, 7])
def test_tokens_are_refused_by_name(tokens: Any) -> None:
    with pytest.raises(ProxyError) as caught:
        write_embed_ask({"model": "m", "input": tokens})
    assert (caught.value.failed.status, caught.value.failed.param) == (400, "input")


def test_ollamas_embeddings_are_openais() -> None:
    durations = {"total_duration": 7, "load_duration": 1}
    assert read_embed_reply(REPLY, {}) == {**openai_reply(VECTORS), **durations}
    assert read_embed_reply(REPLY, {"encoding_format": "base64"}) == {**openai_reply(PACKED), **durations}
    old = read_embed_reply({"embedding": VECTORS[0]}, {"model": "m"})
    assert (old["data"][0]["embedding"], old["model"], old["usage"]["total_tokens"]) == (VECTORS[0], "m", 0)


def test_an_ask_of_ollamas_is_openais() -> None:
    ask = {"model": "m", "input": ["a"], "dimensions": 2, "truncate": True, "keep_alive": "5m", "options": {}}
    assert read_embed_ask(ask) == {"model": "m", "input": ["a"], "dimensions": 2, "encoding_format": "float"}
    assert read_embed_ask({"model": "m", "prompt": "a"}) == {"model": "m", "input": "a", "encoding_format": "float"}


@pytest.mark.parametrize("vectors", [VECTORS, PACKED], ids=["numbers", "base64"])
def test_openais_embeddings_are_ollamas(vectors: list[Any]) -> None:
    reply = openai_reply(vectors)
    reply["data"].reverse()
    stamp = Stamp("", 0, lambda: 0.5)
    told = {"model": "m", "embeddings": VECTORS, "prompt_eval_count": 4}
    assert write_embed_reply(reply, {"input": "x"}) == told
    assert write_embed_reply(reply, {"input": "x"}, stamp) == {**told, "total_duration": 5 * 10**8, "load_duration": 0}
    assert write_embed_reply(reply, {"prompt": "x"}) == {"embedding": VECTORS[0]}


TAG = {"name": "me/m:1b", "model": "me/m:1b", "modified_at": "2026-08-21T20:00:00.5+02:00", "size": 7, "digest": "d"}


def test_a_list_of_models_is_the_others() -> None:
    (model,) = read_tags({"models": [{**TAG, "details": {"family": "x"}}]})["data"]
    head = {"id": "me/m:1b", "object": "model", "created": 1787335200, "owned_by": "me"}
    assert model == {**head, "size": 7, "digest": "d", "details": {"family": "x"}}
    assert read_tags({"models": None}) == {"object": "list", "data": []}
    assert read_tags({"models": [{"name": "m"}]})["data"][0]["owned_by"] == "library"
    (tag,) = write_tags({"object": "list", "data": [head]})["models"]
    assert (tag["name"], tag["model"], tag["modified_at"]) == ("me/m:1b", "me/m:1b", "2026-08-21T18:00:00Z")
    assert (tag["size"], len(tag["digest"])) == (0, 64)


def test_one_model_is_the_other() -> None:
    shown = {"license": "x", "template": "y", "details": {"family": "f"}, "modified_at": TAG["modified_at"]}
    model = read_show(shown, "m")
    assert model == {
        "id": "m",
        "object": "model",
        "created": 1787335200,
        "owned_by": "library",
        "details": {"family": "f"},
    }
    told = write_show({"id": "m", "object": "model", "created": 1787335200, "owned_by": "o"})
    assert told["modified_at"] == "2026-08-21T18:00:00Z" and "completion" in told["capabilities"]
    assert not {"id", "object", "owned_by"} & told.keys()


def test_the_model_to_show_has_one_of_two_names() -> None:
    assert shown_name({"model": "a"}) == shown_name({"name": "a"}) == "a"
    with pytest.raises(ProxyError):
        shown_name({})


def test_the_version_is_three_numbers() -> None:
    assert len([int(part) for part in version()["version"].split(".")]) == 3


def test_embeddings_whose_indices_are_none_stay_in_their_order() -> None:
    data = [{"index": index, "embedding": [number]} for number, index in enumerate(["x", None, 1], 1)]
    assert write_embed_reply({"data": data}, {"input": "?"})["embeddings"] == [[1], [2], [3]]
