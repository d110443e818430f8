"""Our own way through gunicorn's worker: what is plain, what is left to gunicorn, and what comes of a connection."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys

import pytest
from stories import whole

from proxy.host.heads import read_head
from proxy.host.incoming import Incoming
from proxy.host.saying import Saying

HEAD = b"POST /v1/chat/completions?a=%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nX-A-b:  c \r\n\r\n"
ASK = json.dumps({"model": "m", "messages": []}).encode()
ANSWER = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}).encode()


def head_of(data: bytes):
    """The head as a worker with gunicorn's usual limits reads it."""
    return read_head(data, 8190, 100)


def test_a_plain_head_is_what_wsgi_says_of_it():
    head = head_of(HEAD + b'{"a": "b"}')
    assert (head.size, head.length, head.closes) == (len(HEAD), 12, False)
    assert head.environ == {
        "REQUEST_METHOD": "POST",
        "RAW_URI": "/v1/chat/completions?a=%20b",
        "PATH_INFO": "/v1/chat/completions",
        "QUERY_STRING": "a=%20b",
        "HTTP_HOST": "x",
        "CONTENT_LENGTH": "12",
        "HTTP_X_A_B": "c",
    }


@pytest.mark.parametrize("said", [b"close", b"Close", b"keep-alive"])
def test_a_connection_is_closed_or_kept_as_its_head_says(said):
    head = head_of(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: " + said + b"\r\n\r\n")
    assert head.closes == (said.lower() == b"close")


def test_a_path_is_decoded_for_wsgi_and_kept_as_it_came():
    environ = head_of(b"GET /a%2Fb%E4?c#d HTTP/1.1\r\nHost: x\r\n\r\n".replace(b"#", b"%23")).environ
    assert (environ["PATH_INFO"], environ["RAW_URI"], environ["QUERY_STRING"]) == (
        "/a/b\xe4",
        "/a%2Fb%E4?c%23d",
        "c%23d",
    )


ODD = [
    b"GET / HTTP/1.0",
    b"GET / HTTP/1.1 ",
    b" GET / HTTP/1.1",
    b"\r\nGET / HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"GET * HTTP/1.1",
    b"GET http://x/ HTTP/1.1",
    b"GET /#a HTTP/1.1",
    b"GET /\xe4 HTTP/1.1",
    b"GET / HTTP/2.0",
    b"get / HTTP/1.1",
    b"CONNECT /a HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: y",
    b"GET / HTTP/1.1\r\nA: b\r\n c",
    b"GET / HTTP/1.1\r\nA: b\nC: d",
    b"GET / HTTP/1.1\r\nA: b\rC: d",
    b"GET / HTTP/1.1\r\nA: \0",
    b"GET / HTTP/1.1\r\nA : b",
    b"GET / HTTP/1.1\r\n: b",
    b"GET / HTTP/1.1\r\nA_b: c",
    b"GET / HTTP/1.1\r\nA: b\r\na: c",
    b"GET / HTTP/1.1\r\nContent-Length: +1",
    b"GET / HTTP/1.1\r\nContent-Length: 1, 1",
    b"GET / HTTP/1.1\r\nContent-Length: \xb2",
    b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
    b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
    b"GET / HTTP/1.1\r\nExpect: 100-continue",
    b"GET / HTTP/1.1\r\nUpgrade: websocket",
    b"GET / HTTP/1.1\r\nConnection: close, te",
    b"GET / HTTP/1.1\r\nA: " + b"b" * 9000,
    b"GET / HTTP/1.1" + b"".join(b"\r\nA%d: b" % number for number in range(101)),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:50])
def test_a_head_that_leaves_anything_open_is_left_to_gunicorn(odd):
    assert head_of(odd + b"\r\nHost: x\r\n\r\n") is None


def test_a_head_without_host_or_end_is_left_to_gunicorn():
    assert head_of(b"GET / HTTP/1.1\r\nA: b\r\n\r\n") is None
    assert head_of(b"GET / HTTP/1.1\r\nHost: x\r\n") is None


@pytest.fixture()
def pair():
    """Two ends of a connection."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def test_a_body_comes_as_it_comes_and_ends_where_it_ends(pair):
    here, there = pair
    there.sendall(b"cdefNEXT")
    body = Incoming(here, b"ab", 4)
    assert [body.read(9), body.read(3), body.read(9), body.read(9)] == [b"ab", b"cde", b"f", b""]
    assert body.spend(lambda: True) and here.recv(9) == b"NEXT"


def test_a_body_can_be_read_in_every_way_that_wsgi_names(pair):
    here, _ = pair
    assert Incoming(here, b"ab\ncd", 0).read() == b"ab\ncd"
    assert Incoming(here, b"ab\ncd", 0).readline() == b"ab\n"
    assert Incoming(here, b"ab\ncd", 0).readlines() == [b"ab\n", b"cd"]
    assert list(io.BufferedReader(Incoming(here, b"ab\ncd", 0))) == [b"ab\n", b"cd"]


def test_a_body_that_is_cut_never_seems_to_end(pair):
    here, there = pair
    there.sendall(b"c")
    there.shutdown(socket.SHUT_WR)
    body = Incoming(here, b"ab", 4)
    assert [body.read(9), body.read(9)] == [b"ab", b"c"]
    with pytest.raises(ConnectionResetError):
        body.read(9)
    assert not body.spend(lambda: True)


def said(pair, *blocks, status="200 OK", headers=(), bodiless=False, keeps=True):
    """What arrives of an answer, its head as a list of lines less the date."""
    here, there = pair
    saying = Saying(here, bodiless, keeps)
    saying.start(status, list(headers))
    for block in blocks:
        saying.write(block)
    saying.end()
    head, _, body = there.recv(65536).partition(b"\r\n\r\n")
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Date: ")], body


def test_an_answer_of_known_length_leaves_as_it_is_and_no_longer_than_that(pair):
    head, body = said(pair, b"ab", b"cdef", headers=[("Content-Length", "4"), ("A", "b")])
    assert head == [b"HTTP/1.1 200 OK", b"Server: gunicorn", b"Connection: keep-alive", b"Content-Length: 4", b"A: b"]
    assert body == b"ab" + b"cd"


def test_an_answer_of_unknown_length_leaves_in_chunks(pair):
    head, body = said(pair, b"", b"ab", b"", b"c" * 17, keeps=False)
    assert head[2:] == [b"Connection: close", b"Transfer-Encoding: chunked"]
    assert body == b"" or body.startswith(b"2\r\n")
    pair[1].settimeout(10)
    while not body.endswith(b"0\r\n\r\n"):
        body += pair[1].recv(65536)
    assert body == b"2\r\nab\r\n11\r\n" + b"c" * 17 + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "bodiless"), [("200 OK", True), ("204 NO CONTENT", False), ("304 NOT MODIFIED", False)]
)
def test_an_answer_without_a_body_has_none(pair, status, bodiless):
    head, body = said(pair, b"ab", status=status, bodiless=bodiless, headers=[("Content-Length", "2")])
    assert (b"Content-Length: 2" in head, body) == (not status.startswith("204"), b"")
    assert not any(line.startswith(b"Transfer-Encoding") for line in head)


def test_what_concerns_the_connection_is_not_the_applications_affair(pair):
    own = ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Date", "Server"]
    head, _ = said(pair, b"a", headers=[(name, "x") for name in own] + [("Content-Length", "1")])
    assert head == [b"HTTP/1.1 200 OK", b"Server: gunicorn", b"Connection: keep-alive", b"Content-Length: 1"]


@pytest.mark.parametrize(
    ("status", "name", "value"),
    [("200 OK\r\nX: y", "A", "b"), ("200 OK", "A\r\nB", "c"), ("200 OK", "A", "b\r\nC: d"), ("200 OK", "A", "\u20ac")],
)
def test_an_answer_that_would_be_two_is_none(pair, status, name, value):
    saying = Saying(pair[0], False, True)
    with pytest.raises(ValueError):
        saying.start(status, [(name, value)])
    assert not saying.begun


def test_requests_that_came_at_once_are_answered_in_turn_and_an_odd_one_by_gunicorn(proxy, provider):
    provider.always(whole(ANSWER))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(ASK)
    plain, odd = head + b"\r\n" + ASK, head + b"X_odd: 1\r\n\r\n" + ASK
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy().port), timeout=30) as sock:
        sock.sendall(plain + plain + odd + plain + last)
        got = b"".join(iter(lambda: sock.recv(65536), b""))
    assert got.count(b"HTTP/1.1 200 OK\r\n") == 5 and got.count(ANSWER) == 4
    assert got.count(b"Connection: keep-alive\r\n") == 4 and got.count(b"Connection: close\r\n") == 1
    assert [one.complete for one in provider.heard] == [True] * 4


def test_a_refused_body_is_read_to_its_end_and_the_next_request_found_behind_it(proxy, provider):
    provider.always(whole(ANSWER))
    port = proxy(max_ask_bytes=1000).port
    big = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(big + last)
        got = b"".join(iter(lambda: sock.recv(65536), b""))
    assert got.startswith(b"HTTP/1.1 413 ") and got.count(b"HTTP/1.1 200 OK\r\n") == 1


def test_a_refused_body_that_never_comes_ends_its_connection(proxy):
    port = proxy(url="demo:", max_ask_bytes=1000, client_timeout=0.5).port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\nabc")
        got = b"".join(iter(lambda: sock.recv(65536), b""))
    assert got.startswith(b"HTTP/1.1 413 ") and got.count(b"HTTP/1.1 ") == 1


WORKER = """
from gevent import monkey; monkey.patch_all()
import sys
from functools import partial
from gevent import socket
from gevent.server import StreamServer
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker
from config import gunicorn_options, load
from proxy.leaving import prepare

settings, options = load(["--url", "demo:"], {}), Config()
for name, value in {**gunicorn_options(settings), **dict(word.split("=") for word in sys.argv[1:])}.items():
    if name in options.settings:
        options.set(name, value)
worker = GeventWorker(1, 1, [], None, 30, options, Logger(options))

def told(environ, start):
    start("200 OK", [("Content-Length", "8")])
    return [type(environ["wsgi.input"]).__name__.encode().ljust(8)]

worker.wsgi = told
prepare(worker, settings)
listener = socket.create_server(("127.0.0.1", 0))
server = StreamServer(listener, partial(worker.handle, listener))
server.start()
for more in ("", "X_a: b\\r\\n"):
    with socket.create_connection(listener.getsockname(), timeout=20) as client:
        client.sendall(f"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n{more}\\r\\n".encode())
        print(b"".join(iter(lambda: client.recv(999), b"")).split(b"\\r\\n\\r\\n")[1].decode())
server.stop()
"""


@pytest.mark.parametrize(
    ("more", "readers"),
    [([], ["Incoming", "Body"]), (["forwarded_allow_ips=127.0.0.1"], ["Body"] * 2), (["accesslog=-"], ["Body"] * 2)],
)
def test_a_worker_serves_plain_requests_itself_unless_gunicorn_was_asked_for_more(more, readers):
    done = subprocess.run([sys.executable, "-c", WORKER, *more], capture_output=True, text=True, timeout=60)
    said = [line.strip() for line in done.stdout.splitlines() if line.startswith(("Incoming", "Body"))]
    assert said == readers, done.stderr
