"""Time: when the status leaves, what keeps an idle stream alive, and which limit ends what."""

from __future__ import annotations

import json
import re
import socket
import time

import pytest
from provider import Close, Sleep, Stall, Until
from raw_client import Call, events
from stories import CLOSE_HEAD, CLOSING, DONE, END, HELLO, OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from witness import ask, sound

pytestmark = pytest.mark.timed

BEAT = b": keep-alive\n\n"
BEATS = re.compile(rb"^: ?[^\n]*\n\n", re.M)
BOOM = b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":null}}\n\n'
SLOW = whole(b'{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":null}}', b"429 Too Many")
TAIL = [chunk(token(b"word")), chunk(CLOSING), chunk(DONE), END]
LIMITED = {"hold": 0.1, "heartbeat": 0, "first_byte_timeout": 300, "total_timeout": 1}
TOLD = OPENING + token(b"word") + CLOSING + DONE


@pytest.fixture()
def patient(proxy):
    """A proxy that holds the status for 0.3 s and then says every 0.1 s that it lives."""
    return proxy(hold=0.3, heartbeat=0.1)


@pytest.fixture()
def hasty(proxy):
    """A proxy with an idle limit of 0.6 s and a stall limit of 1 s."""
    return proxy(timeout=600, stall_timeout=1)


def beats_of(content):
    """How many heartbeats are in a stream."""
    return len(BEATS.findall(content))


def spoken(content):
    """A stream without its heartbeats."""
    return BEATS.sub(b"", content)


def test_a_role_alone_does_not_open_the_stream_but_the_hold_does(patient, provider, model):
    provider.plays([STREAM_HEAD, chunk(OPENING), Until("go on"), *TAIL])
    with Call(patient.port, ask(model, True)) as call:
        assert call.silent_for(0.2), f"opened by a role: {call.got!r}"
        opened = call.until(b"HTTP/1.1 200") - call.began
        assert 0.28 <= opened < 0.5
        call.until(BEAT)
        provider.tell("go on")
        call.rest()
    assert spoken(call.content) == TOLD and beats_of(call.content) >= 1
    sound(patient.record(model=model), outcome="complete", status=200)


def test_comments_and_empty_frames_do_not_open_the_stream(patient, provider, model):
    noise = [chunk(b": PROCESSING\n\n"), Sleep(0.05), chunk(b"data:\n\n"), Sleep(0.05), chunk(OPENING), Sleep(0.05)]
    provider.plays([STREAM_HEAD, *noise, chunk(BOOM), chunk(DONE), END])
    call = Call(patient.port, ask(model, True)).rest()
    assert call.status == 500 and call.error["message"] == "boom"
    sound(patient.record(model=model), outcome="upstream_error", status=500)


CALLED = b'"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]'


@pytest.mark.parametrize("word", [b'"content":"x"', b'"reasoning_content":"x"', b'"refusal":"x"', CALLED])
def test_the_first_word_of_any_kind_opens_the_stream_at_once(patient, provider, model, word):
    frame = token(b"").replace(b'"content":""', word)
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(frame), Until("go on"), chunk(CLOSING), chunk(DONE), END])
    with Call(patient.port, ask(model, True)) as call:
        assert call.until(word) - call.began < 0.2
        provider.tell("go on")
        call.rest()
    sound(patient.record(model=model), outcome="complete")


@pytest.mark.parametrize("script", [[SLOW], [STREAM_HEAD, chunk(OPENING), chunk(BOOM), END]], ids=["status", "frame"])
def test_an_early_failure_has_an_honest_status(patient, provider, model, script):
    provider.plays([Sleep(0.15), *script])
    call = Call(patient.port, ask(model, True)).rest()
    assert call.status == (429 if script[0] is SLOW else 500)
    assert call.error["message"] in ("slow down", "boom")
    sound(patient.record(model=model), outcome="upstream_error", status=call.status)


@pytest.mark.parametrize("script", [[SLOW], [STREAM_HEAD, chunk(OPENING), chunk(BOOM), END]], ids=["status", "frame"])
def test_a_late_failure_is_told_in_the_stream(patient, provider, model, script):
    provider.plays([Sleep(0.6), *script])
    call = Call(patient.port, ask(model, True)).rest()
    assert call.status == 200 and call.header("content-type").startswith("text/event-stream")
    assert beats_of(call.content) >= 1
    assert events(call)[-1]["error"]["message"] in ("slow down", "boom")
    upstream = 429 if script[0] is SLOW else 200
    sound(patient.record(model=model), outcome="upstream_error", status=200, upstream_status=upstream)


def test_a_late_refusal_of_the_mode_can_still_be_answered_in_the_other_one(patient, provider, model):
    refusal = (
        b'{"error":{"message":"Unsupported value: \'stream\' does not support true with this model.",'
        b'"type":"invalid_request_error","param":"stream","code":"unsupported_value"}}'
    )
    provider.plays([Sleep(0.5), whole(refusal, b"400 Bad Request")], [whole(TEXT.whole)])
    call = Call(patient.port, ask(model, True)).rest()
    words = [part["choices"][0]["delta"].get("content") or "" for part in events(call)]
    assert call.status == 200 and "".join(words) == "Grüß Gott 😀"
    sound(patient.record(model=model), outcome="complete", send_mode="non_stream")


def test_a_whole_answer_is_held_until_it_is_complete_however_long_that_takes(patient, provider, model):
    provider.plays([Sleep(0.4), SLOW], [Sleep(0.1), whole(TEXT.whole)[:60], Sleep(0.35), whole(TEXT.whole)[60:]])
    call = Call(patient.port, ask(model)).rest()
    assert call.status == 429
    with Call(patient.port, ask(model)) as call:
        assert call.silent_for(0.4), "bytes before the answer was complete"
        call.rest()
    assert call.content == TEXT.whole
    assert len(patient.records(2, model=model)) == 2


def test_a_silent_stream_gets_heartbeats_at_the_borders_of_frames(patient, provider, sdk, model):
    script = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Sleep(0.45), chunk(token(b"two")), chunk(CLOSING)]
    script += [chunk(DONE), END]
    provider.plays(script, script)
    call = Call(patient.port, ask(model, True)).rest()
    assert spoken(call.content) == OPENING + token(b"one") + token(b"two") + CLOSING + DONE
    between = call.content.split(token(b"one"))[1].split(token(b"two"))[0]
    assert 2 <= beats_of(between) <= 5 and spoken(between) == b""
    stream = sdk(patient).chat.completions.create(model=model, messages=HELLO, stream=True)
    assert "".join(part.choices[0].delta.content for part in stream) == "onetwo"
    for pair in patient.records(2, model=model):
        sound(pair, outcome="complete")


def test_after_an_id_a_heartbeat_is_one_line_so_that_the_sdk_survives(patient, provider, sdk, model):
    numbered = b"id: 7\n" + token(b"one")
    script = [STREAM_HEAD, chunk(numbered), Sleep(0.35), chunk(token(b"two")), chunk(CLOSING), chunk(DONE), END]
    provider.plays(script, script)
    call = Call(patient.port, ask(model, True)).rest()
    silence = call.content.split(b"two")[0].split(b'"content":"one"')[1].partition(b"\n\n")[2]
    assert re.match(rb"(: ?[^\n]*\n)+data: ", silence), silence
    stream = sdk(patient).chat.completions.create(model=model, messages=HELLO, stream=True)
    assert "".join(part.choices[0].delta.content for part in stream) == "onetwo"


def test_a_heartbeat_due_inside_every_byte_of_a_chunk_header_loses_nothing(proxy, provider, model, transport):
    patient = proxy(hold=0.3, heartbeat=0.1, **({"transport": transport} if transport == "requests" else {}))
    frame = token(b"two" * 40)
    header, body = chunk(frame).split(b"\r\n", 1)
    slowly = [step for byte in header + b"\r\n" for step in (Sleep(0.12), bytes([byte]))]
    middle = len(body) // 2
    halves = [Sleep(0.12), body[:middle], Sleep(0.12), body[middle:-1], Sleep(0.12), body[-1:], Sleep(0.12)]
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), *slowly, *halves, *TAIL])
    call = Call(patient.port, ask(model, True)).rest()
    assert frame in call.content, "a heartbeat got into a frame"
    assert spoken(call.content) == OPENING + token(b"one") + frame + token(b"word") + CLOSING + DONE
    assert beats_of(call.content) >= len(header) + 3
    sound(patient.record(model=model), outcome="complete")


def test_heartbeat_0_is_off(proxy, provider, model):
    running = proxy(**LIMITED)
    provider.plays([STREAM_HEAD, chunk(OPENING), Sleep(0.4), *TAIL])
    call = Call(running.port, ask(model, True)).rest()
    assert call.content == TOLD
    sound(running.record(model=model), outcome="complete")


def test_heartbeats_go_out_while_the_provider_has_not_even_answered(patient, provider, model):
    provider.plays([Sleep(0.65), STREAM_HEAD, chunk(OPENING), *TAIL])
    with Call(patient.port, ask(model, True)) as call:
        call.until(BEAT, 0.6)
        call.rest()
    assert spoken(call.content) == TOLD
    sound(patient.record(model=model), outcome="complete", status=200)


IDLE = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()]


def test_silence_in_a_stream_ends_it_with_idle_timeout(hasty, provider, model):
    provider.plays(IDLE)
    call = Call(hasty.port, ask(model, True)).rest(3)
    assert 0.55 < time.monotonic() - call.began < 1.2
    assert call.status == 200 and events(call)[-1]["error"]["code"] == "idle_timeout"
    assert provider.heard[0].left_within(1)
    pair = sound(hasty.record(model=model), outcome="timeout_idle", status=200, upstream_status=200)
    assert pair.client["output"]["choices"][0]["message"]["content"] == "one"


@pytest.mark.parametrize(
    "script",
    [IDLE, [whole(TEXT.whole)[:80], Stall()]],
    ids=["stream", "whole"],
)
def test_silence_before_a_whole_answer_is_a_504_that_says_what_helps(hasty, provider, model, script):
    provider.plays(script)
    mode = "stream" if script is IDLE else "non_stream"
    call = Call(hasty.port, ask(model), headers=[("X-Forward-Mode", mode)]).rest(3)
    assert (call.status, call.error["code"]) == (504, "idle_timeout")
    assert "--timeout" in call.error["message"] and "0.6 s" in call.error["message"]
    assert mode == "stream" or "--mode stream" in call.error["message"]
    assert provider.heard[0].left_within(1) and len(provider.heard) == 1
    sound(hasty.record(model=model), outcome="timeout_idle", status=504)


@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
def test_no_answer_at_all_is_a_504_first_byte_timeout(hasty, provider, model, streams):
    provider.plays([Stall()])
    call = Call(hasty.port, ask(model, streams)).rest(3)
    assert (call.status, call.error["code"]) == (504, "first_byte_timeout")
    assert "0.6 s" in call.error["message"]
    assert provider.heard[0].left_within(1) and len(provider.heard) == 1
    sound(hasty.record(model=model), outcome="timeout_first_byte", status=504, upstream_status=None)


def test_the_first_byte_has_a_limit_of_its_own(proxy, provider, model):
    running = proxy(**LIMITED)
    provider.plays([Stall()])
    call = Call(running.port, ask(model)).rest(2)
    assert (call.status, call.error["code"]) == (504, "first_byte_timeout")
    assert 0.28 < time.monotonic() - call.began < 1
    provider.plays([STREAM_HEAD, chunk(OPENING), Sleep(0.5), *TAIL])
    assert Call(running.port, ask(model, True)).rest().content == TOLD


@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
def test_comments_keep_a_provider_alive_but_not_for_ever(hasty, provider, model, streams):
    comments = [step for _ in range(12) for step in (chunk(b": queued\n\n"), Sleep(0.2))]
    provider.plays([STREAM_HEAD, chunk(OPENING), *comments, *TAIL])
    call = Call(hasty.port, ask(model, streams), headers=[("X-Forward-Mode", "stream")]).rest(4)
    assert 0.95 < time.monotonic() - call.began < 1.6
    error = call.error if call.status != 200 else events(call)[-1]["error"]
    assert error["code"] == "stall_timeout"
    assert streams or call.status == 504
    assert provider.heard[0].left_within(1)
    sound(hasty.record(model=model), outcome="timeout_idle")


def test_comments_reset_the_idle_limit(hasty, provider, model):
    comments = [step for _ in range(4) for step in (Sleep(0.2), chunk(b": queued\n\n"))]
    provider.plays([STREAM_HEAD, chunk(OPENING), *comments, *TAIL])
    call = Call(hasty.port, ask(model, True)).rest()
    assert call.status == 200 and call.data[-1] == b"[DONE]"
    sound(hasty.record(model=model), outcome="complete")


def test_a_healthy_stream_may_last_longer_than_every_limit_on_silence(hasty, provider, model):
    words = [step for _ in range(6) for step in (Sleep(0.2), chunk(token(b"x")))]
    provider.plays([STREAM_HEAD, chunk(OPENING), *words, chunk(CLOSING), chunk(DONE), END])
    call = Call(hasty.port, ask(model, True)).rest()
    assert "".join(part["choices"][0]["delta"]["content"] for part in events(call)) == "x" * 6
    sound(hasty.record(model=model), outcome="complete")


@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
def test_a_total_limit_ends_even_a_healthy_answer(proxy, provider, model, streams):
    running = proxy(**LIMITED)
    words = [step for _ in range(20) for step in (Sleep(0.1), chunk(token(b"x")))]
    provider.plays([STREAM_HEAD, chunk(OPENING), *words, Stall()])
    call = Call(running.port, ask(model, streams), headers=[("X-Forward-Mode", "stream")]).rest(4)
    assert 0.95 < time.monotonic() - call.began < 1.6
    error = events(call)[-1]["error"] if streams else call.error
    assert (call.status, error["code"]) == (200 if streams else 504, "total_timeout")
    assert provider.heard[0].left_within(1)
    sound(running.record(model=model), outcome="timeout_total")


def test_a_forwarded_download_has_no_total_limit_but_the_idle_one(hasty, provider):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nConnection: close\r\n\r\n"
    parts = [step for _ in range(5) for step in (b"part", Sleep(0.2))]
    provider.plays([head, *parts, Close()], [head, b"part", Stall()])
    call = Call(hasty.port, method="GET", target="/v1/files/f/content").rest()
    assert call.content == b"part" * 5
    call = Call(hasty.port, method="GET", target="/v1/files/f/content").rest(3)
    assert provider.heard[1].left_within(1)
    sound(hasty.record(logging_id=call.header("x-logging-id")), outcome="timeout_idle", upstream_status=200)


def test_forwarded_endpoints_have_a_first_byte_limit_too(hasty, provider):
    provider.plays([Stall()])
    call = Call(hasty.port, method="GET", target="/v1/models").rest(3)
    assert (call.status, call.error["code"]) == (504, "first_byte_timeout")
    assert provider.heard[0].left_within(1)


def test_the_records_tell_the_time_to_the_first_token_and_to_the_end(proxy, provider, model):
    running = proxy()
    provider.plays([Sleep(0.2), STREAM_HEAD, chunk(OPENING), Sleep(0.2), chunk(token(b"x")), Sleep(0.2), *TAIL])
    assert Call(running.port, ask(model, True)).rest().status == 200
    record = sound(running.record(model=model)).client
    assert 390 <= record["ttft_ms"] < 500 and 590 <= record["duration_ms"] < 750
    assert 190 <= record["attempts"][0]["ms"] < 500
    assert record["chunks"] == 4 and json.dumps(record["error"]) == "null"


def test_a_close_delimited_stream_that_stalls_is_ended_as_well(hasty, provider, model):
    provider.plays([CLOSE_HEAD, OPENING, token(b"one"), Stall()])
    call = Call(hasty.port, ask(model, True)).rest(3)
    assert events(call)[-1]["error"]["code"] == "idle_timeout"
    assert provider.heard[0].left_within(1)


def test_a_connection_that_cannot_be_made_in_time_is_a_connect_timeout(proxy, model, full_backlog):
    running = proxy(url=f"http://127.0.0.1:{full_backlog}/v1/chat/completions", connect_timeout=300)
    call = Call(running.port, ask(model)).rest(3)
    assert (call.status, call.error["code"]) == (504, "connect_timeout")
    assert 0.28 < time.monotonic() - call.began < 1.5
    sound(running.record(model=model), outcome="timeout_connect", status=504, upstream_status=None)


@pytest.fixture()
def full_backlog():
    """The port of a listener whose backlog is full: connections to it are neither made nor refused."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        waiting.append(sock)
    yield listener.getsockname()[1]
    for sock in [*waiting, listener]:
        sock.close()
