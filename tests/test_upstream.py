"""The provider's door over real sockets: what leaves, and what is understood of what comes back."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import zlib

import pytest
from raw_server import RawServer

from config import Settings
from proxy.errors import ProxyError
from proxy.upstream.decoding import undone
from proxy.upstream.provider import Provider

GZIPPED = gzip.compress(b"hello", mtime=0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture()
def raw(transport):
    """Starts a raw server for a play, and a provider's door to it, through each transport."""
    opened = []

    def start(play, context=None, **settings):
        server = RawServer(play, context)
        settings = {"timeout": 2000, "transport": transport, **settings}
        door = Provider(Settings(**{"url": server.url + "/v1", **settings}))
        opened.extend([door, server])
        return door, server

    yield start
    for one in opened:
        one.close()


def answering(*parts, pause=0.0):
    """A play that answers one request with ``parts`` and closes."""

    def play(peer):
        peer.head()
        peer.say(*parts, pause=pause)

    return play


def keeping(*answers):
    """A play that gives one answer to each request and stays."""

    def play(peer):
        for answer in answers:
            if not peer.head():
                return
            peer.say(answer)
        peer.wait()

    return play


def get(door, path="/v1/x", **more):
    return door.send("GET", door.target(path, ""), [], **more)


def code_of(call):
    with pytest.raises(ProxyError) as caught:
        call()
    return caught.value.failed.code


# What leaves


@pytest.mark.parametrize(
    "path, query, line",
    [
        ("/v1/models/a%2Fb%2fc", "", b"/v1/models/a%2Fb%2fc"),
        ("/v1/../../x/./y", "", b"/v1/../../x/./y"),
        ("//evil.example/x", "", b"//evil.example/x"),
        ("http://evil.example/v1/x", "a=1", b"/v1/x?a=1"),
        ("/v1/ft:gpt-4o:org::id", "include[]=a&include[]=b", b"/v1/ft:gpt-4o:org::id?include[]=a&include[]=b"),
        ("/v1/caf\xc3\xa9 b", 'q="x"', b"/v1/caf%C3%A9%20b?q=%22x%22"),
        ("/v1/x\r\nHost: evil", "a\r\nX: y\x00", b"/v1/x%0D%0AHost:%20evil?a%0D%0AX:%20y%00"),
        ("/v1/x#y?z", "", b"/v1/x%23y%3Fz"),
        ("/v1/100%", "a=%zz", b"/v1/100%?a=%zz"),
    ],
)
def test_the_request_line_is_the_path_as_given(raw, path, query, line):
    door, server = raw(answering(OK))
    door.send("GET", door.target(path, query), []).read(9)
    assert server.peers[0].heard.startswith(b"GET " + line + b" HTTP/1.1\r\nHost: " + server.host.encode() + b"\r\n")


def test_headers_leave_as_given_and_repeated_and_nothing_is_added(raw):
    door, server = raw(answering(OK))
    given = [("X-One", "1"), ("x-two", "caf\xe9"), ("X-One", "2"), ("Authorization", "sk")]
    door.send("GET", door.target("/v1/x", ""), given, decode=False).read(9)
    lines = server.peers[0].heard.split(b"\r\n")[2:-2]
    assert sorted(lines) == sorted([b"X-One: 1", b"x-two: caf\xe9", b"X-One: 2", b"Authorization: sk"])


@pytest.mark.parametrize("accepted, decode, sent", [("br", True, b"identity"), ("br", False, b"br")])
def test_the_callers_accept_encoding_counts_unless_we_decode(raw, accepted, decode, sent):
    door, server = raw(answering(OK))
    door.send("GET", door.target("/v1/x", ""), [("Accept-Encoding", accepted)], decode=decode).read(9)
    assert server.peers[0].heard.count(b"ccept-") == server.peers[0].heard.count(b"ccept-Encoding: " + sent) == 1


@pytest.mark.parametrize(
    "name, value", [("X-A", "a\r\nX: b"), ("X A", "a"), ("X-A", "\u20ac"), ("X-A", "a\x00"), ("", "")]
)
def test_a_header_that_is_no_header_never_leaves(raw, name, value):
    door, server = raw(answering(OK))
    assert code_of(lambda: door.send("GET", door.target("/v1/x", ""), [(name, value)])) == "invalid_value"
    assert not server.peers


def test_fixed_headers_replace_the_clients_and_userinfo_serves_where_the_client_shows_nothing(raw, transport):
    door, server = raw(keeping(OK, OK))
    url = server.url.replace("://", "://me:p%40ss@")
    door = Provider(Settings(url=url, header=("X-Fixed: ours",), timeout=2000, transport=transport))
    door.send("GET", door.target("/v1/x", ""), [("x-fixed", "theirs")]).read(9)
    door.send("GET", door.target("/v1/x", ""), [("authorization", "Bearer sk")]).read(9)
    first, second = server.peers[0].heard.split(b"GET ")[1:]
    assert b"X-Fixed: ours" in first and b"theirs" not in first
    assert b"Authorization: Basic bWU6cEBzcw==" in first
    assert b"authorization: Bearer sk" in second and b"Basic" not in second
    assert "p@ss" not in door.where and "me" not in door.where
    door.close()


def test_a_url_of_another_host_is_not_sent(raw):
    door, server = raw(answering(OK))
    for url in ("http://evil.example/x", server.url + ".evil.example/x", server.url + "@evil.example/"):
        with pytest.raises(ValueError):
            door.send("GET", url, [])
    assert not server.peers


# How a body is framed


@pytest.mark.parametrize(
    "method, body, length, framing, sent",
    [
        ("POST", b'{"a": 1}', None, b"Content-Length: 8", b'{"a": 1}'),
        ("POST", None, None, b"Content-Length: 0", b""),
        ("POST", b"", None, b"Content-Length: 0", b""),
        ("GET", None, None, b"", b""),
        ("GET", b"", None, b"", b""),
        ("GET", b"xy", None, b"Content-Length: 2", b"xy"),
        ("DELETE", None, None, b"", b""),
        ("PUT", [b"ab", b"", b"c"], 3, b"Content-Length: 3", b"abc"),
        ("PUT", [], 0, b"Content-Length: 0", b""),
        ("PUT", [b"ab", b"", b"c"], None, b"Transfer-Encoding: chunked", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        ("GET", [b"ab"], None, b"Transfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n"),
        ("PUT", [], None, b"Transfer-Encoding: chunked", b"0\r\n\r\n"),
    ],
)
def test_a_body_is_framed_in_exactly_one_way(raw, method, body, length, framing, sent):
    def play(peer):
        peer.head()
        peer.chunks() if b"chunked" in framing else peer.body(len(sent))
        peer.say(OK)

    door, server = raw(play)
    given = [("Content-Length", "77"), ("Transfer-Encoding", "gzip"), ("Host", "evil"), ("Expect", "100-continue")]
    body = iter(body) if isinstance(body, list) else body
    door.send(method, door.target("/v1/x", ""), given, body, length=length).read(9)
    head, _, rest = server.peers[0].heard.partition(b"\r\n\r\n")
    found = [line for line in head.split(b"\r\n") if line.startswith((b"Content-Length", b"Transfer-Encoding"))]
    assert (found, rest) == ([framing] if framing else [], sent)
    assert b"evil" not in head and b"Expect" not in head


# What comes back


CODED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\nContent-Length: 7\r\n\r\n"
TWICE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "wire, status, body",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: 1\r\n\r\n", 200, b"hello"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + OK, 200, b"ok"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, b""),
        (b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", 599, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok more", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok more", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nX(a): b\r\nContent-Length: 2\r\n\r\nok more", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok more", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (TWICE + b"2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (CODED % b"gzip, chunked" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(GZIPPED), GZIPPED), 200, b"hello"),
        (CODED % b"gzip" + GZIPPED, 200, b"hello"),
        (b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n", 304, b""),
    ],
)
@pytest.mark.parametrize("cut", [False, True], ids=["at once", "byte by byte"])
def test_every_framing_of_an_answer_is_understood(raw, wire, status, body, cut):
    parts = [wire[i : i + 1] for i in range(len(wire))] if cut else [wire]
    door, server = raw(answering(*parts))
    answer = get(door)
    assert (answer.status, answer.read(99)) == (status, body)
    assert server.requests == 1


@pytest.mark.parametrize("status", [301, 307, 413, 429, 503])
def test_nothing_is_followed_or_tried_again_whatever_an_answer_says(raw, status):
    head = b"HTTP/1.1 %d Oh\r\nRetry-After: 0\r\nLocation: /v1/y\r\nContent-Length: 0\r\n\r\n" % status
    door, server = raw(keeping(head, head))
    answer = get(door)
    assert (answer.status, answer.read(9), server.requests) == (status, b"", 1)


@pytest.mark.parametrize("coding, want", [("gzip", b"hello"), ("br", GZIPPED), ("", GZIPPED)])
def test_a_relayed_body_can_be_looked_into(coding, want):
    assert undone(GZIPPED, [("content-encoding", coding)]) == want


def test_an_answer_to_head_has_a_length_and_no_body(raw):
    door, server = raw(keeping(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", OK))
    answer = door.send("HEAD", door.target("/v1/x", ""), [])
    assert (answer.headers, answer.read(9)) == ([("Content-Length", "500")], b"")
    assert get(door).read(9) == b"ok"
    assert len(server.peers) == 1


def test_headers_come_back_repeated_and_on_one_line(raw):
    head = b"HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nX: caf\xc3\x85\r\nset-cookie: b\r\nY: 1,\r\n\t2\r\nZ: a\x00b\r\n"
    door, _ = raw(answering(head + b"Content-Length: 0\r\n\r\n"))
    answer = get(door)
    assert (answer.reason, answer.read(9)) == ("Fine", b"")
    found = [(name.lower(), value) for name, value in answer.headers]
    assert [value for name, value in found if name == "set-cookie"] == ["a", "b"]
    assert dict(found)["x"].encode("latin-1") == b"caf\xc3\x85"
    assert (dict(found)["y"], dict(found)["z"], dict(found)["content-length"]) == ("1, 2", "a b", "0")


@pytest.mark.parametrize(
    "wire, code",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "stream_truncated"),
        (CHUNKED + b"5\r\nhello\r\n", "stream_truncated"),
        (CHUNKED + b"9\r\nhello", "stream_truncated"),
        (CHUNKED + b"5\r\nhello", "stream_truncated"),
        (CHUNKED + b"5\r\nhello\r\nzz\r\n", "stream_truncated"),
    ],
)
def test_a_body_that_ends_early_is_no_end(raw, wire, code):
    door, _ = raw(answering(wire))
    pieces = get(door).pieces()
    assert next(pieces) == b"hello"
    assert code_of(lambda: list(pieces)) == code


def test_a_reset_within_the_body_is_told_after_what_came_before(raw):
    def play(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        peer.stop.wait(0.1)
        peer.reset()

    door, server = raw(play)
    answer = get(door)
    assert next(answer.pieces()) == b"hello"
    assert code_of(lambda: list(answer.pieces())) == "connection_reset"
    assert server.requests == 1


@pytest.mark.parametrize(
    "wire, code",
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "invalid_upstream_response"),
        (b"HTTP/1.1 abc\r\n\r\n", "invalid_upstream_response"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "invalid_upstream_response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "invalid_upstream_response"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 101, "invalid_upstream_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", "invalid_upstream_response"),
        *[
            (b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n0123456789" % length, "invalid_upstream_response")
            for length in (b"abc", b"-5", b"+2", b"1_0", b"2,", b"2 2", b"", b"2\r\nContent-Length: 9")
        ],
        *[
            (CODED % coding + b"2\r\nok\r\n0\r\n\r\n", "invalid_upstream_response")
            for coding in (b"xchunked", b"br, chunked", b"chunked, gzip", b"gzip, chunked, identity2", b"compress")
        ],
        (b"HTTP/1.1 200 OK\r\nX-A: b\r\nno header\r\nContent-Length: 2\r\n\r\nok", "invalid_upstream_response"),
        (b"", "connection_reset"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "connection_reset"),
    ],
)
def test_what_is_no_answer_is_told_as_such(raw, wire, code):
    door, server = raw(answering(wire))
    assert code_of(lambda: get(door)) == code
    assert server.requests == 1


def test_a_body_beyond_the_limit_is_not_read(raw):
    door, server = raw(answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99))
    assert code_of(lambda: get(door).read(98)) == "upstream_too_large"
    door, _ = raw(answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99))
    assert get(door).read(99) == b"x" * 99


def raw_deflated(data):
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


@pytest.mark.parametrize(
    "coding, body",
    [
        ("gzip", gzip.compress(b"hello", mtime=0)),
        ("X-GZip", gzip.compress(b"hel", mtime=0) + gzip.compress(b"lo", mtime=0)),
        ("gzip", gzip.compress(b"hello", mtime=0) + b"garbage"),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", raw_deflated(b"hello")),
        ("deflate, gzip", gzip.compress(zlib.compress(b"hello"), mtime=0)),
        ("identity", b"hello"),
        ("", b"hello"),
    ],
)
@pytest.mark.parametrize("cut", [False, True], ids=["at once", "byte by byte"])
def test_an_encoding_that_nobody_asked_for_is_undone(raw, coding, body, cut):
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding.encode() + b"\r\n\r\n"
    parts = [body[i : i + 1] for i in range(len(body))] if cut else [body]
    door, _ = raw(answering(head, *parts))
    answer = get(door)
    assert (answer.read(99), answer.decoded) == (b"hello", coding not in ("", "identity"))


def test_an_encoding_stays_where_the_caller_wants_it(raw):
    body = gzip.compress(b"hello", mtime=0)
    door, _ = raw(answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body))
    answer = get(door, decode=False)
    assert (answer.read(99), answer.decoded) == (body, False)


@pytest.mark.parametrize(
    "coding, body, code",
    [
        ("gzip", gzip.compress(b"hello", mtime=0)[:-9], "stream_truncated"),
        ("gzip", b"hello", "invalid_upstream_response"),
        ("br", b"hello", "invalid_upstream_response"),
        ("gzip", gzip.compress(bytes(80 << 20), 9), "upstream_too_large"),
    ],
    ids=["cut", "not encoded", "unknown", "a bomb"],
)
def test_an_encoding_that_cannot_be_undone_is_a_failure(raw, coding, body, code):
    door, _ = raw(answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding.encode() + b"\r\n\r\n" + body))
    assert code_of(lambda: sum(map(len, get(door).pieces()))) == code


def test_an_encoded_stream_is_decoded_as_it_comes(raw):
    deflate = zlib.compressobj(wbits=31)
    token = deflate.compress(b"data: 1\n\n") + deflate.flush(zlib.Z_SYNC_FLUSH)

    def play(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + token)
        peer.stop.wait(5)

    door, _ = raw(play)
    answer = get(door)
    assert next(answer.pieces()) == b"data: 1\n\n"
    answer.close()


# Promptness


@pytest.fixture()
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


FRAMINGS = {
    "chunked": (CHUNKED, b"6\r\ntoken%d\r\n", b"0\r\n\r\n"),
    "close": (b"HTTP/1.0 200 OK\r\n\r\n", b"token%d", b""),
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n", b"token%d", b""),
}


@pytest.mark.parametrize("framing", list(FRAMINGS))
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_piece_is_there_before_the_next_is_sent(raw, tls, certificate, framing, secure):
    head, piece, end = FRAMINGS[framing]
    got = threading.Semaphore(0)

    def play(peer):
        peer.head()
        peer.say(head)
        for number in range(3):
            peer.say(piece % number)
            assert got.acquire(timeout=2), "the piece is held back"
        peer.say(end)

    door, _ = raw(play, tls if secure else None, ca_bundle=str(certificate[0]))
    for number, heard in enumerate(get(door).pieces()):
        assert heard == b"token%d" % number
        got.release()
    assert number == 2


# The outbound proxy


def test_an_outbound_proxy_gets_the_whole_url_and_its_own_credential(raw):
    _, server = raw(keeping(OK))
    via = server.url.replace("://", "://user:pass@")
    door = Provider(Settings(url="http://provider.invalid:81/v1", proxy=via, timeout=2000))
    assert door.send("GET", door.target("/v1/a%2Fb", "x[]=1"), []).read(9) == b"ok"
    assert server.peers[0].heard.startswith(
        b"GET http://provider.invalid:81/v1/a%2Fb?x[]=1 HTTP/1.1\r\nHost: provider.invalid:81\r\n"
    )
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n" in server.peers[0].heard
    door.close()


def test_an_outbound_proxy_that_wants_another_credential_is_named(raw):
    want = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    for url in ("http://provider.invalid/v1", "https://provider.invalid/v1"):
        _, server = raw(answering(want))
        door = Provider(Settings(url=url, proxy=server.url, timeout=2000))
        with pytest.raises(ProxyError) as caught:
            get(door)
        assert (caught.value.failed.code, caught.value.failed.status) == ("upstream_unreachable", 502)
        assert f"outbound proxy {server.host} could not be reached (it answered 407" in str(caught.value)
        door.close()


def test_a_provider_may_say_407_itself(raw):
    door, _ = raw(answering(b"HTTP/1.1 407 Odd\r\nContent-Length: 0\r\n\r\n"))
    answer = get(door)
    assert (answer.status, answer.read(9)) == (407, b"")


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 400 Bad\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28"]
)
@pytest.mark.parametrize("at_once", [False, True], ids=["after the hello", "at once"])
def test_what_is_no_tls_behind_a_tunnel_is_told_as_that(raw, garbage, at_once):
    def tunnel(peer):
        peer.head()
        established = b"HTTP/1.1 200 Connection established\r\n\r\n"
        peer.say(established + garbage if at_once else established)
        peer.sock.recv(1)
        peer.say(garbage)
        peer.wait()

    _, server = raw(tunnel)
    door = Provider(Settings(url="https://provider.invalid/v1", proxy=server.url, timeout=2000))
    with pytest.raises(ProxyError) as caught:
        get(door)
    assert caught.value.failed.code == "tls_failure"
    assert "the provider at provider.invalid" in str(caught.value)
    door.close()


def test_a_secure_provider_is_reached_through_a_tunnel(raw, tls, certificate):
    _, target = raw(keeping(OK), tls)

    def tunnel(peer):
        assert peer.head().startswith(b"CONNECT " + target.host.encode())
        peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", int(target.host.split(":")[1])), timeout=20) as beyond:
            back = threading.Thread(target=pump, args=(beyond, peer.sock), daemon=True)
            back.start()
            pump(peer.sock, beyond)
            back.join(2)

    _, server = raw(tunnel)
    door = Provider(Settings(url=target.url, proxy=server.url, ca_bundle=str(certificate[0]), timeout=2000))
    assert door.send("GET", door.target("/v1/a%2Fb", ""), []).read(9) == b"ok"
    assert target.peers[0].heard.startswith(b"GET /v1/a%2Fb HTTP/1.1\r\n")
    assert b"/a%2Fb" not in server.peers[0].heard
    door.close()


def pump(source, sink):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                return sink.shutdown(socket.SHUT_WR)
            sink.sendall(data)
    except OSError:
        return None


# The embedded provider


@pytest.mark.timed
def test_the_embedded_provider_is_asked_in_the_same_way():
    door = Provider(Settings(url="demo:"))
    body = b'{"model": "demo", "messages": [{"role": "user", "content": "hi"}]}'
    answer = door.send("POST", door.endpoint("/chat/completions"), [("Content-Type", "application/json")], body)
    assert answer.status == 200 and b"chat.completion" in answer.read(99999)
    began = time.monotonic()
    answer = door.send("GET", door.target("/v1/models", ""), [])
    assert b"demo" in answer.read(99999) and time.monotonic() - began < 1
    assert door.where == "demo:/v1"
