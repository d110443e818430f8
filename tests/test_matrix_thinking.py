"""Signed and redacted thinking: whatever way an Anthropic answer takes to an Anthropic client, none of it is lost."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from anthropic_checker import check_stream
from matrix_asks import spelled
from matrix_clients import anthropic_client
from matrix_providers import PLAYS
from matrix_sdks import MODE
from matrix_stories import REASONING
from raw_client import Call
from stories import END, STREAM_HEAD, chunk, frames, whole

WIRE = Path(__file__).parent / "wire" / "anthropic"
MODES = ("off", "stream", "non_stream")


def told_by(name):
    """A provider that tells one message as it is asked to: its stream and its whole."""
    folder = WIRE if (WIRE / f"{name}.sse").exists() else PLAYS / "anthropic"
    stream, said = (folder / f"{name}.sse").read_bytes(), json.loads((folder / f"{name}.json").read_bytes())

    def script(heard):
        if heard.json.get("stream"):
            return [STREAM_HEAD, *map(chunk, frames(stream)), END]
        return [whole(json.dumps(said).encode())]

    return script, said


STORIES = ("redacted_and_interleaved_thinking", "thinking_then_text_then_call", "reasoning")


@pytest.mark.parametrize("name, mode, streams", list(product(STORIES, MODES, (True, False))))
def test_every_block_of_thinking_reaches_the_sdk_with_its_signature(provider, proxy, model, name, mode, streams):
    script, said = told_by(name)
    provider.chooses(script)
    client = anthropic_client(proxy(url=provider.origin + "/v1/messages").origin).messages
    ask = {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": "Hello?"}]}
    ask["extra_headers"] = {MODE: mode}
    if streams:
        with client.stream(**ask) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.create(**ask)
    found = [block.to_dict() for block in answer.content]
    thinking = [block for block in said["content"] if "thinking" in block["type"]]
    assert [block for block in found if "thinking" in block["type"]] == thinking and thinking
    assert [block["type"] for block in found] == [block["type"] for block in said["content"]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("verbatim", [True, False], ids=["verbatim", "repaired"])
def test_a_stream_that_is_told_again_is_a_sound_one_and_signed(provider, proxy, model, mode, verbatim):
    script, said = told_by("redacted_and_interleaved_thinking")
    provider.chooses(script)
    running = proxy(url=provider.origin + "/v1/messages", **({"verbatim": True} if verbatim else {}))
    path, headers, body = spelled("anthropic", REASONING, model, True)
    sent = [*headers, ("X-Forward-Mode", mode)]
    got = Call(running.port, json.dumps(body).encode(), target=path, headers=sent).rest()
    check_stream(got.content, foreign=False)
    for block in said["content"]:
        sign = block.get("signature") or block.get("data")
        assert sign is None or got.content.count(json.dumps(sign).encode()) == 1
    pair = running.record(model=model)
    assert pair.client["output"]["content"] == pair.server["output"]["content"] == said["content"]


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
def test_what_was_signed_comes_back_through_an_openai_client(provider, proxy, model, sdk, streams):
    """It travels as ``thinking_blocks`` of the message, which the next ask shows to the provider again."""
    script, said = told_by("thinking_then_text_then_call")
    provider.chooses(script)
    client = sdk(proxy(url=provider.origin + "/v1/messages"))
    question = {"role": "user", "content": "Hello?"}
    answer = client.chat.completions.create(model=model, messages=[question], extra_headers={MODE: "stream"})
    message = answer.choices[0].message.to_dict()
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "1"} for one in message["tool_calls"]]
    answer = client.chat.completions.create(model=model, messages=[question, message, *results], stream=streams)
    assert list(answer)
    again = provider.wait(2).json["messages"][1]
    signed = [block for block in said["content"] if block["type"] == "thinking"]
    assert again["role"] == "assistant" and again["content"][: len(signed)] == signed
