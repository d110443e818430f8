"""Every other endpoint: method, path, query, body and end-to-end headers arrive; the answer comes back untouched."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import threading
import time
from contextlib import closing
from typing import NamedTuple

import pytest
from conftest import KEY
from provider import Close, Read, Sleep, Stall, Until
from raw_client import Call
from stories import END, JSON, SHORT_STREAM, STREAM_HEAD, chunk, whole
from witness import ask, sound

J = b'{"object": "list", "data": [{"id": "a/b"}],  "x": 1.50}'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
MULTIPART = (
    b'--b0\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--b0\r\nContent-Disposition: form-data; name="image[]"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    + PNG
    + b'\r\n--b0\r\nContent-Disposition: form-data; name="image[]"; filename="b\xc3\xa4.png"\r\n\r\n\x00\xff\r\n'
    + b"--b0--\r\n"
)
FORM = "multipart/form-data; boundary=b0"
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
IMAGES = (
    b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AAAA"}\n\n'
    b'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"BBBB"}\n\n'
)
RESPONSES = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n: keep\n\n'
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2}\n\n'
)
THREADS = b'event: thread.run.created\ndata: {"id":"run_1"}\n\nevent: done\ndata: [DONE]\n\n'


class Row(NamedTuple):
    """One line of the matrix of section 6: what is asked, and what the provider answers."""

    method: str
    path: str
    body: bytes = b""
    kind: str = ""
    answer: bytes = J
    answer_kind: str = "application/json"
    status: bytes = b"200 OK"
    more: bytes = b""


def sse(method, path, answer, body=b"{}", kind="application/json"):
    """A row whose answer is an event stream."""
    return Row(method, path, body, kind, answer, "text/event-stream")


A_J = "application/json"
ROWS = [
    Row("GET", "/v1/models"),
    Row("GET", "/v1/models/ft:gpt-4o:org::id"),
    Row("GET", "/v1/models/org%2Fmodel%3Atag"),
    Row("DELETE", "/v1/models/org/model:tag"),
    Row("GET", "/v1/chat/completions?model=m&metadata[k]=v&after=x&limit=2&order=desc"),
    Row("GET", "/v1/chat/completions/chatcmpl-1"),
    Row("POST", "/v1/chat/completions/chatcmpl-1", b'{"metadata": {}}', A_J),
    Row("GET", "/v1/chat/completions/chatcmpl-1/messages?order=asc"),
    Row("DELETE", "/v1/chat/completions/chatcmpl-1"),
    Row("POST", "/v1/embeddings", b'{"model": "e", "input": ["a"], "encoding_format": "base64"}', A_J),
    Row("POST", "/v1/moderations", b'{"input": "x"}', A_J),
    Row("POST", "/v1/images/generations", b'{"prompt": "x"}', A_J),
    sse("POST", "/v1/images/generations", IMAGES, b'{"prompt": "x", "stream": true}'),
    Row("POST", "/v1/images/edits", MULTIPART, FORM),
    sse("POST", "/v1/images/edits", IMAGES, MULTIPART, FORM),
    Row("POST", "/v1/images/variations", MULTIPART, FORM),
    Row("POST", "/v1/audio/speech", b'{"input": "x"}', A_J, PNG, "audio/mpeg"),
    sse("POST", "/v1/audio/speech", b'data: {"type":"speech.audio.delta","audio":"AA"}\n\n'),
    Row("POST", "/v1/audio/transcriptions", MULTIPART, FORM),
    Row(
        "POST", "/v1/audio/transcriptions", MULTIPART, FORM, b"1\n00:00 --> 00:01\nHi\n\n", "text/plain; charset=utf-8"
    ),
    Row("POST", "/v1/audio/transcriptions", MULTIPART, FORM, b"WEBVTT\n\n00:00.000 --> 00:01.000\nHi\n", "text/vtt"),
    sse("POST", "/v1/audio/transcriptions", b'data: {"type":"transcript.text.delta","delta":"H"}\n\n', MULTIPART, FORM),
    Row("POST", "/v1/audio/translations", MULTIPART, FORM, b"Hi", "text/plain"),
    Row("GET", "/v1/files?purpose=batch&limit=1&order=asc&after=file-1"),
    Row("POST", "/v1/files", MULTIPART, FORM),
    Row("GET", "/v1/files/file-1"),
    Row("DELETE", "/v1/files/file-1"),
    Row(
        "GET",
        "/v1/files/file-1/content",
        answer=PNG,
        answer_kind="application/octet-stream",
        more=b'Content-Disposition: attachment; filename="x.bin"\r\nETag: "e1"\r\nAccept-Ranges: bytes\r\n',
    ),
    Row("POST", "/v1/uploads", b'{"bytes": 1}', A_J),
    Row("POST", "/v1/uploads/u/parts", MULTIPART, FORM),
    Row("POST", "/v1/uploads/u/complete", b'{"part_ids": []}', A_J),
    Row("POST", "/v1/uploads/u/cancel"),
    Row("POST", "/v1/batches/b/cancel"),
    Row("GET", "/v1/fine_tuning/jobs?metadata[a]=b%20c&limit=1"),
    Row("POST", "/v1/fine_tuning/jobs/j/pause"),
    Row("GET", "/v1/fine_tuning/checkpoints/ft:m:o::i:ckpt/permissions"),
    Row("POST", "/v1/vector_stores/vs/search", b'{"query": "x"}', A_J),
    sse("POST", "/v1/threads/t/runs?include[]=a&include[]=b", THREADS),
    Row("POST", "/v1/responses", b'{"model": "m", "input": "x"}', A_J),
    sse("POST", "/v1/responses", RESPONSES, b'{"model": "m", "input": "x", "stream": true}'),
    sse("GET", "/v1/responses/r?stream=true&starting_after=1&include[]=a", RESPONSES, b"", ""),
    Row("DELETE", "/v1/responses/r", answer=b"", answer_kind=""),
    Row("POST", "/v1/responses/input_tokens?beta=true", b'{"input": "x"}', A_J),
    Row("POST", "/v1/conversations/c/items?include=a", b'{"items": []}', A_J),
    Row("DELETE", "/v1/containers/c", answer=b"", answer_kind="", status=b"204 No Content"),
    Row("GET", "/v1/containers/c/files/f/content", answer=PNG, answer_kind="application/zip"),
    Row("POST", "/v1/evals", b'{"name": "x"}', A_J, status=b"201 Created"),
    Row("GET", "/v1/videos/v/content?variant=thumbnail", answer=PNG, answer_kind="image/webp"),
    Row(
        "POST",
        "/v1/realtime/calls",
        SDP,
        "application/sdp",
        SDP,
        "application/sdp",
        b"201 Created",
        b"Location: /v1/realtime/calls/rtc_1\r\n",
    ),
    Row("GET", "/v1/organization/projects?limit=1"),
    Row("POST", "/v1/rerank", b'{"query": "x"}', A_J),
    Row("PUT", "/v1/something/new", b"\x00\x01\xff", "application/x-unknown"),
    Row("PATCH", "/v1/something/new", b'{"a":1}', A_J),
    Row("OPTIONS", "/v1/models", answer=b"", answer_kind="", more=b"Allow: GET, OPTIONS\r\n"),
    Row("GET", "/v1/x/../y/./z//w"),
    Row(
        "GET",
        "/v1/teapot",
        answer=b'{"error":{"message":"I am","type":"x","param":null,"code":null}}',
        status=b"418 I'm a Teapot",
    ),
    Row(
        "GET",
        "/v1/models/none",
        answer=b'{"error": {"message": "no", "type": "t", "param": null, "code": "c"}, "y": 1}',
        status=b"404 Not Found",
    ),
    Row(
        "GET",
        "/v1/moved",
        answer=b"",
        answer_kind="",
        status=b"302 Found",
        more=b"Location: http://127.0.0.2:1/elsewhere\r\n",
    ),
    Row("GET", "/v1/files/f/content", answer=b"", answer_kind="", status=b"304 Not Modified", more=b'ETag: "e1"\r\n'),
    Row("GET", "/health"),
    Row("GET", "/metrics", answer=b"requests_total 1\n", answer_kind="text/plain; version=0.0.4"),
    Row("POST", "/tokenize", b'{"prompt": "x"}', A_J),
    Row("GET", "/api/v1/tasks/t-1?x=%2F&y=+"),
]


def typed(kind):
    """A Content-Type line, or none."""
    return f"Content-Type: {kind}\r\n".encode() if kind else b""


def plain(target):
    """A target with the brackets that are illegal in a query, and may change (DECISIONS, Paths), as they were."""
    return target.replace("%5B", "[").replace("%5D", "]").replace("%5b", "[").replace("%5d", "]")


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.method} {row.path} {row.answer_kind or row.status}" for row in ROWS])
def test_an_exchange_is_relayed_untouched_in_both_directions(proxy, provider, row):
    running = proxy()
    empty = row.status[:3] in (b"204", b"304")
    answer = b"HTTP/1.1 %s\r\n%s%s\r\n" % (row.status, typed(row.answer_kind), row.more)
    provider.plays([answer if empty else whole(row.answer, row.status, typed(row.answer_kind) + row.more)])
    headers = [("Content-Type", row.kind)] if row.kind else []
    call = Call(running.port, row.body, method=row.method, target=row.path, headers=headers).rest()

    heard = provider.wait()
    assert (heard.method, plain(heard.target), heard.version) == (row.method, row.path, "HTTP/1.1")
    assert (heard.body, heard.header("content-type")) == (row.body, row.kind or None)
    assert heard.framing in (("length",) if row.body else ("none", "length"))
    assert heard.header("host") == f"127.0.0.1:{provider.port}"

    assert call.head.startswith(f"HTTP/1.1 {row.status[:3].decode()}")
    assert (call.content, call.header("content-type")) == (row.answer, row.answer_kind or None)
    for line in row.more.decode().splitlines():
        name, _, value = line.partition(": ")
        assert call.header(name) == value
    status = int(row.status[:3])
    outcome = "complete" if status < 400 else "upstream_error"
    pair = running.record(logging_id=call.header("x-logging-id"))
    sound(pair, outcome=outcome, status=status, upstream_status=status, method=row.method)
    assert pair.client["path"].partition("?")[0] == row.path.partition("?")[0]
    if row.kind == A_J:
        assert pair.client["input"] == pair.server["input"] == json.loads(row.body)
    elif row.kind == FORM:
        assert pair.client["input"]["size"] == len(row.body) and "multipart" in pair.client["input"]["type"]
    if row.answer_kind == A_J:
        assert pair.client["output"] == pair.server["output"] == json.loads(row.answer)
    elif row.answer is PNG:
        assert pair.server["output"]["size"] == len(PNG) and pair.server["output"]["type"] == row.answer_kind


@pytest.mark.parametrize(
    "url, target, heard",
    [
        ("", "/models", "/v1/models"),
        ("", "/v1/models", "/v1/models"),
        ("/v1/chat/completions?api-version=1", "/v1/models?limit=2", "/v1/models?api-version=1&limit=2"),
    ],
)
def test_other_endpoints_are_found_from_any_form_of_url(proxy, provider, url, target, heard):
    running = proxy(url=provider.origin + url)
    provider.plays([whole(J)])
    assert Call(running.port, method="GET", target=target).rest().content == J
    path, _, query = provider.wait().target.partition("?")
    want_path, _, want_query = heard.partition("?")
    assert (path, sorted(query.split("&"))) == (want_path, sorted(want_query.split("&")))


@pytest.mark.parametrize(
    "target, heard",
    [
        ("http://evil.example/v1/models?x=1", "/v1/models?x=1"),
        ("http://user:pass@evil.example:99/v1/models", "/v1/models"),
        ("//evil.example/v1/models", "//evil.example/v1/models"),
        ("/v1/@evil.example/", "/v1/@evil.example/"),
        ("/v1/models?url=http://evil.example/", "/v1/models?url=http://evil.example/"),
    ],
)
def test_nothing_in_a_request_can_change_the_providers_host(proxy, provider, target, heard):
    provider.plays([whole(J)])
    call = Call(proxy().port, method="GET", target=target, host="evil.example").rest()
    assert call.status == 200
    assert provider.wait().target == heard
    assert provider.heard[0].header("host") == f"127.0.0.1:{provider.port}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_root_is_ours(proxy, provider, method):
    call = Call(proxy().port, method=method, target="/").rest()
    assert call.status == 200 and not provider.heard


def test_head_keeps_the_length_and_has_no_body(proxy, provider):
    provider.plays([b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 123456\r\n\r\n"])
    call = Call(proxy().port, method="HEAD", target="/v1/files/f/content").rest()
    assert (call.status, call.header("content-length"), call.content) == (200, "123456", b"")
    assert provider.heard[0].method == "HEAD"


def test_a_range_is_passed_on_and_its_206_comes_back(proxy, provider):
    part = b'Content-Type: video/mp4\r\nContent-Range: bytes 2-5/100\r\nETag: "e"\r\n'
    provider.plays([whole(b"cdef", b"206 Partial Content", part)])
    asked = [("Range", "bytes=2-5"), ("If-Range", '"e"')]
    call = Call(proxy().port, method="GET", target="/v1/videos/v/content", headers=asked).rest()
    assert (call.status, call.content, call.header("content-range")) == (206, b"cdef", "bytes 2-5/100")
    assert [provider.heard[0].header(name) for name, _ in asked] == ["bytes=2-5", '"e"']


def test_a_416_and_its_binary_neighbour_are_no_errors_of_ours(proxy, provider):
    provider.plays([whole(b"", b"416 Range Not Satisfiable", b"Content-Range: bytes */100\r\n")])
    call = Call(proxy().port, method="GET", target="/v1/videos/v/content", headers=[("Range", "bytes=900-")]).rest()
    assert (call.status, call.header("content-range")) == (416, "bytes */100")


def test_an_html_error_of_another_endpoint_gets_the_envelope(proxy, provider):
    html = b"<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>"
    provider.plays([whole(html, b"504 Gateway Time-out", b"Content-Type: text/html\r\n")])
    call = Call(proxy().port, method="GET", target="/v1/models").rest()
    assert (call.status, call.error["message"], call.header("content-type")) == (
        504,
        "504 Gateway Time-out",
        "application/json",
    )


END_TO_END = [
    ("Authorization", "invalid_key"),
    ("OpenAI-Organization", "org-1"),
    ("OpenAI-Project", "proj_1"),
    ("OpenAI-Beta", "assistants=v2"),
    ("Idempotency-Key", "idem-1"),
    ("api-key", "azure-key"),
    ("HTTP-Referer", "https://app.example"),
    ("X-Title", "caf\xe9"),
    ("X-DashScope-Plugin", "{}"),
    ("x-stainless-retry-count", "0"),
    ("User-Agent", "tester/1.0"),
    ("Accept", "*/*"),
    ("Priority", "u=1"),
]
NOT_FOR_THE_PROVIDER = [
    ("Cookie", "session=1"),
    ("Forwarded", "for=1.2.3.4"),
    ("X-Forwarded-For", "1.2.3.4"),
    ("X-Forwarded-Host", "x"),
    ("X-Forwarded-Proto", "https"),
    ("X-Real-IP", "1.2.3.4"),
    ("Via", "1.1 edge"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Authorization", "Basic eA=="),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("X-Hop", "dropped"),
    ("X-Forward-Mode", "off"),
    ("X-Forward-Compatible", "0"),
]


@pytest.mark.parametrize("target", ["/v1/embeddings", "/v1/chat/completions"])
def test_end_to_end_headers_of_the_client_arrive_and_no_others(proxy, provider, model, target):
    running = proxy()
    provider.plays([whole(J.replace(b'"object"', b'"choices":[],"object"'))])
    body = json.dumps({"model": model, "messages": []}).encode()
    sent = [*END_TO_END, *NOT_FOR_THE_PROVIDER, ("Connection", "close, X-Hop"), ("Content-Type", "application/json")]
    Call(running.port, body, target=target, headers=sent).rest()
    heard = provider.wait()
    assert {name: heard.header(name) for name, _ in END_TO_END} == dict(END_TO_END)
    assert [name for name, _ in NOT_FOR_THE_PROVIDER if heard.all(name)] == []
    assert all(value not in (heard.header("connection") or "") for value in ("X-Hop", "upgrade"))
    known = {name.lower() for name, _ in END_TO_END}
    known |= {"host", "content-type", "content-length", "accept-encoding", "connection"}
    assert {name.lower() for name, _ in heard.headers} <= known, "a header was added"


def test_the_sdks_own_headers_arrive(proxy, provider, sdk):
    provider.plays([whole(b'{"object":"list","data":[]}')])
    client = sdk(proxy())
    assert client.models.list(extra_headers={"OpenAI-Beta": "x"}).data == []
    heard = provider.wait()
    assert heard.header("authorization") == f"Bearer {KEY}"
    assert "OpenAI/Python" in heard.header("user-agent") and heard.header("x-stainless-lang") == "python"


def test_a_repeated_header_of_the_client_keeps_all_its_values(proxy, provider):
    provider.plays([whole(J)])
    twice = [("X-Two", "1"), ("X-Two", "2")]
    Call(proxy().port, method="GET", target="/v1/models", headers=twice).rest()
    values = [value.strip() for line in provider.wait().all("x-two") for value in line.split(",")]
    assert values == ["1", "2"]


ANSWERED = (
    b"Content-Type: application/json\r\nx-request-id: req_1\r\nopenai-processing-ms: 5\r\n"
    b"x-ratelimit-limit-requests: 10\r\n"
    b'Retry-After: 3\r\nX-Custom: a\r\nLink: <a>; rel=x\r\nLink: <b>; rel=y\r\nETag: "e"\r\nX-Latin: caf\xe9\r\n'
    b"Set-Cookie: acw_tc=1\r\nSet-Cookie: b=2\r\nVia: 1.1 cdn\r\nServer: secret-nginx\r\n"
    b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: X-Inner, keep-alive\r\nX-Inner: 1\r\nKeep-Alive: timeout=9\r\n"
    b"Proxy-Authenticate: Basic\r\nX-Logging-Id: theirs\r\nX-Forwarded-For: 9.9.9.9\r\n"
)


@pytest.mark.parametrize("target", ["/v1/models", "/v1/chat/completions"])
def test_end_to_end_headers_of_the_provider_come_back_and_no_others(proxy, provider, model, target):
    running = proxy()
    answer = b'{"id":"c","object":"chat.completion","created":1,"model":"M","choices":[]}'
    provider.plays([whole(answer, headers=ANSWERED)])
    chat = target.endswith("completions")
    body = json.dumps({"model": model, "messages": []}).encode() if chat else b""
    call = Call(running.port, body, method="POST" if chat else "GET", target=target).rest()
    kept = {
        "x-request-id": "req_1",
        "openai-processing-ms": "5",
        "x-ratelimit-limit-requests": "10",
        "retry-after": "3",
        "x-custom": "a",
        "x-latin": "caf\xe9",
    }
    assert {name: call.header(name) for name in kept} == kept
    assert call.all("link") == ["<a>; rel=x", "<b>; rel=y"]
    dropped = ("set-cookie", "via", "x-inner", "keep-alive", "proxy-authenticate", "x-forwarded-for")
    assert [name for name in dropped if call.all(name)] == []
    assert "secret-nginx" not in call.head and "1970" not in call.head
    assert len(call.all("date")) == 1 and len(call.all("content-length")) == 1
    assert call.header("x-logging-id") == running.record(logging_id=call.header("x-logging-id")).client["logging_id"]


def test_a_compressed_answer_stays_readable(proxy, provider):
    packed = gzip.compress(J)
    provider.plays([whole(packed, headers=JSON + b"Content-Encoding: gzip\r\n")])
    call = Call(proxy().port, method="GET", target="/v1/models", headers=[("Accept-Encoding", "gzip")]).rest()
    unpack = gzip.decompress if call.header("content-encoding") == "gzip" else bytes
    assert unpack(call.content) == J
    assert call.header("content-length") in (None, str(len(call.content)))


def test_one_connection_of_a_client_serves_one_request_after_the_other(proxy, provider, model):
    running = proxy()
    at_once = b"".join(SHORT_STREAM)  # a client that has [DONE] may ask again before the provider's end has come
    provider.plays([whole(J)], [at_once], [whole(J)])
    bodies = []
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)) as connection:
        for method, target, body in (
            ("GET", "/v1/models", b""),
            ("POST", "/v1/chat/completions", ask(model, True)),
            ("POST", "/v1/embeddings", b"{}"),
        ):
            connection.request(method, target, body)
            bodies.append((connection.sock.getsockname(), connection.getresponse().read()))
    assert len({name for name, _ in bodies}) == 1
    assert bodies[0][1] == bodies[2][1] == J and bodies[1][1].endswith(b"data: [DONE]\n\n")
    assert len({heard.connection.number for heard in provider.heard}) == 1, "the provider's connection was not reused"


def test_an_answer_of_interim_statuses_is_only_the_final_one(proxy, provider):
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    provider.plays([early + whole(J)])
    call = Call(proxy().port, method="GET", target="/v1/models").rest()
    assert (call.status, call.content, call.all("link")) == (200, J, [])


@pytest.mark.parametrize("rows", [IMAGES, RESPONSES, THREADS], ids=["images", "responses", "threads"])
def test_an_event_stream_is_passed_on_event_by_event(proxy, provider, rows):
    running = proxy()
    records = [one + b"\n\n" for one in rows.split(b"\n\n") if one]
    steps = [step for number, one in enumerate(records) for step in (chunk(one), Until(f"got {number}"))]
    provider.plays([STREAM_HEAD, *steps, END])
    body = b'{"model": "m", "stream": true}'
    call = Call(running.port, body, target="/v1/responses", headers=[("Content-Type", "application/json")])
    for number in range(len(records)):
        call.until(records[number].splitlines()[-2] + b"\n\n")
        provider.tell(f"got {number}")
    assert call.rest().content == rows
    sound(running.record(logging_id=call.header("x-logging-id")), outcome="complete", status=200)


def test_binary_leaves_as_it_comes(proxy, provider):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
    provider.plays([head, chunk(b"\xff\xfbone"), Until("got one"), chunk(b"two"), END])
    call = Call(proxy().port, b"{}", target="/v1/audio/speech")
    call.until(b"\xff\xfbone")
    provider.tell("got one")
    assert call.rest().content == b"\xff\xfbonetwo"


def test_a_forwarded_answer_that_was_cut_looks_cut_to_the_client(proxy, provider):
    running = proxy()
    provider.plays([whole(PNG, headers=b"Content-Type: application/zip\r\n")[:-500], Sleep(0.05), Close()])
    call = Call(running.port, method="GET", target="/v1/files/f/content").rest()
    assert len(call.content) < len(PNG) and call.header("content-length") == str(len(PNG))
    sound(running.record(logging_id=call.header("x-logging-id")), outcome="truncated", upstream_status=200)


def test_a_websocket_upgrade_is_a_501_and_does_not_hang(proxy, provider):
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    upgrade += [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    call = Call(proxy().port, method="GET", target="/v1/realtime?model=m", headers=upgrade).rest()
    assert call.status == 501 and call.error["type"] == "server_error"
    assert not provider.heard


@pytest.mark.parametrize("pieces", [[b"hello ", b"world"], [b"x" * 100_000, b"y"], []], ids=["small", "big", "empty"])
def test_a_chunked_upload_stays_chunked(proxy, provider, pieces):
    provider.plays([whole(J)])
    with Call(proxy().port, target="/v1/files", headers=[("Transfer-Encoding", "chunked")]) as call:
        for piece in pieces:
            call.send(chunk(piece))
        call.send(END)
        call.rest()
    heard = provider.wait()
    assert call.status == 200 and heard.framing == "chunked" and heard.body == b"".join(pieces)


def test_an_upload_is_passed_on_as_it_comes(proxy, provider):
    provider.plays([whole(J)])
    with Call(proxy().port, target="/v1/files", headers=[("Transfer-Encoding", "chunked")]) as call:
        first = b"first " * 50_000
        call.send(chunk(first))
        end = time.monotonic() + 10
        while not (provider.heard and provider.heard[0].size > len(first) // 2):
            assert time.monotonic() < end, "the first part waits for the second"
            time.sleep(0.005)
        call.send(chunk(b"second") + END)
        assert call.rest().status == 200
    assert provider.heard[0].body == first + b"second"


@pytest.mark.parametrize("after", [Stall(), Close()], ids=["provider stays", "provider closes"])
def test_an_early_refusal_of_an_upload_reaches_the_client(proxy, provider, after):
    running = proxy()
    refusal = b'{"error":{"message":"too big","type":"invalid_request_error","param":null,"code":null}}'
    provider.plays([Read(1000), whole(refusal, b"413 Content Too Large", JSON + b"Connection: close\r\n"), after])
    size = 50_000_000
    with Call(running.port, target="/v1/files", headers=[("Content-Length", str(size))]) as call:
        sender = threading.Thread(target=pour, args=(call, size), daemon=True)
        sender.start()
        call.until(b"too big", 20)
        sent = provider.heard[0].size
    sender.join(20)
    assert call.status == 413 and sent < size
    pair = running.record(logging_id=call.header("x-logging-id"))
    sound(pair, outcome="upstream_error", status=413, upstream_status=413)


def test_an_early_refusal_reaches_a_client_that_pauses_its_upload(proxy, provider):
    running = proxy()
    provider.plays([Read(1000), whole(J, b"413 Content Too Large", JSON + b"Connection: close\r\n"), Stall()])
    with Call(running.port, target="/v1/files", headers=[("Content-Length", "500000")]) as call:
        call.send(b"x" * 100_000)  # passed on in pieces of 64 KB
        call.rest()
    assert (call.status, call.content) == (413, J)
    pair = running.record(logging_id=call.header("x-logging-id"))
    sound(pair, outcome="upstream_error", status=413, upstream_status=413)


def pour(call, size):
    """Send that many bytes, or as many as the other side takes."""
    block = b"\0" * 65536
    try:
        for _ in range(size // len(block)):
            call.send(block)
    except OSError:
        return


def test_a_client_that_leaves_in_an_upload_ends_the_providers_side(proxy, provider):
    running = proxy()
    provider.plays([whole(J)])
    before = aborted(running, "client")
    call = Call(running.port, target="/v1/files?leaves", headers=[("Content-Length", "1000000")])
    call.send(b"x" * 100_000)
    provider_side = wait_for(provider, 1)
    call.leave()
    assert provider_side.left_within(5) and not provider_side.complete
    for name in ("client", "server"):
        running.until(lambda name=name: aborted(running, name) == before + 1, 10, f"no {name} record of it")


def aborted(running, name):
    """How many exchanges were left by their client, says one of the files."""
    return len([one for one in running.lines(name) if one["outcome"] == "client_abort"])


def wait_for(provider, count):
    """The request whose head has come, however little of its body."""
    end = time.monotonic() + 10
    while len(provider.heard) < count:
        assert time.monotonic() < end, "the provider heard nothing"
        time.sleep(0.002)
    return provider.heard[count - 1]


BLOCK = bytes(range(256)) * 4096
MEGABYTES = 500


def test_an_upload_of_500_megabytes_costs_no_memory(proxy, provider):
    running = proxy()
    provider.plays([whole(J)])
    want, peak, base = hashlib.sha256(), 0, running.resident()
    length = ("Content-Length", str(len(BLOCK) * MEGABYTES))
    with Call(running.port, target="/v1/files", headers=[length, ("Content-Type", FORM)]) as call:
        for number in range(MEGABYTES):
            call.send(BLOCK)
            want.update(BLOCK)
            peak = max(peak, running.resident()) if number % 10 == 0 else peak
        call.rest(60)
    heard = provider.wait(seconds=60)
    assert call.status == 200 and heard.framing == "length"
    assert (heard.size, heard.digest.digest()) == (len(BLOCK) * MEGABYTES, want.digest())
    assert peak - base <= 30_000_000, f"{(peak - base) / 1e6:.0f} MB more"


def test_a_download_waits_for_its_slow_reader_and_costs_no_memory(proxy, provider):
    running = proxy()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % (len(BLOCK) * 100)
    provider.plays([head, *[BLOCK] * 100])
    base = running.resident()
    call = Call(running.port, method="GET", target="/v1/videos/v/content")
    call.until(b"\r\n\r\n")
    time.sleep(0.5)
    held = len(provider.heard[0].sent)
    assert held < 40, "the provider was read ahead of the client"
    peak, taken = running.resident(), len(call.got.partition(b"\r\n\r\n")[2])
    while not call.ended:
        call.got = b""
        call.more(5)
        taken += len(call.got)
    call.leave()
    assert taken == len(BLOCK) * 100
    assert max(peak, running.resident()) - base <= 30_000_000
