"""Clients that take a place and give nothing for it: they lose it after --client_timeout, and nobody waits for them."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from conftest import MODERN
from provider import Sleep, Stall
from proxy_process import ProxyProcess
from raw_client import Call
from stories import OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from test_hosting import HOSTS, Host
from witness import ask, sound

WORDS = b"".join(chunk(token(b"x" * 1000)) for _ in range(1000))  # over 1 MB
PLACES = 4 + 2 + 64  # exchanges, queue, and what config.hosting spares for connections without either
STINGY = {"max_exchanges": 4, "queue": 2, "client_timeout": 1}
HALVES = {
    "an ask": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{",
    "an upload": b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nab",
    "half a chunk": b"POST /v1/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab",
}


def connected(port):
    """A connection with a receive buffer as small as it can be."""
    sock = socket.socket()
    sock.settimeout(60)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


def ends(sock):
    """What comes until the other side ends the connection."""
    got = b""
    try:
        while True:
            piece = sock.recv(65536)
            if not piece:
                return got
            got += piece
    except ConnectionError:
        return got


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel cannot tell")
@pytest.mark.parametrize("transport", ["requests", pytest.param("fast", marks=MODERN)])
def test_who_takes_nothing_of_an_answer_loses_its_place(proxy, provider, model, transport):
    running = proxy(**STINGY, transport=transport)
    provider.plays([STREAM_HEAD, chunk(OPENING), *[WORDS] * 40, Stall()])
    with connected(running.port) as sock:
        body = ask(model, True)
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        pair = running.until(lambda: [one for one in running.lines("client") if one["model"] == model], 60, "no end")
        assert pair
    sound(running.record(model=model), outcome="client_abort", status=200, upstream_status=200)
    assert provider.heard[0].left_within(10), "the provider goes on for nobody"
    provider.plays([whole(TEXT.whole)])
    assert Call(running.port, ask(f"{model}-next")).rest().content == TEXT.whole


def test_who_takes_an_answer_slowly_but_takes_it_gets_all_of_it(proxy, provider, model):
    running = proxy(**STINGY)
    long = json.loads(TEXT.whole)
    long["choices"][0]["message"]["content"] = "word " * 400_000
    provider.plays([whole(json.dumps(long).encode())])
    with Call(running.port, ask(model)) as call:
        until = time.monotonic() + 3 * STINGY["client_timeout"]
        while time.monotonic() < until:
            call.got += call.sock.recv(100_000)
            time.sleep(0.3)
        assert call.rest(60).json == long


def test_silent_connections_keep_nobody_out(proxy, provider, model):
    running = proxy(**{**STINGY, "client_timeout": 60})
    with ExitStack() as open_ones:
        provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()], [whole(TEXT.whole)])
        busy = open_ones.enter_context(Call(running.port, ask(model, True)))
        busy.until(b"one")
        silent = [open_ones.enter_context(connected(running.port)) for _ in range(PLACES + 30)]
        began = [open_ones.enter_context(connected(running.port)) for _ in range(PLACES)]
        for sock in began:
            sock.sendall(b"GET /v1/models HTTP/1.1\r\nX-Slow: ")
        assert Call(running.port, ask(f"{model}-next")).rest().content == TEXT.whole
        assert ends(silent[0]) == ends(silent[29]) == b"", "who has waited longest makes room"
        provider.plays([whole(TEXT.whole)])
        assert Call(running.port, ask(f"{model}-last")).rest().content == TEXT.whole
        assert busy.silent_for(0.2), "an exchange makes no room"


@pytest.fixture()
def cramped(tmp_path, provider):
    """A proxy that may have 64 files open, and thinks of a thousand exchanges."""
    words = ["sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", sys.executable, "app.py", "--url", provider.url]
    words += ["--expose_host", "127.0.0.1", "--expose_port", "0", "--output_path", str(tmp_path)]
    running = ProxyProcess(words, tmp_path)
    yield running.ready(not_port=provider.port)
    assert running.stop(clean=False) == 0
    assert "only 64 are allowed" in running.stderr


def test_exchanges_that_there_are_no_descriptors_for_wait_for_their_turn(cramped, provider):
    provider.chooses(lambda heard: [Sleep(0.3), whole(TEXT.whole)])
    with ThreadPoolExecutor(40) as pool:
        calls = list(pool.map(lambda number: Call(cramped.port, ask(f"m{number}")).rest(60), range(40)))
    assert [call.content for call in calls] == [TEXT.whole] * 40
    cramped.records(40, outcome="complete")


def test_who_keeps_a_connection_after_its_answer_makes_room_for_those_that_wait(cramped, provider):
    provider.chooses(lambda heard: [Sleep(0.5), whole(TEXT.whole)])
    with ExitStack() as open_ones:
        kept = [("Connection", "keep-alive")]
        calls = [open_ones.enter_context(Call(cramped.port, ask(f"m{number}"), headers=kept)) for number in range(40)]
        for call in calls:
            call.until(TEXT.whole, 30)


def test_silent_connections_that_take_all_descriptors_keep_nobody_out(cramped, provider):
    with ExitStack() as open_ones:
        for _ in range(100):
            open_ones.enter_context(connected(cramped.port)).sendall(b"GET /heal")
        provider.plays([whole(TEXT.whole)])
        assert Call(cramped.port, ask("m")).rest(60).content == TEXT.whole


@pytest.fixture(scope="module")
def hosts(tmp_path_factory, _provider):
    """Hosts with little patience."""
    names = ("app.py", "gunicorn gthread", "gevent's own server")
    environ = {"FORWARD_URL": _provider.url, "FORWARD_CLIENT_TIMEOUT": "1"}
    started = {name: Host(name, tmp_path_factory.mktemp("journal"), **environ) for name in names}
    for host in started.values():
        host.ask("GET", "/healthz")
    yield started
    for host in started.values():
        host.end()


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ["app.py", "gunicorn gthread", "gevent's own server"])
def test_a_body_that_stops_coming_is_given_up_under_every_host(hosts, provider, name, half):
    provider.always(whole(b"{}"))
    with connected(hosts[name].port) as sock:
        sock.sendall(HALVES[half])
        assert sock.recv(65536).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("name", ["app.py", "gevent's own server"])
@pytest.mark.parametrize("half", [b"GET /heal", b"GET /healthz HTTP/1.1\r\nX-Slow: "])
def test_a_head_that_stops_coming_is_given_up_too(hosts, provider, name, half):
    with connected(hosts[name].port) as sock:
        sock.sendall(half)
        assert ends(sock)[:12] in (b"", b"HTTP/1.1 400")


@pytest.mark.parametrize("name", ["gunicorn gevent", "gunicorn gthread"])
def test_who_never_agrees_on_tls_is_given_up(tmp_path, provider, certificate, monkeypatch, name):
    words = [*HOSTS[name], "--certfile", str(certificate[0]), "--keyfile", str(certificate[1])]
    monkeypatch.setitem(HOSTS, "gunicorn TLS", words)
    host = Host("gunicorn TLS", tmp_path, FORWARD_URL=provider.url, FORWARD_CLIENT_TIMEOUT="1")
    try:
        until = time.monotonic() + 60
        while not answers(host):
            assert time.monotonic() < until and host.process.poll() is None
            time.sleep(0.05)
        for said in (b"\x16\x03\x01", b"GET /healthz HTTP/1.1\r\n\r\n"):
            with connected(host.port) as sock:
                sock.sendall(said)
                assert not ends(sock).startswith(b"HTTP")
        assert answers(host)
        os.killpg(host.process.pid, signal.SIGKILL)
        assert name == "gunicorn gthread" or "Traceback" not in host.process.stderr.read()
    finally:
        host.end()


def answers(host):
    """Whether it does, through TLS."""
    try:
        call = Call(host.port, method="GET", target="/healthz", context=ssl._create_unverified_context())
        return call.rest().status == 200
    except (OSError, AssertionError):
        return False
