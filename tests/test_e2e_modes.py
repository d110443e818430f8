"""The main job: the real OpenAI SDK through a running proxy, every client mode with every provider mode."""

from __future__ import annotations

import asyncio
import json
from itertools import product

import pytest
from conftest import KEY
from provider import Stall, Until
from raw_client import Call
from stories import (
    CLOSING,
    COMPLETION,
    DONE,
    END,
    HELLO,
    LOGPROBS,
    OPENING,
    REFUSAL,
    STORIES,
    STREAM_HEAD,
    TEXT,
    TOOLS,
    TWO,
    chunk,
    frames,
    streamed,
    tells,
    token,
    whole,
)
from witness import UNUSUAL, ask, sound, tidy

MODES = {"off": {}, "stream": {"mode": "stream"}, "non_stream": {"mode": "non_stream"}}
SENT = {"off": None, "stream": True, "non_stream": False}
WORD = {True: "stream", False: "non_stream"}
ROWS = list(product(STORIES, MODES, [False, True]))


def row(value):
    """A short name for a row of the matrix."""
    return value.name if hasattr(value, "name") else {True: "streams", False: "waits"}.get(value, str(value))


def answer_of(chat, model, story, streams):
    """What the SDK makes of an answer: the whole reply, or the one its own accumulator folds from the stream."""
    if not streams:
        return chat.create(model=model, **story.ask).to_dict()
    with chat.stream(model=model, stream_options={"include_usage": True}, **story.ask) as stream:
        for _ in stream:
            pass
    return stream.current_completion_snapshot.to_dict()


@pytest.mark.parametrize("story, mode, streams", ROWS, ids=row)
def test_the_client_gets_the_answer_in_its_own_mode_and_both_journals_tell_it(
    proxy, provider, sdk, model, story, mode, streams
):
    running = proxy(**MODES[mode])
    provider.chooses(tells(story))
    answer = answer_of(sdk(running).chat.completions, model, story, streams)
    want = json.loads(story.whole)
    assert tidy(answer) == tidy(want)

    asked_stream = streams if SENT[mode] is None else SENT[mode]
    heard = provider.wait()
    assert len(provider.heard) == 1
    assert bool(heard.json.get("stream")) is asked_stream
    assert ("stream_options" in heard.json) is asked_stream
    assert heard.header("authorization") == f"Bearer {KEY}"
    assert heard.header("content-type") == "application/json"
    assert {key: heard.json[key] for key in story.ask} == story.ask

    pair = sound(
        running.record(model=model),
        outcome="complete",
        status=200,
        upstream_status=200,
        send_mode=WORD[asked_stream],
        return_mode=WORD[streams],
        path="/v1/chat/completions",
        method="POST",
        usage=want["usage"],
    )
    assert [(one["mode"], one["status"]) for one in pair.client["attempts"]] == [(WORD[asked_stream], 200)]
    assert bool(pair.client["input"].get("stream")) is streams
    assert pair.server["input"] == heard.json
    assert tidy(pair.client["output"]) == tidy(pair.server["output"]) == tidy(want)


@pytest.mark.parametrize("mode, streams", list(product(MODES, [False, True])), ids=row)
def test_legacy_completions_work_in_every_mode(proxy, provider, sdk, model, mode, streams):
    running = proxy(**MODES[mode])
    provider.chooses(tells(COMPLETION))
    answer = sdk(running).completions.create(model=model, stream=streams, **COMPLETION.ask)
    parts = list(answer) if streams else [answer]
    assert "".join(part.choices[0].text for part in parts) == "Once more"
    assert [part.choices[0].finish_reason for part in parts][-1] == "length"
    lists = [part.choices[0].logprobs for part in parts if part.choices[0].logprobs]
    assert [token for one in lists for token in one.tokens] == ["Once ", "more"]
    heard = provider.wait()
    assert heard.target == "/v1/completions"
    assert bool(heard.json.get("stream")) is (streams if SENT[mode] is None else SENT[mode])
    pair = sound(running.record(model=model), outcome="complete", return_mode=WORD[streams], path="/v1/completions")
    assert pair.client["output"]["choices"][0]["text"] == pair.server["output"]["choices"][0]["text"] == "Once more"


@pytest.mark.parametrize("story", STORIES, ids=row)
@pytest.mark.parametrize("asked", [True, False], ids=["usage asked", "usage not asked"])
def test_a_stream_for_a_stream_leaves_as_the_very_bytes_it_came_in(proxy, provider, model, story, asked):
    running = proxy()
    provider.chooses(tells(story))
    body = ask(model, True, **({"stream_options": {"include_usage": True}} if asked else {}))
    call = Call(running.port, body).rest()
    assert call.content == (story.stream if asked else story.unmetered)
    assert provider.heard[0].body == body
    assert call.header("content-type") == "text/event-stream; charset=utf-8"
    assert "no-cache" in call.header("cache-control") and call.header("x-accel-buffering") == "no"
    assert not call.all("content-length")
    assert call.header("x-logging-id") == sound(running.record(model=model)).client["logging_id"]


@pytest.mark.parametrize("story", STORIES, ids=row)
def test_a_whole_for_a_whole_leaves_as_the_very_bytes_it_came_in(proxy, provider, model, story):
    running = proxy()
    provider.chooses(tells(story))
    call = Call(running.port, ask(model, **story.ask)).rest()
    assert call.content == story.whole
    assert provider.heard[0].body == ask(model, **story.ask)
    assert call.header("content-type").startswith("application/json")
    assert call.header("x-logging-id") == sound(running.record(model=model)).client["logging_id"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [None, {"include_usage": False}, "absent"], ids=str)
def test_a_client_that_did_not_ask_for_usage_sees_none_of_it(proxy, provider, model, mode, options):
    running = proxy(**MODES[mode])
    provider.chooses(tells(TEXT))
    call = Call(running.port, ask(model, True, **({} if options == "absent" else {"stream_options": options}))).rest()
    parts = [json.loads(one) for one in call.data[:-1]]
    assert call.status == 200 and call.data[-1] == b"[DONE]"
    assert all(part["choices"] and not part.get("usage") for part in parts)
    assert "".join(part["choices"][0]["delta"].get("content") or "" for part in parts) == "Grüß Gott 😀"
    pair = sound(running.record(model=model))
    if mode == "non_stream":
        assert "stream_options" not in provider.heard[0].json
        assert pair.client["usage"]["total_tokens"] == 13


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_asked_for_usage_gets_it_once_and_last(proxy, provider, model, mode):
    running = proxy(**MODES[mode])
    provider.chooses(tells(TEXT))
    call = Call(running.port, ask(model, True, stream_options={"include_usage": True})).rest()
    parts = [json.loads(one) for one in call.data[:-1]]
    assert [part["choices"] for part in parts].index([]) == len(parts) - 1
    assert parts[-1]["usage"]["total_tokens"] == 13
    assert all(part["usage"] is None for part in parts[:-1])
    sound(running.record(model=model), outcome="complete")


def test_ask_usage_gives_the_journal_usage_and_the_client_none(proxy, provider, model):
    running = proxy(**UNUSUAL)
    provider.chooses(tells(TEXT))
    call = Call(running.port, ask(model, True)).rest()
    assert provider.heard[0].json["stream_options"] == {"include_usage": True}
    told = [json.loads(frame[6:]) for frame in frames(TEXT.unmetered)[:-1]]
    assert [json.loads(one) for one in call.data[:-1]] == told and call.data[-1] == b"[DONE]"
    sound(running.record(model=model), usage=json.loads(TEXT.whole)["usage"])


@pytest.mark.parametrize("story", [TOOLS, TWO, LOGPROBS, REFUSAL], ids=row)
def test_every_chunk_made_from_a_whole_has_what_strict_clients_need(proxy, provider, sdk, model, story):
    running = proxy(mode="non_stream")
    provider.chooses(tells(story))
    parts = list(sdk(running).chat.completions.create(model=model, stream=True, **story.ask))
    assert len({(part.id, part.created, part.model, part.object) for part in parts}) == 1
    assert parts[0].object == "chat.completion.chunk"
    choices = [part.choices[0] for part in parts]
    assert all("finish_reason" in choice.model_fields_set for choice in choices)
    count = len(json.loads(story.whole)["choices"])
    assert [choice.index for choice in choices if choice.delta.role] == list(range(count))
    assert len([choice for choice in choices if choice.finish_reason]) == count
    calls = [call for choice in choices for call in choice.delta.tool_calls or []]
    assert [call.id for call in calls if call.id] == (["call_a", "call_b"] if story is TOOLS else [])
    sound(running.record(model=model), outcome="complete")


@pytest.mark.parametrize("header", ["stream", "non_stream", "off"])
@pytest.mark.parametrize("started", MODES)
def test_a_header_overrides_the_mode_for_one_request(proxy, provider, model, header, started):
    running = proxy(**MODES[started])
    provider.chooses(tells(TEXT))
    call = Call(running.port, ask(model), headers=[("X-Forward-Mode", header)]).rest()
    assert call.json["choices"][0]["message"]["content"] == "Grüß Gott 😀"
    assert bool(provider.heard[0].json.get("stream")) is (header == "stream")
    assert not provider.heard[0].all("x-forward-mode")
    sound(running.record(model=model), send_mode="stream" if header == "stream" else "non_stream")


def test_a_wrong_mode_in_the_header_is_told_to_the_client(proxy, provider, model):
    call = Call(proxy().port, ask(model), headers=[("X-Forward-Mode", "sometimes")]).rest()
    assert call.status == 400 and "X-Forward-Mode" in call.error["message"]
    assert not provider.heard


@pytest.mark.parametrize(
    "said, streams", [(b'"stream": true,', 1), (b'"stream": false,', 0), (b'"stream": null,', 0), (b"", 0)]
)
def test_only_true_streams(proxy, provider, model, said, streams):
    running = proxy()
    provider.chooses(tells(TEXT))
    body = ask(model).replace(b"{", b"{" + said, 1)
    call = Call(running.port, body, headers=[("Accept", "text/event-stream")]).rest()
    assert call.header("content-type").startswith("text/event-stream" if streams else "application/json")
    sound(running.record(model=model), return_mode=WORD[bool(streams)])


@pytest.mark.parametrize(
    "streams, said",
    [(True, [whole(TEXT.whole)]), (False, streamed(TEXT.stream))],
    ids=["JSON for a stream", "SSE for a whole"],
)
@pytest.mark.parametrize("label", [b"application/json", b"text/plain", b"text/event-stream"])
def test_the_body_decides_what_an_answer_is_not_its_label(proxy, provider, sdk, model, streams, said, label):
    running = proxy()
    old = b"application/json" if streams else b"text/event-stream"
    provider.plays([said[0].replace(old, label, 1), *said[1:]])
    answer = sdk(running).chat.completions.create(model=model, messages=HELLO, stream=streams)
    texts = [part.choices[0].delta.content or "" for part in answer if part.choices] if streams else []
    assert ("".join(texts) if streams else answer.choices[0].message.content) == "Grüß Gott 😀"
    sound(running.record(model=model), outcome="complete", return_mode=WORD[streams])


def test_leading_blanks_before_a_whole_answer_are_no_data(proxy, provider, model):
    running = proxy()
    head, _, body = whole(b" \n\n " + TEXT.whole).partition(b"\r\n\r\n")
    provider.plays([head + b"\r\n\r\n", body[:2], body[2:]])
    call = Call(running.port, ask(model)).rest()
    assert call.content == TEXT.whole
    sound(running.record(model=model), outcome="complete")


def test_broken_frames_are_mended_for_a_strict_client(proxy, provider, sdk, model):
    running = proxy()
    messy = [
        b'data: {"choices":[{"delta":{"role":null,"content":"He"}}]}\n\n',
        b'data: {"id":"a","model":"M","choices":[{"index":0,"delta":{"role":"assistant","content":"llo"},'
        b'"finish_reason":""}]}\n\n',
        b'data: {"id":"b","model":"M","choices":[{"index":0,"delta":{},"finish_reason":"eos"}]}\n\n',
    ]
    provider.plays([STREAM_HEAD, *map(chunk, messy), END])
    parts = list(sdk(running).chat.completions.create(model=model, messages=HELLO, stream=True))
    assert len({(part.id, part.created, part.model, part.object) for part in parts}) == 1
    assert "".join(part.choices[0].delta.content or "" for part in parts) == "Hello"
    assert [part.choices[0].finish_reason for part in parts][-1] == "stop"
    pair = sound(running.record(model=model), outcome="complete")
    assert pair.client["repairs"]


def test_verbatim_leaves_even_broken_frames_alone(proxy, provider, model):
    running = proxy(**UNUSUAL)
    frame = b'data: {"choices":[{"delta":{"role":null,"content":"He"}}]}\n\n'
    end = b'data: {"id":"b","choices":[{"index":0,"delta":{},"finish_reason":"eos"}]}\n\n'
    provider.plays([STREAM_HEAD, chunk(frame), chunk(end), chunk(DONE), END])
    assert Call(running.port, ask(model, True)).rest().content == frame + end + DONE
    sound(running.record(model=model), outcome="complete")


@pytest.mark.parametrize("mode", MODES)
def test_64_streams_at_once_all_arrive_and_none_gets_anothers_words(proxy, provider, model, mode):
    openai = pytest.importorskip("openai")
    running = proxy(**MODES[mode])

    def script(heard):
        word = heard.json["messages"][0]["content"].encode()
        if not heard.json.get("stream"):
            return [Until("all here"), whole(TEXT.whole.replace(b"Gott", word))]
        rest = [chunk(CLOSING), chunk(DONE), END]
        return [STREAM_HEAD, chunk(OPENING), chunk(token(word)), Until("all here"), chunk(token(b"!")), *rest]

    async def one(client, word):
        stream = await client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": word}], stream=True
        )
        return "".join([part.choices[0].delta.content or "" async for part in stream if part.choices])

    async def everybody():
        transport = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(
            base_url=running.base_url, api_key=KEY, max_retries=0, http_client=transport
        ) as client:
            asked = [asyncio.ensure_future(one(client, f"word-{number}")) for number in range(64)]
            while len(provider.heard) < 64 and not any(task.done() for task in asked):
                await asyncio.sleep(0.01)
            provider.tell("all here")
            return await asyncio.gather(*asked)

    provider.chooses(script)
    want = "Grüß word-{} 😀" if mode == "non_stream" else "word-{}!"
    assert asyncio.run(everybody()) == [want.format(number) for number in range(64)]
    for pair in running.records(64, model=model):
        sound(pair, outcome="complete")
        word = pair.client["input"]["messages"][0]["content"]
        assert word in pair.client["output"]["choices"][0]["message"]["content"]


@pytest.mark.timed
@pytest.mark.parametrize("streams", [True, False], ids=row)
def test_the_asynchronous_sdk_works_as_well(proxy, provider, model, streams):
    openai = pytest.importorskip("openai")
    running = proxy()
    provider.chooses(tells(TWO))

    async def answer():
        transport = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(
            base_url=running.base_url, api_key=KEY, max_retries=0, http_client=transport
        ) as client:
            if not streams:
                return (await client.chat.completions.create(model=model, **TWO.ask)).to_dict()
            options = {"include_usage": True}
            async with client.chat.completions.stream(model=model, stream_options=options, **TWO.ask) as stream:
                async for _ in stream:
                    pass
            return stream.current_completion_snapshot.to_dict()

    assert tidy(asyncio.run(answer())) == tidy(json.loads(TWO.whole))
    sound(running.record(model=model), outcome="complete", return_mode=WORD[streams])


def test_a_client_that_aborts_its_stream_ends_the_providers_work(proxy, provider, sdk, model):
    running = proxy()
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()])
    stream = sdk(running).chat.completions.create(model=model, messages=HELLO, stream=True)
    next(part for part in stream if part.choices[0].delta.content == "one")
    stream.close()
    assert provider.heard[0].left_within(1)
    pair = sound(running.record(model=model), outcome="client_abort", status=200, upstream_status=200)
    assert pair.client["output"]["choices"][0]["message"]["content"] == "one"
