"""Every limit, met by a running proxy: one byte less passes, one more is told in the one form and stops nobody else."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
import zlib

import pytest
from provider import Close, Stall
from raw_client import Call, events
from stories import HELLO, TEXT, chunk, streamed, whole
from test_hosting import Host

ASK = {"model": "m", "messages": HELLO}
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
GZIP = b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"


def asked(running, stream=False, headers=(), **more):
    body = json.dumps({**ASK, "stream": stream, **more}).encode()
    return Call(running.port, body, headers=headers).rest()


def padded(size):
    """An ask of exactly so many bytes."""
    empty = json.dumps({**ASK, "user": ""}).encode()
    return json.dumps({**ASK, "user": "x" * (size - len(empty))}).encode()


def serves(running, provider):
    """The next exchange works."""
    provider.plays([whole(TEXT.whole)])
    assert asked(running).status == 200


def delta(text):
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = {**chunk, "choices": [{"index": 0, "delta": {"content": text.decode()}, "finish_reason": None}]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


LAST = b'data: {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
def test_an_ask_may_have_so_many_bytes_however_it_is_framed(proxy, provider, framing):
    running = proxy(max_ask_bytes=2000, max_body_bytes=3000)
    for size, status in ((2000, 200), (2001, 413)):
        if status == 200:
            provider.plays([whole(TEXT.whole)])
        body, headers = padded(size), []
        if framing == "chunked":
            body, headers = chunk(body) + b"0\r\n\r\n", [("Transfer-Encoding", "chunked")]
        if framing == "gzip":
            body, headers = gzip.compress(body), [("Content-Encoding", "gzip")]
        call = Call(running.port, body, headers=headers).rest()
        assert call.status == status, call.got
        if status == 413:
            assert call.error["code"] == "request_too_large"
    assert len(provider.heard) == 1


def test_a_small_ask_that_would_grow_without_end_costs_no_memory(proxy, provider):
    running = proxy(max_ask_bytes="1MiB", fresh=True)
    serves(running, provider)
    before = running.resident()
    bomb = gzip.compress(b" " * 50_000_000)
    for _ in range(5):
        call = Call(running.port, bomb, headers=[("Content-Encoding", "gzip")]).rest()
        assert (call.status, call.error["code"]) == (413, "request_too_large")
    assert running.resident() - before < 30_000_000
    serves(running, provider)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_forwarded_body_may_have_so_many_bytes_where_that_is_set(proxy, provider, framing):
    running = proxy(max_ask_bytes=2000, max_body_bytes=3000)
    for size, status in ((3000, 200), (3001, 413)):
        provider.always(whole(b"{}"))
        body, headers = b"x" * size, []
        if framing == "chunked":
            body, headers = chunk(body) + b"0\r\n\r\n", [("Transfer-Encoding", "chunked")]
        call = Call(running.port, body, target="/v1/files", headers=headers).rest()
        assert call.status == status, call.got
    assert call.error["code"] == "request_too_large"
    assert [heard.size for heard in provider.heard if heard.complete] == [3000]


@pytest.mark.parametrize("mode, stream", [("stream", True), ("stream", False), ("off", True)])
def test_a_frame_may_have_so_many_bytes(proxy, provider, transport, mode, stream):
    """What comes in one read, 64 KB at most, is not counted apart: a limit is there for memory, not for a price."""
    running = proxy(max_frame_bytes=100_000, max_aggregate_bytes=200_000, transport=transport, mode=mode)
    for text, ends in ((b"x" * 90_000, True), (b"x" * 400_000, False)):
        provider.plays([EVENTS, delta(b"a"), delta(text), LAST, Close()])
        call = asked(running, stream)
        if ends:
            assert call.status == 200 and b"xxxx" in call.content, call.got
        elif stream:
            assert events(call)[-1]["error"]["code"] == "upstream_too_large"
        else:
            assert (call.status, call.error["code"]) == (502, "upstream_too_large")
        assert provider.heard[-1].left_within(10)
    serves(running, provider)


@pytest.mark.parametrize("mode", ["stream", "non_stream"])
def test_a_whole_may_have_so_many_bytes_whether_it_came_whole_or_in_pieces(proxy, provider, transport, mode):
    running = proxy(max_frame_bytes=100_000, max_aggregate_bytes=200_000, transport=transport, mode=mode)
    for size, status in ((1, 200), (6, 502)):
        if mode == "stream":
            provider.plays([EVENTS, *[delta(b"y" * 40_000) for _ in range(size)], LAST, Close()])
        else:
            said = json.loads(TEXT.whole)
            said["choices"][0]["message"]["content"] = "y" * 40_000 * size
            provider.plays([whole(json.dumps(said).encode())])
        call = asked(running)
        assert call.status == status, call.got
    assert call.error["code"] == "upstream_too_large"
    serves(running, provider)


def test_a_compressed_answer_may_grow_so_many_times(proxy, provider):
    running = proxy(max_aggregate_bytes="1GiB", max_growth=20)
    provider.plays([whole(gzip.compress(TEXT.whole), headers=GZIP)])
    assert asked(running).status == 200
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(80)) + packer.flush()
    provider.plays([whole(bomb, headers=GZIP)])
    call = asked(running)
    assert (call.status, call.error["code"]) == (502, "upstream_too_large"), call.got
    assert "20x" in call.error["message"]
    serves(running, provider)


def test_a_head_may_have_lines_of_so_many_bytes_and_so_many_of_them(tmp_path, provider):
    host = Host(
        "app.py",
        tmp_path,
        FORWARD_URL=provider.url,
        FORWARD_MAX_HEADER_BYTES="4096",
        FORWARD_MAX_REQUEST_LINE="1000",
    )
    try:
        assert host.ask("GET", "/healthz")[0] == 200
        provider.always(whole(b"{}"))
        for header, target, status in (
            (4000, 900, 200),
            (4200, 900, 431),
            (4000, 1100, 414),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=20)
            connection.request("GET", "/v1/" + "f" * (target - 20), headers={"X-A": "a" * (header - 10)})
            answer = connection.getresponse()
            told = answer.read()
            assert answer.status in (status, 400) and (answer.status == 200) == (status == 200), (header, target, told)
            connection.close()
        with Call(host.port, method="GET", target="/healthz", headers=[("X-A", "a")] * 150) as call:
            assert call.rest().status in (400, 431)
    finally:
        host.end()


def test_who_waits_for_a_place_gets_it_or_is_told_in_time(proxy, provider):
    """A full pool waits, and then answers clearly: places are as many as pooled connections."""
    running = proxy(max_exchanges=2, queue=2, queue_timeout=2)
    provider.plays(*[[*streamed(TEXT.stream)[:3], Stall()] for _ in "ab"])
    held = []
    for number in range(2):
        held.append(Call(running.port, json.dumps({**ASK, "stream": True}).encode()))
        held[-1].until(b"data:")
        provider.wait(number + 1)
    began, answers = time.monotonic(), []
    waiting = [threading.Thread(target=lambda: answers.append(asked(running)), daemon=True) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while len(told_waiting(running)) < 4:
        assert time.monotonic() - began < 20
    turned_away = asked(running)
    assert (turned_away.status, turned_away.error["code"]) == (503, "server_is_overloaded")
    assert turned_away.header("retry-after") == "1" and "in flight and waiting" in turned_away.error["message"]
    for thread in waiting:
        thread.join(30)
    assert [(call.status, call.header("retry-after")) for call in answers] == [(503, "1")] * 2
    assert all("--queue_timeout" in call.error["message"] for call in answers)
    assert time.monotonic() - began >= 2 and len(provider.heard) == 2
    provider.plays([whole(TEXT.whole)])
    late = threading.Thread(target=lambda: answers.append(asked(running)), daemon=True)
    late.start()
    running.until(lambda: len(told_waiting(running)) >= 3, 20, "nobody waits")
    held[0].leave()
    late.join(30)
    assert answers[-1].status == 200
    held[1].leave()


def told_waiting(running):
    """What is under way, waiting ones included."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    try:
        connection.request("GET", "/_forward/api/live")
        return json.loads(connection.getresponse().read())["exchanges"]
    finally:
        connection.close()
