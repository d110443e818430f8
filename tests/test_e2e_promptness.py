"""Promptness has a number: tokens 100 ms apart, each at a raw client socket within 30 ms of being sent."""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time

import pytest
from provider import Close, Sleep, Until
from raw_client import Call
from stories import CLOSE_HEAD, CLOSING, DONE, END, OLD_HEAD, OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from witness import ask, sound

pytestmark = pytest.mark.timed

LIMIT = 0.030
WORDS = [b"word%d;" % number for number in range(6)]


def framed(head):
    """How a piece is framed after this head."""
    return chunk if head is STREAM_HEAD else bytes


def story(head, between):
    """A stream of words with ``between`` in front of each."""
    frame = framed(head)
    steps = [head, frame(OPENING)]
    for number, word in enumerate(WORDS):
        steps += [between(number), frame(token(word))]
    end = [END] if head is STREAM_HEAD else []
    return [*steps, frame(CLOSING), frame(DONE), *end, *([] if end else [Close()])]


HEADS = {"chunked": STREAM_HEAD, "close-delimited": CLOSE_HEAD, "HTTP/1.0": OLD_HEAD}
PLACES = {
    "plain chunked": (False, "chunked"),
    "plain close-delimited": (False, "close-delimited"),
    "plain HTTP/1.0": (False, "HTTP/1.0"),
    "TLS chunked": (True, "chunked"),
    "TLS close-delimited": (True, "close-delimited"),
}


@pytest.fixture()
def place(request, proxy, provider, tls_provider, certificate, transport):
    """A provider and a proxy in front of it, through each transport, and the head of the stream it sends."""
    secured, head = PLACES[request.param]
    chosen = {"transport": transport} if transport == "requests" else {}
    if not secured:
        return provider, proxy(**chosen), HEADS[head]
    running = proxy(url=tls_provider.url, ca_bundle=certificate[0], **chosen)
    return tls_provider, running, HEADS[head]


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/responses"], ids=["chat", "forwarded"])
def test_each_token_is_there_within_30_ms(place, model, target):
    provider, running, head = place
    provider.plays(story(head, lambda number: Sleep(0.1)))
    with Call(running.port, ask(model, True), target=target) as call:
        arrived = [call.until(word) for word in WORDS]
        call.rest()
    sent = {piece: at for at, piece in provider.heard[0].sent}
    late = [at - sent[framed(head)(token(word))] for at, word in zip(arrived, WORDS)]
    assert max(late) < LIMIT, [f"{one * 1000:.1f} ms" for one in late]
    sound(running.record(logging_id=call.header("x-logging-id")), outcome="complete")


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_the_next_token_never_has_to_push_the_one_before(place, model):
    provider, running, head = place
    provider.plays(story(head, lambda number: Until(f"got {number - 1}") if number else Sleep(0)))
    with Call(running.port, ask(model, True)) as call:
        for number, word in enumerate(WORDS):
            call.until(word)
            provider.tell(f"got {number}")
        call.rest()
    frames = b"".join(map(token, WORDS))
    assert call.content == OPENING + frames + CLOSING + DONE
    assert sound(running.record(model=model), outcome="complete").client["chunks"] >= len(WORDS) + 2


def test_frames_that_arrive_together_leave_together(proxy, provider, model):
    running = proxy()
    provider.plays([STREAM_HEAD, chunk(OPENING + token(b"a") + token(b"b")), chunk(CLOSING + DONE), END])
    call = Call(running.port, ask(model, True)).rest()
    assert call.content == OPENING + token(b"a") + token(b"b") + CLOSING + DONE
    assert call.got.count(b"\r\n0\r\n\r\n") == 1


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_frames_cut_anywhere_arrive_whole_and_unchanged(proxy, provider, model, cut):
    running = proxy()
    text = OPENING + token("ä€😀".encode()) + CLOSING + DONE
    pieces = [text[start : start + cut] for start in range(0, len(text), cut)]
    provider.plays([STREAM_HEAD, *map(chunk, pieces), END])
    assert Call(running.port, ask(model, True)).rest().content == text
    sound(running.record(model=model), outcome="complete")


@pytest.mark.parametrize("mode", ["stream", "non_stream"])
def test_a_converted_answer_leaves_as_soon_as_it_can(proxy, provider, model, mode):
    running = proxy(mode=mode)
    said = story(STREAM_HEAD, lambda number: Sleep(0)) if mode == "stream" else [whole(TEXT.whole)]
    provider.plays([*said[:-1], Sleep(0), said[-1]])
    with Call(running.port, ask(model, mode == "non_stream")) as call:
        call.rest()
    assert call.status == 200
    assert running.record(model=model).client["duration_ms"] < 500


# --- a large answer's journaling beside it

GROWTH = 0.050  # seconds (DECISIONS, "Hosts and life cycle")
ANSWERS = 5


def told(content):
    """A sound answer."""
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}


LARGE = {  # 6 MB each: plain text, and text as writers that escape all but ASCII have it
    "text": told('some "words" \n' * 380_000),
    "escapes": told("caf\xe9 \u2014 \u65e5\u672c " * 200_000),
}


def take(port, body):
    """Ask for an answer and throw it away as it comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        lines = (
            "POST /v1/chat/completions HTTP/1.1",
            "Host: client",
            "Connection: close",
            f"Content-Length: {len(body)}",
        )
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        piece = memoryview(bytearray(1 << 20))
        while sock.recv_into(piece):
            pass


def paced(over):
    """A stream whose tokens say when they were sent, until it is told that it is over."""
    yield STREAM_HEAD + chunk(OPENING)
    while not over.is_set():
        yield Sleep(0.02)
        yield chunk(token(b"@%.6f@" % time.monotonic()))
    yield chunk(CLOSING) + chunk(DONE) + END


def lateness(call, into, over):
    """Note when each token came, and how late."""
    while call.more(20):
        now = time.monotonic()
        into += [(now, now - float(sent)) for sent in call.got.decode("latin-1").split("@")[1::2]]
        call.got = b""


def written(folder):
    """How many bytes are in the smaller journal."""
    return min((folder / f"{side}_interaction.jsonl").stat().st_size for side in ("client", "server"))


@pytest.mark.parametrize("kind", LARGE)
def test_no_stream_waits_while_a_large_answer_is_journaled(proxy, provider, model, kind):
    running, over, seen = proxy(fresh=True), threading.Event(), []
    large = json.dumps(LARGE[kind]).encode()
    assert 5_500_000 < len(large) < 8_000_000
    provider.chooses(lambda heard: paced(over) if b"paced" in heard.body else [whole(large)])
    with Call(running.port, ask(model, True, user="paced")) as stream:
        reading = threading.Thread(target=lateness, args=(stream, seen, over), daemon=True)
        reading.start()
        try:
            running.until(lambda: len(seen) >= 25, 20, "no stream")
            calm, worst = statistics.median(late for _, late in seen), []
            for _ in range(ANSWERS):
                began, before = time.monotonic(), written(running.folder)
                take(running.port, ask(model))
                running.until(lambda wanted=before + 4_000_000: written(running.folder) >= wanted, 20, "no record")
                passed, fresh = time.monotonic(), len(seen) + 2
                running.until(lambda wanted=fresh: len(seen) >= wanted, 20, "the stream stands still")
                worst.append(max(late for at, late in list(seen) if at >= began and at - late <= passed))
        finally:
            over.set()
            reading.join(30)
    # What we hold up is held up each time, what others at work here do is not.
    assert min(worst) - calm < GROWTH, [f"{one * 1000:.0f} ms" for one in worst]
