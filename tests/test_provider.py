"""The stand-in keeps its word: it sends the very bytes, at the time it was told, and reports what was done to it."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time

import pytest
from provider import Close, Deaf, Provider, Read, Reset, Sleep, Stall, Until
from raw_client import Call
from stories import (
    CLOSE_HEAD,
    CLOSING,
    DONE,
    END,
    HELLO,
    OLD_HEAD,
    OPENING,
    SHORT,
    SHORT_STREAM,
    STORIES,
    STREAM_HEAD,
    TOOLS,
    chunk,
    streamed,
    token,
    whole,
)
from witness import tidy

ASK = json.dumps({"model": "m", "messages": HELLO}).encode()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_sdk_reads_the_same_answer_from_both_tellings_of_a_story(provider, sdk, story):
    provider.plays(streamed(story.stream), [whole(story.whole)])
    chat = sdk(provider.origin + "/v1").chat.completions
    with chat.stream(model="m", stream_options={"include_usage": True}, **story.ask) as stream:
        for _ in stream:
            pass
    folded = stream.current_completion_snapshot.to_dict()
    told = chat.create(model="m", **story.ask).to_dict()
    assert tidy(folded) == tidy(told)
    assert [heard.json["stream"] for heard in provider.heard[:1]] == [True]


def test_parallel_tool_calls_of_the_play_are_two(provider, sdk):
    provider.plays([whole(TOOLS.whole)])
    answer = sdk(provider.origin + "/v1").chat.completions.create(model="m", **TOOLS.ask)
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["weather", "time"]


@pytest.mark.timed
@pytest.mark.timed
@pytest.mark.parametrize("head", [STREAM_HEAD, CLOSE_HEAD, OLD_HEAD], ids=["chunked", "close", "http/1.0"])
def test_pieces_leave_when_they_are_due_in_every_framing(provider, head):
    framed = chunk if head is STREAM_HEAD else bytes
    provider.plays([head, Sleep(0.1), framed(b"one"), Sleep(0.1), framed(b"two"), Close()])
    with Call(provider.port, ASK) as call:
        moments = [call.until(mark) - call.began for mark in (b"event-stream", b"one", b"two")]
        call.rest()
    assert moments == pytest.approx([0, 0.1, 0.2], abs=0.05)
    assert [piece for _, piece in provider.heard[0].sent] == [head, framed(b"one"), framed(b"two")]


def test_a_script_waits_until_the_test_tells_it_something(provider):
    provider.plays([STREAM_HEAD, chunk(b"one"), Until("got one"), chunk(b"two"), END])
    with Call(provider.port, ASK) as call:
        call.until(b"one")
        assert call.silent_for(0.1)
        provider.tell("got one")
        call.until(b"0\r\n\r\n")
    assert call.content == b"onetwo"


@pytest.mark.timed
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_peer_that_leaves_is_noticed_at_once_even_with_unread_bytes_in_front(provider, reset):
    provider.plays([Deaf(), STREAM_HEAD, Stall()])
    call = Call(provider.port, ASK)
    call.until(b"event-stream")
    left = call.leave(reset=reset)
    assert provider.heard[0].left_within(1)
    assert provider.heard[0].connection.left_at - left < 0.1


def test_a_peer_that_stays_is_not_reported_as_gone(provider):
    provider.plays([STREAM_HEAD, Stall()])
    with Call(provider.port, ASK) as call:
        call.until(b"event-stream")
        assert not provider.heard[0].left_within(0.1)


@pytest.mark.parametrize("step, error", [(Close(), None), (Reset(), ConnectionResetError)])
def test_it_ends_with_a_fin_or_a_reset_as_told(provider, step, error):
    provider.plays([STREAM_HEAD, step])
    sock = socket.create_connection(("127.0.0.1", provider.port), timeout=20)
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    try:
        received = b"".join(iter(lambda: sock.recv(4096), b""))
        assert error is None and received == STREAM_HEAD
    except ConnectionResetError:
        assert error is ConnectionResetError
    finally:
        sock.close()


@pytest.mark.parametrize(
    "head, raw, framing, chunks",
    [
        (b"Content-Length: 5\r\n", b"hello", "length", []),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: 1\r\n\r\n", "chunked", [2, 3]),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n", b"5\r\nhello\r\n0\r\n\r\n", "both", [5]),
        (b"", b"", "none", []),
    ],
)
def test_it_remembers_a_request_as_it_came_off_the_wire(provider, head, raw, framing, chunks):
    provider.plays([whole(b"{}")])
    request = b"PUT /a%2Fb?x=1&x=2 HTTP/1.1\r\nX-Two: 1\r\nx-two: 2\r\n" + head + b"\r\n"
    with socket.create_connection(("127.0.0.1", provider.port), timeout=20) as sock:
        sock.sendall(request + raw)
        sock.recv(4096)
        heard = provider.wait()
    assert (heard.head, heard.raw, heard.framing, heard.chunks) == (request, raw, framing, chunks)
    assert (heard.method, heard.target, heard.all("x-two")) == ("PUT", "/a%2Fb?x=1&x=2", ["1", "2"])
    assert heard.body == (b"hello" if raw else b"") and heard.complete


def test_it_counts_requests_and_connections_and_serves_several_on_one(provider):
    provider.always(whole(b"{}"))
    with socket.create_connection(("127.0.0.1", provider.port), timeout=20) as sock:
        for _ in range(2):
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.recv(4096)
    with Call(provider.port, method="GET") as call:
        call.until(b"{}")
    assert len(provider.heard) == 3
    assert len({heard.connection.number for heard in provider.heard}) == 2


def test_it_can_answer_before_it_has_read_the_body(provider):
    provider.plays([Read(3), whole(b"too much", b"413 Content Too Large"), Stall()])
    with Call(provider.port, b"abc", headers=[("Content-Length", "1000000")]) as call:
        call.until(b"too much")
    assert not provider.heard[0].complete and provider.heard[0].size == 3


def test_it_speaks_tls_with_a_certificate_that_can_be_verified(tls_provider, certificate):
    tls_provider.plays([CLOSE_HEAD, OPENING, Sleep(0.05), token(b"one"), CLOSING, DONE, Close()])
    context = ssl.create_default_context(cafile=str(certificate[0]))
    plain = socket.create_connection(("127.0.0.1", tls_provider.port), timeout=20)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        received = b"".join(iter(lambda: sock.recv(4096), b""))
    assert received == CLOSE_HEAD + OPENING + token(b"one") + CLOSING + DONE


def test_scripts_can_be_chosen_by_what_was_asked(provider, sdk):
    provider.chooses(lambda heard: SHORT_STREAM if heard.json.get("stream") else [SHORT])
    chat = sdk(provider.origin + "/v1").chat.completions
    assert chat.create(model="m", messages=HELLO).choices[0].message.content == "short"
    stream = chat.create(model="m", messages=HELLO, stream=True)
    assert "".join(part.choices[0].delta.content for part in stream) == "short"


def test_an_unscripted_request_is_a_surprise():
    alone = Provider()
    with Call(alone.port, ASK) as call:
        call.until(b"unscripted")
    assert [heard.method for heard in alone.surprises] == ["POST"]
    alone.close()


@pytest.mark.timed
def test_closing_it_ends_what_is_still_being_played():
    alone = Provider()
    alone.plays([STREAM_HEAD, Stall()])
    call = Call(alone.port, ASK)
    call.until(b"event-stream")
    began = time.monotonic()
    alone.close()
    call.rest()
    assert time.monotonic() - began < 1
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", alone.port), timeout=1)


def test_a_reset_peer_does_not_hurt_the_next_one(provider):
    provider.plays([STREAM_HEAD, Sleep(0.2), chunk(b"x" * 10)], [whole(b"{}")])
    with socket.create_connection(("127.0.0.1", provider.port), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.recv(4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with Call(provider.port, method="GET") as call:
        call.until(b"{}")
    assert call.status == 200
