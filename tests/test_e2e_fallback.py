"""Automatic fallback: an explicit refusal of the mode is answered by asking once in the other mode, and learned."""

from __future__ import annotations

import json
from itertools import product

import pytest
from provider import Reset
from raw_client import Call, events
from stories import DONE, END, STREAM_HEAD, TEXT, chunk, streamed, tells, whole
from witness import UNUSUAL, ask, sound

NEEDS_STREAM = [
    b'{"error":{"code":"invalid_parameter_error","param":null,"message":"This model only support stream mode, '
    b'please enable the stream parameter to access the model. ","type":"invalid_request_error"},"id":"chatcmpl-1"}',
    b'{"error":{"message":"This model only supports streaming responses. Please set stream=True.",'
    b'"type":"invalid_request_error","param":null,"code":null}}',
    b'{"error":{"code":"invalid_parameter_error","param":null,"message":"parameter.enable_thinking must be set to '
    b'false for non-streaming calls","type":"invalid_request_error"},"request_id":"r"}',
    b'{"code":"InvalidParameter","message":"current user api does not support http call.","request_id":"r"}',
    b'data: {"error":{"code":"invalid_parameter_error","param":null,"message":"<400> InternalError.Algo.'
    b'InvalidParameter: This model only support stream mode, please enable the stream parameter to access the model.",'
    b'"type":"invalid_request_error"},"id":"chatcmpl-2"}\n\n',
]
NEEDS_WHOLE = [
    b'{"error":{"message":"Unsupported value: \'stream\' does not support true with this model. Only the default '
    b'(false) value is supported.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}',
    b'{"error":{"message":"Your organization must be verified to stream this model. Please go to settings.",'
    b'"type":"invalid_request_error","param":"stream","code":"unsupported_value"}}',
]
WAV = (
    b'{"error":{"message":"Unsupported value: \'audio.format\' does not support \'wav\' when stream=true. Supported '
    b'values are: \'pcm16\'.","type":"invalid_request_error","param":"audio.format","code":"unsupported_value"}}'
)
NO_OPTIONS = [
    b'{"error":{"message":"Unknown parameter: \'stream_options\'.","type":"invalid_request_error",'
    b'"param":"stream_options","code":"unknown_parameter"}}',
    b'{"object":"error","message":"1 validation error: body.stream_options: Extra inputs are not permitted",'
    b'"type":"BadRequestError","param":null,"code":400}',
]
ORDINARY = [
    b'{"error":{"message":"Invalid value in messages[0].content: please stream this to me with stream=true.",'
    b'"type":"invalid_request_error","param":"messages[0].content","code":"invalid_value"}}',
    b'{"error":{"message":"temperature must be at most 2","type":"invalid_request_error","param":"temperature",'
    b'"code":"invalid_value"}}',
    b'{"error":{"message":"This model\'s maximum context length is 10 tokens.","type":"invalid_request_error",'
    b'"param":"messages","code":"context_length_exceeded"}}',
]
USAGE = {"stream_options": {"include_usage": True}}
MESSAGE = "Grüß Gott 😀"


def refused(body, status=b"400 Bad Request"):
    """The script of a refusal."""
    return [whole(body, status)]


def modes_of(provider):
    """How the provider was asked, time after time."""
    return ["stream" if heard.json.get("stream") else "whole" for heard in provider.heard]


def text_of(call, streams):
    """The answer's text, from a stream or a whole."""
    assert call.status == 200, call.got
    if not streams:
        return call.json["choices"][0]["message"]["content"]
    return "".join(part["choices"][0]["delta"].get("content") or "" for part in events(call) if part["choices"])


@pytest.mark.parametrize("refusal", NEEDS_STREAM)
@pytest.mark.parametrize("mode", ["off", "non_stream"])
def test_a_stream_only_model_answers_a_client_that_waits_and_is_remembered(proxy, provider, model, refusal, mode):
    running = proxy() if mode == "off" else proxy(mode=mode)
    provider.chooses(tells(TEXT))
    provider.plays(refused(refusal))
    body = ask(model, False, enable_thinking=True, user="u")
    assert text_of(Call(running.port, body).rest(), False) == MESSAGE
    assert modes_of(provider) == ["whole", "stream"]
    again = provider.heard[1].json
    assert again.pop("stream") is True and again.pop("stream_options") == {"include_usage": True}
    assert again == {key: value for key, value in json.loads(body).items() if key != "stream"}

    assert text_of(Call(running.port, body).rest(), False) == MESSAGE
    assert modes_of(provider) == ["whole", "stream", "stream"]
    first, second = (sound(pair, outcome="complete", send_mode="stream") for pair in running.records(2, model=model))
    assert [(one["mode"], one["status"]) for one in first.server["attempts"]] == [("non_stream", 400), ("stream", 200)]
    assert [(one["mode"], one["status"]) for one in second.server["attempts"]] == [("stream", 200)]
    assert first.server["input"] == provider.heard[1].json and first.server["upstream_status"] == 200


def test_a_stream_only_model_answers_a_streaming_client_although_the_mode_is_non_stream(proxy, provider, model):
    running = proxy(mode="non_stream")
    provider.chooses(tells(TEXT))
    provider.plays(refused(NEEDS_STREAM[0]))
    assert text_of(Call(running.port, ask(model, True)).rest(), True) == MESSAGE
    assert modes_of(provider) == ["whole", "stream"]
    sound(running.record(model=model), outcome="complete", return_mode="stream", send_mode="stream")


@pytest.mark.parametrize("refusal, streams", list(product(NEEDS_WHOLE, [True, False])))
def test_a_model_that_cannot_stream_answers_whole_and_is_remembered(proxy, provider, model, refusal, streams):
    running = proxy(mode="stream")
    provider.chooses(tells(TEXT))
    provider.plays(refused(refusal))
    body = ask(model, streams, **(USAGE if streams else {}))
    for _ in range(2):
        assert text_of(Call(running.port, body).rest(), streams) == MESSAGE
    assert modes_of(provider) == ["stream", "whole", "whole"]
    assert all("stream_options" not in heard.json for heard in provider.heard[1:])
    for pair in running.records(2, model=model):
        sound(pair, outcome="complete", send_mode="non_stream", usage=json.loads(TEXT.whole)["usage"])


def test_a_refusal_that_names_another_parameter_changes_the_mode_but_is_not_remembered(proxy, provider, model):
    running = proxy()
    provider.plays(refused(WAV), [whole(TEXT.whole)], refused(WAV), [whole(TEXT.whole)])
    for _ in range(2):
        assert text_of(Call(running.port, ask(model, True)).rest(), True) == MESSAGE
    assert modes_of(provider) == ["stream", "whole", "stream", "whole"]
    assert len(running.records(2, model=model)) == 2


@pytest.mark.parametrize("refusal, streams", list(product(NO_OPTIONS, [True, False])))
@pytest.mark.parametrize("status", [b"400 Bad Request", b"422 Unprocessable Entity"])
def test_a_provider_without_stream_options_is_asked_without_them(proxy, provider, model, refusal, streams, status):
    running = proxy(mode="stream")
    provider.chooses(tells(TEXT))
    provider.plays(refused(refusal, status))
    for _ in range(2):
        assert text_of(Call(running.port, ask(model, streams, **(USAGE if streams else {}))).rest(), streams) == MESSAGE
    assert modes_of(provider) == ["stream"] * 3
    assert ["stream_options" in heard.json for heard in provider.heard] == [True, False, False]
    for pair in running.records(2, model=model):
        sound(pair, outcome="complete", send_mode="stream")


@pytest.mark.parametrize(
    "streams, frame, expected",
    [(True, NEEDS_WHOLE[0], ["stream", "whole"]), (False, NEEDS_STREAM[0], ["whole", "stream"])],
    ids=["needs whole", "needs stream"],
)
def test_a_refusal_framed_as_the_first_event_under_200_counts(proxy, provider, model, streams, frame, expected):
    running = proxy()
    provider.chooses(tells(TEXT))
    provider.plays([STREAM_HEAD, chunk(b": wait\n\n"), chunk(b"data: " + frame + b"\n\n"), chunk(DONE), END])
    assert text_of(Call(running.port, ask(model, streams)).rest(), streams) == MESSAGE
    assert modes_of(provider) == expected
    sound(running.record(model=model), outcome="complete")


def test_a_refusal_as_json_under_200_counts(proxy, provider, model):
    running = proxy()
    provider.chooses(tells(TEXT))
    provider.plays([whole(NEEDS_STREAM[0])])
    assert text_of(Call(running.port, ask(model)).rest(), False) == MESSAGE
    assert modes_of(provider) == ["whole", "stream"]


@pytest.mark.parametrize("streams, refusal", [(False, NEEDS_STREAM[0]), (True, NEEDS_WHOLE[0])])
def test_without_fallback_a_refusal_is_the_answer(proxy, provider, model, streams, refusal):
    running = proxy(**UNUSUAL)
    provider.plays(refused(refusal))
    call = Call(running.port, ask(model, streams)).rest()
    assert call.status == 400 and call.error["message"] == json.loads(refusal)["error"]["message"]
    assert len(provider.heard) == 1
    sound(running.record(model=model), outcome="upstream_error", status=400, upstream_status=400)


@pytest.mark.parametrize("refusal, streams", list(product(ORDINARY, [True, False])))
def test_an_ordinary_400_is_never_asked_again(proxy, provider, model, refusal, streams):
    running = proxy()
    provider.plays(refused(refusal))
    call = Call(running.port, ask(model, streams)).rest()
    assert call.status == 400
    assert {key: call.error[key] for key in ("message", "param", "code")} == {
        key: json.loads(refusal)["error"][key] for key in ("message", "param", "code")
    }
    assert len(provider.heard) == 1
    pair = sound(running.record(model=model), outcome="upstream_error", status=400, upstream_status=400)
    assert pair.server["output"] == json.loads(refusal)


@pytest.mark.parametrize(
    "refusal, mode, expected",
    [
        (NEEDS_STREAM[0], "off", ["whole", "stream"]),
        (NEEDS_WHOLE[0], "stream", ["stream", "whole"]),
        (NO_OPTIONS[0], "stream", ["stream", "stream"]),
    ],
    ids=["needs stream", "needs whole", "no options"],
)
def test_a_cause_is_retried_once_only(proxy, provider, model, refusal, mode, expected):
    running = proxy()
    provider.always(whole(refusal, b"400 Bad Request"))
    call = Call(running.port, ask(model), headers=[("X-Forward-Mode", mode)]).rest()
    assert call.status == 400 and call.error["message"] == json.loads(refusal)["error"]["message"]
    assert modes_of(provider) == expected
    assert len(sound(running.record(model=model), outcome="upstream_error").client["attempts"]) == 2


def test_there_are_never_more_than_three_attempts(proxy, provider, model):
    running = proxy()
    provider.plays(refused(NEEDS_STREAM[0]), refused(NO_OPTIONS[0]))
    provider.always(whole(NEEDS_WHOLE[0], b"400 Bad Request"))
    call = Call(running.port, ask(model)).rest()
    assert call.status == 400
    assert modes_of(provider) == ["whole", "stream", "stream"]
    attempts = sound(running.record(model=model), outcome="upstream_error", status=400).client["attempts"]
    assert [one["status"] for one in attempts] == [400, 400, 400]


def test_what_was_learned_belongs_to_the_model_and_the_credential(proxy, provider, model):
    running = proxy()
    provider.chooses(tells(TEXT))
    provider.plays(refused(NEEDS_STREAM[0]))
    for name, key in ((model, "one"), (model, "one"), (model, "two"), (model + "-b", "one")):
        Call(running.port, ask(name), headers=[("Authorization", f"Bearer {key}")]).rest()
    assert modes_of(provider) == ["whole", "stream", "stream", "whole", "whole"]


def test_nothing_is_asked_again_after_a_broken_connection(proxy, provider, model):
    running = proxy()
    provider.plays([STREAM_HEAD, chunk(b"data: " + NEEDS_WHOLE[0][:40]), Reset()])
    call = Call(running.port, ask(model, True)).rest()
    assert call.status == 502 and len(provider.heard) == 1
    sound(running.record(model=model), status=502)


@pytest.mark.parametrize("status", [b"429 Too Many Requests", b"500 Internal Server Error", b"503 Service Unavailable"])
def test_only_a_refusal_of_the_mode_is_asked_again(proxy, provider, model, status):
    running = proxy()
    provider.plays([whole(b'{"error":{"message":"later","type":"server_error","param":null,"code":null}}', status)])
    assert Call(running.port, ask(model)).rest().status == int(status[:3])
    assert len(provider.heard) == 1


def test_streamed_answers_after_a_fallback_are_streams_to_the_end(proxy, provider, model):
    running = proxy()
    provider.plays(refused(NO_OPTIONS[0]), streamed(TEXT.unmetered))
    call = Call(running.port, ask(model, True, **USAGE)).rest()
    assert call.content == TEXT.unmetered
    assert running.record(model=model).client["outcome"] == "complete"
