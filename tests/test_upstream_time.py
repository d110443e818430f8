"""How long anything may take, what the failures are called, and letting go at once."""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests.exceptions
import urllib3.exceptions
from raw_server import RawServer
from test_upstream import CHUNKED, OK, answering, code_of, get, keeping, raw, tls  # noqa: F401 - raw and tls are fixtures

from config import Settings
from proxy.errors import FAILURES, ProxyError
from proxy.upstream import failures
from proxy.upstream.failures import SILENCE, TABLE, TEXTS, Timeouts
from proxy.upstream.failures import code_of as code_for
from proxy.upstream.provider import Provider

pytestmark = pytest.mark.timed

ROOT = Path(__file__).resolve().parent.parent


def silent(peer):
    peer.head()
    peer.stop.wait(5)


def failing(call):
    """The failure of a call and how long it took, in seconds."""
    began = time.monotonic()
    with pytest.raises(ProxyError) as caught:
        call()
    return caught.value.failed, time.monotonic() - began


# Limits


@pytest.fixture()
def blackhole():
    """An address at which connections are neither accepted nor refused: a listener whose queue is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    for _ in range(4):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(listener.getsockname())
    time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    for one in [listener, *waiting]:
        one.close()


@pytest.mark.parametrize(
    "limits, told", [({"timeout": 100}, "0.1 s"), ({"timeout": 9000, "connect_timeout": 150}, "0.15 s")]
)
def test_a_connection_has_a_limit(blackhole, transport, limits, told):
    door = Provider(Settings(url=blackhole, transport=transport, **limits))
    failed, took = failing(lambda: get(door))
    assert (failed.status, failed.code, failed.outcome) == (504, "connect_timeout", "timeout_connect")
    assert told in failed.message and "--connect_timeout" in failed.message and took < 0.6


def test_a_handshake_is_part_of_the_connection(raw, transport):  # noqa: F811
    _, server = raw(silent)
    url = server.url.replace("http:", "https:")
    door = Provider(Settings(url=url, timeout=9000, connect_timeout=100, transport=transport))
    failed, took = failing(lambda: get(door))
    assert (failed.code, took < 0.6) == ("connect_timeout", True)


@pytest.mark.parametrize("limits", [{"timeout": 100}, {"timeout": 9000, "first_byte_timeout": 100}])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_the_first_byte_has_a_limit(raw, tls, certificate, limits, secure):  # noqa: F811
    door, server = raw(silent, tls if secure else None, ca_bundle=str(certificate[0]), connect_timeout=3000, **limits)
    failed, took = failing(lambda: get(door))
    assert (failed.status, failed.code, failed.outcome) == (504, "first_byte_timeout", "timeout_first_byte")
    assert "0.1 s" in failed.message and "--mode stream" in failed.message and took < 0.6


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\n\r\n", CHUNKED, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"]
)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_each_next_byte_has_a_limit_of_its_own(raw, tls, certificate, begin, secure):  # noqa: F811
    def play(peer):
        peer.head()
        peer.stop.wait(0.15)
        peer.say(begin)
        piece = b"1\r\nx\r\n" if begin == CHUNKED else b"x"
        peer.say(piece, piece, piece, piece, pause=0.04)
        peer.stop.wait(5)

    door, server = raw(
        play,
        tls if secure else None,
        ca_bundle=str(certificate[0]),
        timeout=100,
        first_byte_timeout=3000,
        connect_timeout=3000,
    )
    answer, heard = get(door), []
    failed, took = failing(lambda: [heard.append(piece) for piece in answer.pieces()])
    assert (failed.status, failed.code, failed.outcome, heard) == (504, "idle_timeout", "timeout_idle", [b"x"] * 4)
    assert "0.1 s" in failed.message and "--timeout" in failed.message and 0.2 < took < 0.9


def test_a_call_may_bring_its_own_limits(raw):  # noqa: F811
    door, _ = raw(silent, timeout=9000)
    failed, took = failing(lambda: get(door, timeouts=Timeouts(5, 0.05, 5)))
    assert (failed.code, took < 0.5) == ("first_byte_timeout", True)


def test_limits_default_to_the_timeout():
    of = lambda **more: Provider(Settings(url="http://h", **more)).timeouts  # noqa: E731
    assert of(timeout=2500) == (2.5, 2.5, 2.5)
    assert of(timeout=2500, connect_timeout=100, first_byte_timeout=9000) == (0.1, 9.0, 2.5)


# What failures are called


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_an_unknown_name_is_told_as_such(transport):
    door = Provider(Settings(url="http://nonexistent.invalid:81/v1?key=sk-1", timeout=2000, transport=transport))
    failed, _ = failing(lambda: get(door))
    assert (failed.status, failed.code) == (502, "dns_failure")
    assert "nonexistent.invalid:81" in failed.message


def test_a_refused_connection_is_told_as_such(transport):
    host = closed_port()
    url = f"http://user:sk-1@{host}/v1?key=sk-2"
    failed, _ = failing(lambda: get(Provider(Settings(url=url, timeout=2000, transport=transport))))
    assert (failed.status, failed.code) == (502, "connection_refused")
    assert host in failed.message and "sk-" not in failed.message and "user" not in failed.message


def test_an_untrusted_certificate_is_told_as_such(raw, tls):  # noqa: F811
    door, _ = raw(keeping(OK), tls)
    failed, _ = failing(lambda: get(door))
    assert (failed.status, failed.code) == (502, "tls_failure")
    assert "self" in failed.message and "certificate" in failed.message


def test_a_certificate_for_another_name_is_told_as_such(raw, tls, certificate, transport):  # noqa: F811
    _, server = raw(keeping(OK), tls)
    url = server.url.replace("127.0.0.1", "127.1")
    door = Provider(Settings(url=url, ca_bundle=str(certificate[0]), transport=transport))
    failed, _ = failing(lambda: get(door))
    assert (failed.code, "certificate" in failed.message) == ("tls_failure", True)


@pytest.mark.parametrize("play", [answering(b"HTTP/1.1 400 Bad\r\n\r\n"), lambda peer: peer.close()])
def test_a_provider_without_tls_is_told_as_such(raw, play, transport):  # noqa: F811
    def speak(peer):
        peer.sock.recv(1)
        peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.wait()

    _, server = raw(speak)
    url = server.url.replace("http:", "https:")
    failed, _ = failing(lambda: get(Provider(Settings(url=url, timeout=2000, transport=transport))))
    assert (failed.status, failed.code) == (502, "tls_failure")


def test_a_dead_outbound_proxy_is_named_and_its_password_is_not():
    host = closed_port()
    for url in ("http://h.invalid/v1", "https://h.invalid/v1"):
        door = Provider(Settings(url=url, proxy=f"http://user:sk-1@{host}", timeout=2000))
        failed, _ = failing(lambda door=door: get(door))
        assert failed.code == "connection_refused"
        assert f"outbound proxy {host}" in failed.message and "sk-" not in failed.message


def test_a_refused_tunnel_is_told_with_its_status(raw):  # noqa: F811
    _, server = raw(answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nX: sk-1\r\n\r\n"))
    failed, _ = failing(lambda: get(Provider(Settings(url="https://h.invalid/v1", proxy=server.url, timeout=2000))))
    assert failed.code == "upstream_unreachable"
    assert "407" in failed.message and "sk-" not in failed.message


def exceptions_of(module):
    found = [one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, Exception)]
    return [one for one in found if not issubclass(one, Warning) and one.__module__ == module.__name__]


@pytest.mark.parametrize("kind", exceptions_of(urllib3.exceptions) + exceptions_of(requests.exceptions))
def test_every_exception_of_the_libraries_has_a_row(kind):
    assert issubclass(kind, failures.FOREIGN)
    assert any(issubclass(kind, kinds) for kinds, _ in TABLE)


def test_there_are_exceptions_to_check():
    assert len(exceptions_of(urllib3.exceptions)) > 30
    assert len(exceptions_of(requests.exceptions)) > 20


def test_every_code_of_the_table_has_a_meaning_and_a_text():
    codes = {code for _, code in TABLE} - {SILENCE} | set(failures.WAITED_FOR.values())
    assert codes == set(TEXTS)
    assert codes <= set(FAILURES)


def test_the_inner_cause_counts():
    refused = urllib3.exceptions.NewConnectionError(None, "x")
    refused.__cause__ = ConnectionRefusedError(111, "Connection refused")
    wrapped = requests.exceptions.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", refused))
    assert code_for(wrapped)[0] == "connection_refused"
    assert code_for(requests.exceptions.ConnectionError("x"))[0] == "upstream_unreachable"


# Letting go


def test_a_body_left_unread_closes_the_socket_at_once(raw):  # noqa: F811
    def play(peer):
        peer.head()
        peer.say(CHUNKED + b"1\r\nx\r\n")
        peer.wait()

    door, server = raw(play)
    answer = get(door)
    assert next(answer.pieces()) == b"x"
    closed = time.monotonic()
    answer.close()
    answer.close()
    server.threads[-1].join(1)
    assert server.peers[0].left - closed < 0.1
    assert code_of(lambda: list(answer.pieces())) == "stream_truncated"


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\n\r\n", CHUNKED, CHUNKED + b"1\r\nx\r\n5", b"HTTP/1.0 200 OK\r\n\r\nx"]
)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_closing_from_another_thread_ends_a_read_and_not_as_an_end(raw, tls, certificate, begin, secure):  # noqa: F811
    def play(peer):
        peer.head()
        peer.say(begin)
        peer.wait()

    door, server = raw(play, tls if secure else None, ca_bundle=str(certificate[0]), timeout=9000)
    answer = get(door)
    threading.Timer(0.1, answer.close).start()
    failed, took = failing(lambda: list(answer.pieces()))
    assert (failed.code, took < 0.5) == ("stream_truncated", True)
    server.threads[-1].join(1)
    assert server.peers[0].left is not None


@pytest.mark.parametrize("wire", [CHUNKED + b"1\r\nx\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"])
def test_a_body_that_was_cut_is_never_whole_however_often_it_is_asked(raw, wire):  # noqa: F811
    door, _ = raw(answering(wire))
    answer = get(door)
    first = answer.pieces()
    assert next(first) == b"x"
    first.close()
    for _ in range(3):
        assert code_of(lambda: list(answer.pieces())) == "stream_truncated"
    assert code_of(lambda: answer.read(9)) == "stream_truncated"


def test_an_answer_whose_last_byte_was_taken_leaves_the_connection_to_others(raw):  # noqa: F811
    door, server = raw(keeping(OK, OK))
    first = get(door)
    assert next(first.pieces()) == b"ok"
    second = get(door)
    first.close()
    assert second.read(9) == b"ok"
    assert (len(server.peers), list(first.pieces())) == (1, [])


def test_lingering_keeps_a_connection_whose_end_comes_soon(raw):  # noqa: F811
    def play(peer):
        for _ in range(2):
            peer.head()
            peer.say(CHUNKED, b"6\r\n[DONE]\r\n", b"0\r\n\r\n", pause=0.03)
        peer.wait()

    door, server = raw(play)
    for _ in range(2):
        answer = get(door)
        assert next(answer.pieces()) == b"[DONE]"
        answer.close(linger=1)
    assert (len(server.peers), server.requests) == (1, 2)


@pytest.mark.parametrize("after", [b"", b"5\r\nhello\r\n" * 99999], ids=["silence", "a flood"])
def test_lingering_has_an_end(raw, after):  # noqa: F811
    def play(peer):
        peer.head()
        peer.say(CHUNKED + b"6\r\n[DONE]\r\n", after)
        peer.wait()

    door, server = raw(play)
    answer = get(door)
    assert next(answer.pieces()) == b"[DONE]"
    began = time.monotonic()
    answer.close(linger=0.1)
    assert time.monotonic() - began < 0.5
    server.threads[-1].join(1)
    assert server.peers[0].left is not None


def test_nothing_stays_open(raw):  # noqa: F811
    count = lambda: len(os.listdir("/proc/self/fd"))  # noqa: E731
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    endings = [
        OK,
        CHUNKED + b"1\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nx",
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX",
    ]
    door, server = raw(lambda peer: None, timeout=300)
    before = count()
    for ending in endings:
        server.play = answering(ending)
        for _ in range(5):
            with suppress(ProxyError):
                get(door).close()
    door.close()
    for thread in server.threads[1:]:
        thread.join(1)
    assert count() <= before


# Under gevent

GREEN = """
from gevent import monkey; monkey.patch_all()
import gevent, os, sys, time
from raw_server import RawServer
from config import Settings
from proxy.errors import ProxyError
from proxy.upstream.provider import Provider

CHUNKED = b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
ended = []

def tokens(peer):
    while peer.head():
        peer.say(CHUNKED)
        for _ in range(3):
            time.sleep(0.1)
            peer.say(b"12\\r\\n%018.6f\\r\\n" % time.monotonic())
        peer.say(b"0\\r\\n\\r\\n")

def stalling(peer):
    peer.head()
    peer.say(CHUNKED + b"1\\r\\nx\\r\\n5")
    peer.wait()
    ended.append(time.monotonic())

def closing(peer):
    peer.head()
    peer.say(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

def refusing(peer):
    peer.head()
    peer.say(b"HTTP/1.1 413 No\\r\\nContent-Length: 2\\r\\n\\r\\nno")
    time.sleep(3)

def door_to(play):
    server = RawServer(play)
    return Provider(Settings(url=server.url, timeout=3000, transport=sys.argv[1])), server

def ask(door, **more):
    return door.send("GET", door.target("/x", ""), [], **more)

def late(door):
    return [time.monotonic() - float(piece) for piece in ask(door).pieces()]

door, server = door_to(tokens)
began = time.monotonic()
jobs = [gevent.spawn(late, door) for _ in range(2)]
gevent.joinall(jobs, raise_error=True)
assert time.monotonic() - began < 0.5, "two streams do not interleave"
assert all(len(job.value) == 3 and max(job.value) < 0.03 for job in jobs), [job.value for job in jobs]
assert late(door) and len(server.peers) == 2

door, server = door_to(stalling)
fds = len(os.listdir("/proc/self/fd"))
def let_go(how):
    answer = ask(door)
    pieces = answer.pieces()
    next(pieces)
    job = gevent.spawn(lambda: list(pieces))
    gevent.sleep(0.05)
    began = time.monotonic()
    answer.close() if how == "close" else job.kill()
    job.join(1)
    assert job.dead and time.monotonic() - began < 0.2
    answer.close()
    gevent.sleep(0.05)
    assert ended.pop() - began < 0.2
    if how == "close":
        assert isinstance(job.exception, ProxyError) and job.exception.failed.code == "stream_truncated", job.exception
for how in ("close", "kill", "close", "kill"):
    let_go(how)
assert len(os.listdir("/proc/self/fd")) <= fds, "a socket stays open"

waiting = gevent.spawn(ask, door_to(lambda peer: (peer.head(), peer.wait(), ended.append(1)))[0])
gevent.sleep(0.05)
waiting.kill()
gevent.sleep(0.05)
assert ended.pop() == 1, "a killed ask that waited for its status leaves its socket open"

door, server = door_to(closing)
for _ in range(5):
    assert ask(door).read(9) == b"ok"
    gevent.sleep(0.01)
assert [peer.heard.count(b"GET ") for peer in server.peers] == [1] * 5

door, server = door_to(refusing)
began = time.monotonic()
answer = door.send("POST", door.target("/x", ""), [], (bytes(65536) for _ in range(4000)))
assert (answer.status, answer.read(9)) == (413, b"no") and time.monotonic() - began < 1
print("all is well")
sys.stdout.flush()
os._exit(0)
"""


def test_under_gevent_streams_interleave_and_killing_one_closes_its_socket(transport):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environ = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run(
        [sys.executable, "-c", GREEN, transport], env=environ, capture_output=True, timeout=30, check=False
    )
    assert ran.stdout.decode().strip() == "all is well", ran.stderr.decode()


def test_nothing_here_needs_a_network(transport):
    server = RawServer(keeping(OK))
    assert get(Provider(Settings(url=server.url, transport=transport))).read(9) == b"ok"
    server.close()
