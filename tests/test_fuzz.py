"""Whatever comes in, readers answer with an answer or with a failure that has words; nothing surprises them.

In the suite the examples are the same each time, and few. `make fuzz SECONDS=600` looks for new ones, with atheris
where it can be installed. What was found becomes a row of FOUND, or a case under tests/wire.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterable, List

import pytest
from fuzzing import ASKS, ODD, Choices, changed, pieces, plays, spoiled, stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import Settings
from proxy import create_app
from proxy.agreement import Pair
from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects import DIALECTS, Dialect, Stamp
from proxy.dialects.failures import read_failure, read_failure_frame
from proxy.dialects.json_text import read_json, write_json
from proxy.errors import ProxyError, blame
from proxy.framing import Frame
from proxy.framing.ndjson import read_ndjson
from proxy.framing.sniff import sniff
from proxy.framing.sse import read_sse

SECONDS = float(os.environ.get("FORWARD_FUZZ") or 0)
pytestmark = pytest.mark.timeout(120 + SECONDS)
STAMP = Stamp("0123456789abcdef", 1, lambda: 0.5, "r")
BOUNDED = settings(
    derandomize=not SECONDS,
    database=None,
    deadline=None,
    max_examples=200 if SECONDS else 60,
    suppress_health_check=list(HealthCheck),
)


def framing(data: bytes) -> None:
    """Where bytes were cut changes nothing, and no byte gets lost."""
    choices = Choices(data)
    dialect = choices.of(list(DIALECTS))
    body = stream(dialect, choices)
    for read in (read_sse, read_ndjson):
        uncut = [frame for batch in read([body]) for frame in batch]
        cut = [frame for batch in read(pieces(body, Choices(data))) for frame in batch]
        # A blank line too many behind a record may stand in its raw bytes or not: it says nothing
        assert [bared(frame) for frame in cut] == [bared(frame) for frame in uncut]
        for frame in uncut:
            read_failure_frame(frame)
    sniff(body[:100])


def bared(frame: Frame) -> Any:
    return frame.data, frame.event, frame.comment, frame.id, frame.raw.rstrip(b"\r\n")


def asks(data: bytes) -> None:
    """An ask is read and said to every provider, or refused."""
    choices = Choices(data)
    client = DIALECTS[choices.of(list(DIALECTS))]
    must_read_ask(client, spoiled(json.dumps(changed(ASKS[client.name], choices)).encode(), choices))


def must_read_ask(client: Dialect, body: bytes) -> None:
    try:
        ask = client.read_ask(body, [])
        client.write_ask(ask, stream=True, ask_usage=True)
        client.write_ask(ask, stream=False, ask_usage=False, options=False)
        client.unread(ask)
        client.alone(ask)
    except ProxyError:
        return
    for provider in DIALECTS.values():
        for streamed in (True, False):
            try:
                provider.write_chat(Pair(client, provider).translate(ask), stream=streamed)
            except ProxyError:
                continue


def ask_of(client: Dialect) -> Any:
    return client.read_ask(json.dumps(ASKS[client.name]).encode(), [])


def answers(data: bytes) -> None:
    """A whole answer is read and said to every client, or refused."""
    choices = Choices(data)
    provider = DIALECTS[choices.of(list(DIALECTS))]
    must_read_answer(provider, changed(json.loads(choices.of(plays(provider.name, ".json"))), choices))


def must_read_answer(provider: Dialect, wire: Any) -> None:
    ask = ask_of(provider)
    read_failure(500, [], json.dumps(wire).encode())
    try:
        provider.mend_reply(wire, ask, STAMP)
        with blame("invalid_upstream_response", "The provider's answer"):
            reply = provider.read_reply(wire, ask)
    except ProxyError:
        return
    for client in DIALECTS.values():
        told = ask_of(client)
        quietly(whole(client, fold(client.settle(unfold(reply), told))))
        quietly(client.write_stream(unfold(reply), show_usage=True, ask=told, stamp=STAMP))


def streams(data: bytes) -> None:
    """A stream is read, mended, folded and said to every client, or ends in a failure."""
    choices = Choices(data)
    provider = DIALECTS[choices.of(list(DIALECTS))]
    must_read_stream(provider, stream(provider.name, choices), bool(choices.below(2)))


def must_read_stream(provider: Dialect, body: bytes, repair: bool) -> None:
    mended(provider, body, repair)
    for client in DIALECTS.values():
        told = ask_of(client)
        events = provider.read_stream(frames(provider, body), repair=repair, ask=told, stamp=STAMP, repairs={})
        quietly(client.write_stream(client.settle(events, told), show_usage=True, ask=told, stamp=STAMP))
    try:
        events = provider.read_stream(
            frames(provider, body), repair=repair, ask=ask_of(provider), stamp=STAMP, repairs={}
        )
        reply = fold(events)
    except ProxyError:
        return
    for client in DIALECTS.values():
        quietly(whole(client, reply))


def whole(client: Dialect, reply: Any) -> Iterable[bytes]:
    yield write_json(client.write_reply(reply, ask=ask_of(client), stamp=STAMP))


def mended(provider: Dialect, body: bytes, repair: bool) -> None:
    mender = provider.mend_stream(ask_of(provider), STAMP, repair=repair, show_usage=True, asked_usage=True)
    try:
        for frame in frames(provider, body):
            mender.mend(frame)
            if mender.done:
                return
        mender.end()
    except ProxyError:
        return


def frames(provider: Dialect, body: bytes) -> Iterable[Any]:
    return (frame for batch in provider.read_frames([body]) for frame in batch)


def quietly(blocks: Iterable[bytes]) -> None:
    try:
        for _ in blocks:
            pass
    except ProxyError:
        return


TARGETS = [
    "/",
    "/v1",
    "/v1/",
    "//",
    "/v1/models",
    "/api/tags",
    "/v1/messages/count_tokens",
    "/_forward/",
    "/_forward/x/%00",
]
TARGETS += [
    "/_forward/api/live",
    "/_forward/api/exchanges/x",
    "/_forward/login",
    "/%",
    "/%zz",
    "http://h/v1/files",
    "*",
    "x:y",
]
TARGETS += [path for dialect in DIALECTS.values() for path in dialect.served] * 2
METHODS = ["POST"] * 6 + ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "CONNECT", "TRACE", "PURGE", "get"]
NAMES = [
    "X-Forward-Mode",
    "X-Forward-Compatible",
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
]
NAMES += ["Cookie", "Origin", "Host", "Connection", "Upgrade", "Traceparent", "Accept", "Range", "X-Api-Key", "Expect"]
VALUES = [
    "",
    "stream",
    "non_stream",
    "off",
    "1",
    "true",
    "x",
    "gzip",
    "gzip, br",
    "chunked",
    "Bearer",
    "Bearer k\xff",
    "websocket",
]
VALUES += [
    "forward_admin=1.x",
    "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    "\xff\xfe",
    "a=b; c",
    "http://evil.example",
    "[::1",
    "close",
]


def request_of(choices: Choices) -> Dict[str, Any]:
    """A WSGI environment such as a host makes."""
    path = choices.of(TARGETS)
    dialect = choices.of(list(DIALECTS.values()))
    body = spoiled(json.dumps(changed(ASKS[dialect.name], choices)).encode(), choices)
    environ = {
        "REQUEST_METHOD": choices.of(METHODS),
        "RAW_URI": path + choices.of(["", "?", "?a=b", "?key=x&key=y", "?%", "#x", "?a=\xff"]),
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "CONTENT_LENGTH": choices.of([str(len(body)), str(len(body)), str(len(body)), "", "x", "-1", "5"]),
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    for _ in range(choices.below(4)):
        name = choices.of(NAMES).upper().replace("-", "_")
        environ[name if name.startswith("CONTENT_TYPE") else f"HTTP_{name}"] = choices.of(VALUES)
    return environ


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The application in this process, in front of the embedded provider."""
    return create_app(Settings(url="demo:", output_path=str(tmp_path_factory.mktemp("journal")), log_level="error"))


def routes(app: Any) -> Callable[[bytes], None]:
    """A request is answered, with a status that is meant."""

    def target(data: bytes) -> None:
        said: List[str] = []
        answer = app(request_of(Choices(data)), lambda status, headers, exc=None: said.append(status) or bytes)
        try:
            body = b"".join(answer)
        finally:
            getattr(answer, "close", bool)()
        assert said and not said[0].startswith("500"), said
        assert b"internal_error" not in body

    return target


PURE = {"framing": framing, "asks": asks, "answers": answers, "streams": streams}
# What once surprised somebody: an ask or an answer of a protocol, with what was odd in it
ODD_ASKS = [
    ("ollama", {"think": ["low"]}),
    ("ollama", {"think": {"level": "low"}}),
    ("openai", {"response_format": {"type": "json_schema", "json_schema": "x"}}),
    ("openai", {"response_format": {"type": "json_schema", "json_schema": [1]}}),
]
TEXT = {"type": "text", "text": "a"}
ODD_ANSWERS = [
    ("anthropic", {"type": "message", "role": "assistant", "stop_reason": "end_turn", "content": [odd, TEXT]})
    for odd in (None, "x", ["x"], 1, {"type": []}, {"type": {}}, {"type": None}, {})
]


def must_bear(target: Callable[[bytes], None], share: float = 1.0) -> None:
    """Try random bytes; with FORWARD_FUZZ for so many seconds, else the same few each time."""
    until = time.monotonic() + SECONDS * share

    @BOUNDED
    @given(st.binary(min_size=24, max_size=60))
    def tried(data: bytes) -> None:
        target(data)

    tried()
    while time.monotonic() < until:
        tried()


@pytest.mark.parametrize("name", PURE)
def test_readers_are_surprised_by_nothing(name):
    must_bear(PURE[name], 0.1)


def test_routes_are_surprised_by_nothing(app):
    must_bear(routes(app), 0.1)


@pytest.mark.parametrize("name, odd", ODD_ASKS)
def test_an_ask_that_once_surprised_somebody_no_longer_does(name, odd):
    must_read_ask(DIALECTS[name], json.dumps({**ASKS[name], **odd}).encode())


@pytest.mark.parametrize("index", [{}, [], {"a": [1]}, 1.5, None, "x"])
@pytest.mark.parametrize("repair", [True, False])
def test_a_block_whose_index_is_no_number_surprises_nobody(index, repair):
    told = [{"type": "content_block_start", "index": index, "content_block": TEXT}]
    told += [{"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": "b"}}]
    told += [{"type": "content_block_stop", "index": index}, {"type": "message_stop"}]
    body = b"".join(b"event: %s\ndata: %s\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in told)
    must_read_stream(DIALECTS["anthropic"], body, repair)


@pytest.mark.parametrize("name, odd", ODD_ANSWERS)
def test_an_answer_that_once_surprised_somebody_no_longer_does(name, odd):
    must_read_answer(DIALECTS[name], odd)


@pytest.mark.parametrize("odd", [b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"\\u" * 9, b"1" * 10_000, b"\xff" * 9])
def test_json_that_is_none_or_too_deep_is_refused_in_words(odd):
    with pytest.raises(ValueError):
        read_json(odd)
    for dialect in DIALECTS.values():
        with pytest.raises(ProxyError):
            dialect.read_ask(odd, [])
    assert ODD


ATHERIS = """
import sys, time
import atheris
with atheris.instrument_imports(include=["proxy"]):
    import test_fuzz
atheris.Setup(["fuzz", "-max_total_time={seconds}", "-max_len=80", "-print_final_stats=1"], test_fuzz.PURE["{name}"])
atheris.Fuzz()
"""


@pytest.mark.skipif(not SECONDS, reason="make fuzz")
@pytest.mark.parametrize("name", PURE)
def test_what_follows_the_code_finds_nothing_either(name):
    pytest.importorskip("atheris")
    code = ATHERIS.format(seconds=max(1, int(SECONDS * 0.12)), name=name)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in ["tests", ".", *sys.path] if path)}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=90 + SECONDS)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
