"""Embeddings between OpenAI's form and DashScope's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.dashscope_embeddings import PATH, read_answers, read_native, write_asks, write_native
from proxy.errors import ProxyError


def answer(vectors: list[list[float]], tokens: int = 3, **more: Any) -> Any:
    items = [{"text_index": place, "embedding": vector, **more} for place, vector in enumerate(vectors)]
    return {"output": {"embeddings": items[::-1]}, "usage": {"total_tokens": tokens}, "request_id": "r"}


@pytest.mark.parametrize(
    "model, count, sizes",
    [
        ("text-embedding-v4", 1, [1]),
        ("text-embedding-v3", 21, [10, 10, 1]),
        ("text-embedding-v2", 26, [25, 1]),
        ("qwen3.7-text-embedding", 11, [10, 1]),
    ],
)
def test_many_texts_are_asked_in_batches(model: str, count: int, sizes: list[int]) -> None:
    asks = write_asks({"model": model, "input": [str(place) for place in range(count)], "encoding_format": "base64"})
    told = [json.loads(ask.body) for ask in asks]
    assert [len(ask["input"]["texts"]) for ask in told] == sizes
    assert [text for ask in told for text in ask["input"]["texts"]] == [str(place) for place in range(count)]
    assert {ask.path for ask in asks} == {PATH} and all(ask["parameters"] == {} for ask in told)


def test_parameters_have_their_own_names_there() -> None:
    [ask] = write_asks({"model": "m", "input": "a", "dimensions": 64, "user": "u", "text_type": "query"})
    assert json.loads(ask.body) == {
        "model": "m",
        "input": {"texts": ["a"]},
        "parameters": {"text_type": "query", "dimension": 64},
    }
    assert ask.dropped == ("user",)


@pytest.mark.parametrize(
    "body, param",
    [
        ({"input": [1, 2]}, "input"),
        ({"input": [[1], [2]]}, "input"),
        ({"input": []}, "input"),
        ({}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_name(body: Any, param: str) -> None:
    with pytest.raises(ProxyError) as caught:
        write_asks({"model": "m", **body})
    assert (caught.value.failed.status, caught.value.failed.param) == (400, param)


def test_the_answers_of_all_batches_are_one_in_order() -> None:
    said = read_answers([answer([[1.0], [2.0]]), answer([[3.0]], 4)], {"model": "m", "input": []})
    assert said == {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": place, "embedding": [place + 1.0]} for place in range(3)],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_the_sdk_reads_base64_as_the_same_numbers() -> None:
    numpy_free = pytest.importorskip("openai")
    from openai.types import CreateEmbeddingResponse

    said = read_answers([answer([[0.5, -2.0]])], {"model": "m", "encoding_format": "base64"})
    assert said["data"][0]["embedding"] == "AAAAPwAAAMA="
    assert numpy_free and CreateEmbeddingResponse.model_validate(
        {**said, "data": [{**said["data"][0], "embedding": [0.5, -2.0]}]}
    )
    assert write_native(said, "r")["output"] == {"embeddings": [{"text_index": 0, "embedding": [0.5, -2.0]}]}


def test_sparse_vectors_stay() -> None:
    sparse = [{"index": 1, "value": 0.5, "token": "a"}]
    assert read_answers([answer([[1.0]], sparse_embedding=sparse)], {})["data"][0]["sparse_embedding"] == sparse


@pytest.mark.parametrize(
    "said, status", [({"code": "InvalidParameter", "message": "batch size is invalid"}, 400), ({"output": {}}, 502)]
)
def test_an_answer_that_failed_is_none(said: Any, status: int) -> None:
    with pytest.raises(ProxyError) as caught:
        read_answers([answer([[1.0]]), said], {"model": "m"})
    assert caught.value.failed.status == status


def test_a_client_of_the_protocol_asks_openais_way_and_hears_its_own() -> None:
    ask = {"model": "m", "input": {"texts": ["a"]}, "parameters": {"dimension": 64, "text_type": "query"}}
    assert read_native(ask) == (
        {"model": "m", "input": ["a"], "encoding_format": "float", "dimensions": 64},
        ("text_type",),
    )
    reply = {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 2, "total_tokens": 2}}
    assert write_native(reply, "r") == {
        "output": {"embeddings": [{"text_index": 0, "embedding": [0.5]}]},
        "usage": {"total_tokens": 2},
        "request_id": "r",
    }
    with pytest.raises(ProxyError):
        read_native({"model": "m", "input": {}})
    with pytest.raises(ProxyError):
        write_native({"error": 1}, "r")
