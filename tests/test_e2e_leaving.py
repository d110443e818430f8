"""A client that leaves ends the provider's work within a second, whatever it was waiting for, and is put on record."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from provider import Stall, Until
from proxy_process import family
from raw_client import Call
from stories import CLOSING, DONE, END, OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from witness import ask, sound

pytestmark = pytest.mark.timed

TAIL = [chunk(CLOSING), chunk(DONE), END]
MID = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()]
SITUATIONS = {
    "in the middle of a stream": (True, "off", MID, b"one"),
    "in the middle of a stream of heartbeats": (True, "off", [STREAM_HEAD, chunk(OPENING), Stall()], b": keep-alive"),
    "before the first word": (True, "off", [STREAM_HEAD, chunk(OPENING), Stall()], b""),
    "before the provider's status": (True, "off", [Stall()], b""),
    "waiting for a whole answer": (False, "off", [Stall()], b""),
    "waiting for the rest of a whole answer": (False, "off", [whole(TEXT.whole)[:90], Stall()], b""),
    "waiting for a whole made of a stream": (False, "stream", MID, b""),
    "waiting for a stream made of a whole": (True, "non_stream", [Stall()], b""),
}


@pytest.fixture()
def beating(proxy):
    """A proxy that holds the status for 0.3 s and then says every 0.1 s that it lives."""
    return proxy(hold=0.3, heartbeat=0.1)


def prepared(running, provider, model, situation):
    """A call that has come as far as the situation says, and the provider's side of it."""
    streams, mode, script, mark = SITUATIONS[situation]
    provider.plays(script)
    call = Call(running.port, ask(model, streams), headers=[("X-Forward-Mode", mode)])
    heard = provider.wait()
    if mark:
        call.until(mark)
    else:
        time.sleep(0.1)
    return call, heard


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_providers_connection_is_closed_within_a_second(proxy, beating, provider, model, situation, reset):
    running = beating if "heartbeats" in situation else proxy()
    call, heard = prepared(running, provider, model, situation)
    left = call.leave(reset=reset)
    assert heard.left_within(1), "the provider goes on working for nobody"
    assert heard.connection.left_at - left < 1
    pair = sound(running.record(model=model), outcome="client_abort")
    assert len(provider.heard) == 1
    if situation == "in the middle of a stream":
        assert pair.client["output"]["choices"][0]["message"]["content"] == "one"


@pytest.mark.parametrize("situation", ["in the middle of a stream", "waiting for a whole answer"])
def test_a_half_close_counts_as_leaving(proxy, provider, model, situation):
    running = proxy()
    call, heard = prepared(running, provider, model, situation)
    call.sock.shutdown(socket.SHUT_WR)
    assert heard.left_within(1)
    call.leave()
    sound(running.record(model=model), outcome="client_abort")


def test_leaving_a_forwarded_stream_ends_it_too(proxy, provider, model):
    running = proxy()
    provider.plays([STREAM_HEAD, chunk(b"event: x\ndata: one\n\n"), Stall()])
    call = Call(running.port, b'{"stream": true}', target=f"/v1/responses?{model}")
    call.until(b"data: one")
    identity = call.header("x-logging-id")
    call.leave()
    assert provider.heard[0].left_within(1)
    sound(running.record(logging_id=identity), outcome="client_abort", status=200, upstream_status=200)


@pytest.mark.parametrize("stray", [b"\r\n", b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["CRLF", "pipelined"])
def test_stray_bytes_are_no_leaving_and_cost_no_time(proxy, provider, model, stray):
    running = proxy()
    provider.plays(
        [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Until("go on"), chunk(CLOSING), chunk(DONE), END]
    )
    with Call(running.port, ask(model, True), headers=[("Connection", "close")]) as call:
        call.until(b"one")
        call.send(stray)
        before = used(running)
        time.sleep(0.5)
        assert used(running) - before < 0.15, "it spins"
        assert not provider.heard[0].left_within(0)
        provider.tell("go on")
        call.until(b"[DONE]")
    sound(running.record(model=model), outcome="complete")


def used(running):
    """Processor time of a proxy and its workers so far, in seconds."""
    ticks = 0
    for pid in family(running.process.pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


def test_body_bytes_still_arriving_are_no_leaving(proxy, provider, model):
    running = proxy()
    provider.plays([whole(TEXT.whole)])
    body = ask(model, user="x" * 200_000)
    with Call(running.port, headers=[("Content-Length", str(len(body)))]) as call:
        for start in range(0, len(body), 50_000):
            call.send(body[start : start + 50_000])
            time.sleep(0.05)
        call.rest()
    assert call.content == TEXT.whole and provider.heard[0].body == body
    sound(running.record(model=model), outcome="complete")


def test_a_client_that_leaves_before_its_ask_is_complete_is_on_record_and_the_provider_hears_nothing(proxy, provider):
    running = proxy()
    count = len([one for one in running.lines("server") if one["outcome"] == "client_abort"])
    call = Call(running.port, b'{"model": "m", ', headers=[("Content-Length", "5000")])
    time.sleep(0.05)
    call.leave()
    for name in ("client", "server"):
        running.until(
            lambda name=name: len([o for o in running.lines(name) if o["outcome"] == "client_abort"]) == count + 1,
            2,
            f"no {name} record of it",
        )
    assert not provider.heard


def test_an_answer_for_one_client_survives_the_leaving_of_another(proxy, provider, model):
    running = proxy()
    provider.plays(MID, [STREAM_HEAD, chunk(OPENING), Until("go on"), chunk(token(b"two")), chunk(CLOSING), END])
    first = Call(running.port, ask(model, True))
    first.until(b"one")
    with Call(running.port, ask(model, True)) as second:
        provider.wait(2)
        first.leave()
        assert provider.heard[0].left_within(1)
        provider.tell("go on")
        second.until(b"[DONE]")
    assert sorted(pair.client["outcome"] for pair in running.records(2, model=model)) == ["client_abort", "complete"]
