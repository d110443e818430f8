"""Sending: nothing twice, nothing on a dead connection, early answers heard, and constant memory."""

from __future__ import annotations

import threading
import time
import tracemalloc

import pytest
from raw_server import RawServer
from test_upstream import CHUNKED, OK, code_of, get, keeping, raw, tls  # noqa: F401 - raw and tls are fixtures

from config import Settings
from proxy.errors import ProxyError
from proxy.upstream.choice import kind_of
from proxy.upstream.provider import Provider

SHAPES = {
    "GET": ("GET", None),
    "GET with a body": ("GET", b"x" * 9),
    "POST": ("POST", None),
    "POST with a body": ("POST", b"x" * 9),
    "POST of pieces": ("POST", [b"x" * 9]),
    "PUT": ("PUT", b"x" * 9),
    "DELETE": ("DELETE", None),
}


def before_the_status(peer):
    peer.head()
    peer.reset()


def closing_before_the_status(peer):
    peer.head()


def half_a_status(peer):
    peer.head()
    peer.say(b"HTTP/1.1 2")


def half_the_body(peer):
    peer.head()
    peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    peer.reset()


def half_the_head(peer):
    peer.head()
    peer.say(b"HTTP/1.1 200 OK\r\nContent-Le")
    peer.reset()


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize(
    "play", [before_the_status, closing_before_the_status, half_a_status, half_the_body, half_the_head]
)
def test_nothing_is_sent_twice_whatever_breaks(raw, shape, play):  # noqa: F811
    door, server = raw(play)
    method, body = SHAPES[shape]
    with pytest.raises(ProxyError):
        door.send(method, door.target("/v1/x", ""), [], iter(body) if isinstance(body, list) else body).read(99)
    time.sleep(0.01)
    assert (server.requests, len(server.peers)) == (1, 1)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_kept_connection_that_breaks_under_a_request_is_not_tried_again(raw, shape):  # noqa: F811
    def play(peer):
        peer.head()
        peer.say(OK)
        peer.head()
        peer.reset()

    door, server = raw(play)
    get(door).read(9)
    method, body = SHAPES[shape]
    with pytest.raises(ProxyError) as caught:
        door.send(method, door.target("/v1/x", ""), [], body)
    time.sleep(0.01)
    assert caught.value.failed.code == "connection_reset"
    assert caught.value.failed.status == 502
    assert caught.value.headers == [("x-should-retry", "true")]
    assert (server.requests, len(server.peers)) == (2, 1)


@pytest.mark.parametrize("end", ["close", "reset", "unasked bytes"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_kept_connection_that_was_closed_meanwhile_is_noticed(raw, tls, certificate, shape, secure, end):  # noqa: F811
    heard, ended = threading.Event(), threading.Event()

    def play(peer):
        if ended.is_set():
            peer.head()
            peer.say(OK)
            return
        peer.head()
        peer.say(OK)
        if end == "unasked bytes":
            peer.say(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            ended.set()
            peer.wait()
        assert heard.wait(2)
        peer.reset() if end == "reset" else peer.close()
        ended.set()

    door, server = raw(play, tls if secure else None, ca_bundle=str(certificate[0]))
    get(door).read(9)
    heard.set()
    assert ended.wait(2)
    time.sleep(0.02)
    method, body = SHAPES[shape]
    assert door.send(method, door.target("/v1/x", ""), [], body).read(9) == b"ok"
    assert [peer.heard.count(b" HTTP/1.1\r\n") for peer in server.peers] == [1, 1]


def test_a_connection_is_kept_and_used_again(raw, tls, certificate):  # noqa: F811
    chunked = CHUNKED + b"2\r\nok\r\n0\r\n\r\n"
    for context in (None, tls):
        door, server = raw(keeping(OK, chunked, b"HTTP/1.1 204 No\r\n\r\n", OK), context, ca_bundle=str(certificate[0]))
        assert [get(door).read(9) for _ in range(4)] == [b"ok", b"ok", b"", b"ok"]
        assert len(server.peers) == 1


def test_as_many_connections_are_kept_as_there_were_exchanges_at_once(raw):  # noqa: F811
    door, server = raw(keeping(OK, OK), max_exchanges=20)
    for _ in range(2):
        answers = [get(door) for _ in range(20)]
        assert [answer.read(9) for answer in answers] == [b"ok"] * 20
    assert len(server.peers) == 20


def test_more_exchanges_than_places_do_not_wait(raw):  # noqa: F811
    door, server = raw(keeping(OK, OK), max_exchanges=2)
    answers = [get(door) for _ in range(5)]
    assert [answer.read(9) for answer in answers] == [b"ok"] * 5
    time.sleep(0.05)
    assert sum(peer.left is not None for peer in server.peers) == 3


def test_a_connection_that_was_idle_for_too_long_is_dropped(raw, transport):  # noqa: F811
    door, server = raw(keeping(OK, OK))
    door._session.mount("http://", kind_of(Settings(transport=transport))(10, keep=0.5))
    get(door).read(9)
    get(door).read(9)
    time.sleep(0.6)
    get(door).read(9)
    assert [peer.heard.count(b"GET ") for peer in server.peers] == [2, 1]
    end = time.monotonic() + 10
    while server.peers[0].left is None and time.monotonic() < end:
        time.sleep(0.005)
    assert server.peers[0].left is not None


# Uploads


def endless(piece, sent, most=4000):
    for _ in range(most):
        sent.append(1)
        yield piece


REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"


@pytest.mark.timed
@pytest.mark.parametrize("ending", ["stays and reads nothing", "closes", "resets", "reads on"])
@pytest.mark.parametrize("length", [None, 4000 * 65536], ids=["chunked", "length"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_an_early_refusal_of_an_upload_reaches_the_caller(raw, tls, certificate, secure, length, ending):  # noqa: F811
    def play(peer):
        peer.head()
        peer.body(100_000)
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n", REFUSAL, pause=0.01)
        if ending == "resets":
            peer.stop.wait(0.05)
            peer.reset()
        elif ending == "reads on":
            peer.wait()
        elif ending != "closes":
            peer.stop.wait(5)

    door, server = raw(play, tls if secure else None, ca_bundle=str(certificate[0]), timeout=3000)
    sent, began = [], time.monotonic()
    answer = door.send("POST", door.target("/v1/files", ""), [], endless(bytes(65536), sent), length=length)
    assert (answer.status, answer.read(99)) == (413, b"big")
    assert time.monotonic() - began < 2 and len(sent) < 4000
    assert get_refused(door, server)


def get_refused(door, server):
    """The connection of an upload that was cut short is not used again."""
    before = len(server.peers)
    with pytest.raises(ProxyError):
        get(door, timeouts=door.timeouts._replace(first_byte=0.03))
    return len(server.peers) == before + 1


def test_interim_answers_do_not_end_an_upload(raw):  # noqa: F811
    def play(peer):
        peer.head()
        for _ in range(3):
            peer.body(65536)
            peer.say(b"HTTP/1.1 100 Cont", b"inue\r\nX: y\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n", pause=0.01)
        peer.body(97 * 65536)
        peer.say(OK)
        peer.head()
        peer.say(OK)

    door, server = raw(play)
    answer = door.send("POST", door.target("/v1/x", ""), [], endless(bytes(65536), [], 100), length=100 * 65536)
    assert (answer.status, answer.read(9)) == (200, b"ok")
    assert get(door).read(9) == b"ok" and len(server.peers) == 1


def test_a_provider_that_takes_no_more_is_given_up(raw):  # noqa: F811
    door, server = raw(lambda peer: (peer.head(), peer.stop.wait(5)), timeout=150)
    sent = []
    assert (
        code_of(lambda: door.send("POST", door.target("/v1/x", ""), [], endless(bytes(65536), sent))) == "idle_timeout"
    )
    assert len(sent) < 4000


@pytest.mark.parametrize(
    "problem", [OSError("client"), ConnectionResetError(104, "client"), KeyError("x"), TimeoutError()]
)
def test_what_the_body_raises_is_not_taken_for_the_provider(raw, problem):  # noqa: F811
    def body():
        yield b"begin"
        raise problem

    door, server = raw(lambda peer: peer.wait())
    with pytest.raises(type(problem)) as caught:
        door.send("POST", door.target("/v1/x", ""), [], body())
    assert caught.value is problem
    time.sleep(0.05)
    assert server.peers[0].left is not None


@pytest.mark.parametrize("pieces, code", [([b"ab"], "client_left"), ([b"ab", b"cd"], "invalid_value")])
def test_a_body_of_another_length_is_never_completed(raw, pieces, code):  # noqa: F811
    door, server = raw(lambda peer: peer.wait())
    assert code_of(lambda: door.send("POST", door.target("/v1/x", ""), [], iter(pieces), length=3)) == code
    time.sleep(0.05)
    assert server.peers[0].heard.endswith(b"\r\n\r\nab") and server.peers[0].left is not None


@pytest.mark.parametrize("length", [None, 50 << 20], ids=["chunked", "length"])
def test_an_upload_and_a_download_cost_no_memory(raw, length):  # noqa: F811
    size, page = 50 << 20, bytearray(65536)

    def play(peer):
        framing = 0 if length else (size >> 16) * len(b"10000\r\n\r\n") + len(b"0\r\n\r\n")
        left = size + framing + len(peer.head()) - len(peer.heard)
        while left > 0:
            left -= peer.sock.recv_into(page)
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 16):
            peer.say(page)

    door, _ = raw(play)
    tracemalloc.start()
    answer = door.send("POST", door.target("/v1/x", ""), [], (bytes(65536) for _ in range(size >> 16)), length=length)
    assert sum(map(len, answer.pieces())) == size
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_door_to_nowhere_is_not_opened_by_a_request(transport):
    server = RawServer(keeping(OK))
    door = Provider(Settings(url=server.url, transport=transport))
    assert not server.peers
    assert get(door).read(9) == b"ok"
    door.close()
    server.close()
