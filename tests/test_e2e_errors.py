"""Whatever goes wrong, at either side or between: one envelope, an honest status, the SDK's own exception class."""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing

import pytest
from provider import Close, Reset, Stall
from raw_client import Call, events
from stories import CLOSE_HEAD, CLOSING, DONE, END, HELLO, OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from witness import UNUSUAL, ask, sound

openai = pytest.importorskip("openai")

HINTS = (
    b"Content-Type: application/json\r\nRetry-After: 7\r\nx-ratelimit-remaining-tokens: 0\r\n"
    b"x-ratelimit-reset-tokens: 6m0s\r\nx-request-id: req_1\r\nx-should-retry: true\r\nopenai-processing-ms: 12\r\n"
)
HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center>"
    b"<hr><center>nginx/1.25</center></body></html>"
)
HTML_HEAD = b"Content-Type: text/html\r\n"
BOOM = b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":null}}\n\n'


def said(message, kind="invalid_request_error", param=None, code=None):
    """A provider's error object, in OpenAI's own words."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


MAPPED = [
    (b"400 Bad Request", said("too hot", param="temperature", code="invalid_value"), "BadRequestError"),
    (b"401 Unauthorized", said("Incorrect API key", code="invalid_api_key"), "AuthenticationError"),
    (b"403 Forbidden", said("no", code="unsupported_country_region_territory"), "PermissionDeniedError"),
    (b"404 Not Found", said("no model", param="model", code="model_not_found"), "NotFoundError"),
    (b"409 Conflict", said("locked", "conflict_error", code="conflict"), "ConflictError"),
    (b"422 Unprocessable Entity", said("semantics", code="unprocessable_entity"), "UnprocessableEntityError"),
    (b"429 Too Many Requests", said("slow down", "rate_limit_error", code="rate_limit_exceeded"), "RateLimitError"),
    (b"429 Too Many Requests", said("pay", "insufficient_quota", code="insufficient_quota"), "RateLimitError"),
    (b"500 Internal Server Error", said("oops", "server_error"), "InternalServerError"),
    (b"503 Service Unavailable", said("full", "server_error", code="slow_down"), "InternalServerError"),
]


@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
@pytest.mark.parametrize("status, body, name", MAPPED, ids=[f"{row[0][:3].decode()} {row[2]}" for row in MAPPED])
def test_a_providers_refusal_becomes_the_sdks_own_exception(proxy, provider, sdk, model, status, body, name, streams):
    running = proxy()
    provider.plays([whole(body, status, HINTS)])
    with pytest.raises(getattr(openai, name)) as caught:
        sdk(running).chat.completions.create(model=model, messages=HELLO, stream=streams)
    want = json.loads(body)["error"]
    assert {key: getattr(caught.value, key) for key in ("type", "param", "code")} == {
        key: want[key] for key in ("type", "param", "code")
    }
    assert caught.value.body["message"] == want["message"] and caught.value.request_id == "req_1"
    headers = caught.value.response.headers
    assert headers["retry-after"] == "7" and headers["x-should-retry"] == "true"
    assert headers["x-ratelimit-remaining-tokens"] == "0" and headers["x-ratelimit-reset-tokens"] == "6m0s"
    assert len(provider.heard) == 1
    number = int(status[:3])
    pair = sound(running.record(model=model), outcome="upstream_error", status=number, upstream_status=number)
    assert pair.client["logging_id"] == headers["x-logging-id"]
    assert pair.server["output"] == json.loads(body)
    assert pair.client["output"]["error"]["message"] == pair.client["error"]["message"] == want["message"]


SHAPES = [
    (b"502 Bad Gateway", HTML_HEAD, HTML, 502, "upstream_error", "bad_gateway", "502 Bad Gateway"),
    (b"500 Internal Server Error", b"", b"", 500, "server_error", "internal_error", "Internal Server Error"),
    (b"524 A Timeout", HTML_HEAD, HTML, 504, "upstream_error", "timeout", "502 Bad Gateway"),
    (
        b"404 Not Found",
        b"Content-Type: application/json\r\n",
        b'{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}',
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `x` does not exist.",
    ),
    (
        b"422 Unprocessable Entity",
        b"Content-Type: application/json\r\n",
        b'{"detail":[{"loc":["body","messages",0,"role"],"msg":"Field required","type":"missing"}]}',
        422,
        "invalid_request_error",
        "unprocessable_entity",
        "messages.0.role: Field required",
    ),
    (
        b"401 Unauthorized",
        b"",
        b'{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"q"}',
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Invalid API-key provided.",
    ),
    (
        b"404 Not Found",
        b"Content-Type: application/json; charset=utf-8\r\n",
        b'{"error":"model \'x\' not found"}',
        404,
        "invalid_request_error",
        "model_not_found",
        "model 'x' not found",
    ),
]


@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
@pytest.mark.parametrize("status, head, body, number, kind, code, message", SHAPES, ids=[row[5] for row in SHAPES])
def test_every_shape_of_error_leaves_in_the_one_envelope(
    proxy, provider, model, status, head, body, number, kind, code, message, streams
):
    running = proxy()
    provider.plays([whole(body, status, head)])
    call = Call(running.port, ask(model, streams)).rest()
    assert call.status == number and call.header("content-type") == "application/json"
    assert (call.error["type"], call.error["code"], call.error["message"]) == (kind, code, message)
    assert b"<html" not in call.got
    assert len(provider.heard) == 1
    upstream = int(status[:3])
    sound(running.record(model=model), outcome="upstream_error", status=number, upstream_status=upstream)


@pytest.mark.parametrize(
    "body, status",
    [
        (b'{"error":{"message":"boom","type":"server_error","param":null,"code":null}}', 500),
        (b'{"error":{"message":"busy","type":"rate_limit_error","param":null,"code":429}}', 429),
        (b"", 502),
        (b"<html><title>Welcome</title></html>", 502),
        (b'{"id":"x","object":"chat.completion","cho', 502),
    ],
    ids=["error", "error with a status", "empty", "HTML", "half a JSON"],
)
@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
def test_a_failure_dressed_as_200_gets_an_honest_status(proxy, provider, model, body, status, streams):
    running = proxy()
    provider.plays([whole(body)])
    call = Call(running.port, ask(model, streams)).rest()
    assert call.status == status and call.error["message"]
    assert len(provider.heard) == 1
    sound(running.record(model=model), outcome="upstream_error", status=status, upstream_status=200)


@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/models"])
@pytest.mark.parametrize(
    "url, code",
    [
        ("http://nonexistent.invalid/v1/chat/completions", "dns_failure"),
        ("refused", "connection_refused"),
        ("tls", "tls_failure"),
    ],
)
def test_an_unreachable_provider_is_told_by_name(proxy, unreachable, tls_provider, model, url, code, target, streams):
    running = proxy(url={"refused": unreachable, "tls": tls_provider.url}.get(url, url))
    if target.endswith("models"):
        call = Call(running.port, method="GET", target=f"{target}?{model}{streams}").rest()
    else:
        call = Call(running.port, ask(model, streams)).rest()
    assert (call.status, call.error["code"], call.error["type"]) == (502, code, "upstream_error")
    record = running.record(logging_id=call.header("x-logging-id"))
    sound(record, outcome="upstream_error", status=502, upstream_status=None)
    assert not tls_provider.heard


@pytest.fixture(scope="module")
def unreachable():
    """The endpoint of a provider that is not there."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))  # bound, never listening: connections are refused and nobody else gets the port
    yield f"http://127.0.0.1:{sock.getsockname()[1]}/v1/chat/completions"
    sock.close()


@pytest.mark.parametrize("end", [Reset(), Close()], ids=["RST", "FIN"])
@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
def test_a_connection_lost_before_the_status_is_told_and_never_asked_again(proxy, provider, model, end, streams):
    running = proxy()
    provider.always(end)
    call = Call(running.port, ask(model, streams)).rest()
    assert (call.status, call.error["code"]) == (502, "connection_reset")
    assert call.header("x-should-retry") == "true"
    assert len(provider.heard) == 1
    sound(running.record(model=model), outcome="upstream_error", status=502, upstream_status=None)


@pytest.mark.parametrize("method, target", [("GET", "/v1/models"), ("DELETE", "/v1/files/f"), ("PUT", "/v1/x")])
def test_not_even_a_harmless_method_is_sent_again(proxy, provider, method, target):
    running = proxy()
    provider.always(Reset())
    call = Call(running.port, method=method, target=target).rest()
    assert (call.status, call.error["code"]) == (502, "connection_reset")
    assert len(provider.heard) == 1


def test_a_pooled_connection_that_was_closed_meanwhile_is_noticed_before_use(proxy, provider, model):
    running = proxy()
    provider.plays([whole(TEXT.whole), Close()], [whole(TEXT.whole)])
    assert Call(running.port, ask(model)).rest().status == 200
    time.sleep(0.1)
    assert Call(running.port, ask(model)).rest().status == 200
    assert len(provider.heard) == 2
    assert len({heard.connection.number for heard in provider.heard}) == 2


HALF = [STREAM_HEAD, chunk(OPENING), chunk(token(b"half"))]
CUTS = {
    "chunked FIN": [*HALF, Close()],
    "chunked RST": [*HALF, Reset()],
    "chunked, ended without a finish": [*HALF, END],
    "close-delimited": [CLOSE_HEAD, OPENING, token(b"half"), Close()],
    "inside a frame": [*HALF, chunk(token(b"x")[:50]), Close()],
    "inside a chunk": [*HALF, chunk(token(b"x"))[:50], Close()],
}
OUTCOME = {"stream_truncated": "truncated", "connection_reset": "upstream_error"}


def codes_of(cut):
    """The codes that tell the truth: a reset may be named as such (DECISIONS, Fidelity), anything else is truncated."""
    return {"stream_truncated", "connection_reset"} if "RST" in cut else {"stream_truncated"}


@pytest.mark.parametrize("cut", CUTS)
def test_a_stream_that_was_cut_is_told_as_an_error_frame_and_one_done(proxy, provider, model, cut):
    running = proxy()
    provider.plays(CUTS[cut])
    call = Call(running.port, ask(model, True)).rest()
    parts = events(call)
    assert call.status == 200
    assert [part["choices"][0]["delta"]["content"] for part in parts[:-1]] == ["", "half"]
    assert not any(part["choices"][0]["finish_reason"] for part in parts[:-1]), "a finish was made up"
    error = parts[-1]["error"]
    assert error["code"] in codes_of(cut) and error["type"] == "upstream_error" and error["message"]
    assert len(provider.heard) == 1
    pair = sound(running.record(model=model), outcome=OUTCOME[error["code"]], status=200, upstream_status=200)
    assert pair.client["error"]["code"] == error["code"]
    assert pair.client["output"]["choices"][0]["message"]["content"] == "half"


@pytest.mark.parametrize("cut", CUTS)
def test_a_whole_made_of_a_stream_that_was_cut_is_a_502(proxy, provider, model, cut):
    running = proxy(mode="stream")
    provider.plays(CUTS[cut])
    call = Call(running.port, ask(model)).rest()
    assert call.status == 502 and call.error["code"] in codes_of(cut)
    assert b"half" not in call.got and len(provider.heard) == 1
    pair = sound(running.record(model=model), outcome=OUTCOME[call.error["code"]], status=502, upstream_status=200)
    assert pair.server["output"]["choices"][0]["message"]["content"] == "half"


@pytest.mark.parametrize("mode", ["off", "non_stream"])
@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
def test_a_whole_shorter_than_its_length_is_a_502(proxy, provider, model, mode, streams):
    running = proxy() if mode == "off" else proxy(mode=mode)
    provider.plays([whole(TEXT.whole)[:-20], Close()])
    call = Call(running.port, ask(model, streams)).rest()
    assert (call.status, call.error["code"]) == (502, "stream_truncated")
    sound(running.record(model=model), outcome="truncated", status=502)


def test_the_sdk_raises_on_a_stream_that_was_cut(proxy, provider, sdk, model):
    running = proxy()
    provider.plays(CUTS["chunked FIN"])
    stream = sdk(running).chat.completions.create(model=model, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as caught, closing(stream):
        list(stream)
    assert caught.value.code == "stream_truncated"
    assert running.record(model=model).client["outcome"] == "truncated"


def test_a_finish_without_done_is_complete_and_gets_its_done(proxy, provider, model):
    running = proxy()
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), chunk(CLOSING), END])
    assert Call(running.port, ask(model, True)).rest().content == OPENING + token(b"one") + CLOSING + DONE
    sound(running.record(model=model), outcome="complete")


@pytest.mark.timed
@pytest.mark.parametrize("after", [b"", DONE, token(b"late")], ids=["nothing", "another", "words"])
def test_done_is_the_end_even_if_the_provider_stays(proxy, provider, model, after):
    running = proxy()
    late = [chunk(after)] if after else []
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(CLOSING), chunk(DONE), *late, Stall()])
    call = Call(running.port, ask(model, True))
    done = call.until(b"[DONE]")
    assert call.rest(2).content == OPENING + CLOSING + DONE
    assert time.monotonic() - done < 0.2, "the client was kept waiting after [DONE]"
    assert after or provider.heard[0].left_within(1.5)
    sound(running.record(model=model), outcome="complete")


@pytest.mark.parametrize("tail", [[chunk(DONE), END], [END], [Close()]], ids=["done", "no done", "cut"])
def test_an_error_frame_in_the_middle_reaches_a_streaming_client_once(proxy, provider, sdk, model, tail):
    running = proxy()
    script = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), chunk(BOOM), *tail]
    provider.plays(script, script)
    parts = events(Call(running.port, ask(model, True)).rest())
    assert [part.get("error", {}).get("message") for part in parts] == [None, None, "boom"]
    assert {"message", "type", "param", "code"} <= set(parts[-1]["error"])
    with pytest.raises(openai.APIError, match="boom"), closing(
        sdk(running).chat.completions.create(model=model, messages=HELLO, stream=True)
    ) as stream:
        list(stream)
    for pair in running.records(2, model=model):
        sound(pair, outcome="upstream_error", status=200, upstream_status=200)
        assert pair.client["error"]["message"] == "boom"


@pytest.mark.parametrize("before", [[], [chunk(OPENING)], [chunk(OPENING), chunk(token(b"one"))]])
def test_an_error_frame_is_an_honest_status_for_a_client_that_waits(proxy, provider, sdk, model, before):
    running = proxy(mode="stream")
    provider.plays([STREAM_HEAD, *before, chunk(BOOM), chunk(DONE), END])
    with pytest.raises(openai.InternalServerError, match="boom"):
        sdk(running).chat.completions.create(model=model, messages=HELLO)
    sound(running.record(model=model), outcome="upstream_error", status=500, upstream_status=200)


@pytest.mark.parametrize("before", [[], [chunk(b": wait\n\n")], [chunk(OPENING)]], ids=["at once", "comment", "role"])
def test_an_error_before_the_first_word_is_an_honest_status_for_a_stream(proxy, provider, sdk, model, before):
    running = proxy()
    provider.plays([STREAM_HEAD, *before, chunk(BOOM), chunk(DONE), END])
    with pytest.raises(openai.InternalServerError, match="boom"):
        sdk(running).chat.completions.create(model=model, messages=HELLO, stream=True)
    sound(running.record(model=model), outcome="upstream_error", status=500, upstream_status=200)


BAD = [
    (b'{"model": "gpt-4", "messages": [...]}', None, "invalid_json"),
    (b"", None, "invalid_json"),
    (b'{"model": "m", "messages": ', None, "invalid_json"),
    (b'{"model": "\xff", "messages": []}', None, "invalid_json"),
    (b'["model"]', None, "invalid_type"),
    (b'{"messages": []}', "model", "missing_required_parameter"),
    (b'{"model": 5, "messages": []}', "model", "invalid_type"),
    (b'{"model": null, "messages": []}', "model", None),
    (b'{"model": "m"}', "messages", "missing_required_parameter"),
    (b'{"model": "m", "messages": "hi"}', "messages", "invalid_type"),
    (b'{"model": "m", "messages": [], "stream": "yes"}', "stream", "invalid_type"),
    (b'{"model": "m", "messages": [], "stream": 1}', "stream", "invalid_type"),
    (b'{"model": "m", "messages": [], "stream": true, "stream_options": 5}', "stream_options", "invalid_type"),
]


@pytest.mark.parametrize("body, param, code", BAD, ids=[row[0].decode("latin-1") or "empty" for row in BAD])
def test_an_ask_that_cannot_be_read_is_a_400_that_names_the_field(proxy, provider, body, param, code):
    running = proxy()
    call = Call(running.port, body, headers=[] if body else [("Content-Length", "0")]).rest()
    assert call.status == 400 and call.error["type"] == "invalid_request_error"
    assert call.error["param"] == param and code in (call.error["code"], None)
    assert param is None or param in call.error["message"]
    assert "Traceback" not in call.got.decode("utf-8", "replace")
    assert not provider.heard
    pair = sound(running.record(logging_id=call.header("x-logging-id")), outcome="refused", status=400)
    assert pair.server["output"] is None and pair.server["send_mode"] is None
    assert pair.server["upstream_status"] is None


COMPATIBLE = [
    (whole(said("slow", "rate_limit_error", code="rate_limit_exceeded"), b"429 Too Many Requests", HINTS), 429),
    (whole(HTML, b"502 Bad Gateway", HTML_HEAD), 502),
    (whole(b"", b"500 Internal Server Error", b""), 500),
]


@pytest.mark.parametrize("flagged", [True, False], ids=["flag", "header"])
@pytest.mark.parametrize("kind", ["whole", "stream", "forward"])
@pytest.mark.parametrize("answer, status", COMPATIBLE, ids=["429", "502", "500"])
def test_compatible_puts_the_true_status_into_the_body_and_a_header(
    proxy, provider, model, flagged, kind, answer, status
):
    running = proxy(compatible=True) if flagged else proxy()
    headers = [] if flagged else [("X-Forward-Compatible", "1")]
    provider.plays([answer])
    if kind == "forward":
        call = Call(running.port, method="GET", target="/v1/models", headers=headers).rest()
    else:
        call = Call(running.port, ask(model, kind == "stream"), headers=headers).rest()
    assert call.status == 200 and call.header("x-upstream-status") == str(status)
    assert call.header("retry-after") == ("7" if status == 429 else None)
    if kind == "stream":
        assert call.header("content-type").startswith("text/event-stream")
        (said_last,) = events(call)
        assert said_last["error"]["http_status"] == status
    else:
        assert call.header("content-type") == "application/json"
        assert call.error["http_status"] == status
    pair = running.record(logging_id=call.header("x-logging-id"))
    sound(pair, outcome="upstream_error", upstream_status=status, status=200)


def test_compatible_covers_our_own_failures_too_and_can_be_switched_off_by_header(proxy, provider, model):
    running = proxy(compatible=True)
    call = Call(running.port, b"{").rest()
    assert (call.status, call.error["http_status"], call.header("x-upstream-status")) == (200, 400, "400")
    provider.plays([whole(said("no"), b"403 Forbidden")])
    call = Call(running.port, ask(model), headers=[("X-Forward-Compatible", "0")]).rest()
    assert call.status == 403 and "http_status" not in call.error
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"half")), Close()])
    cut = events(Call(running.port, ask(model, True)).rest())[-1]
    assert cut["error"]["code"] == "stream_truncated"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/_forward/healthz", "/_forward/readyz"])
@pytest.mark.parametrize("compatible", [True, False])
def test_health_is_answered_by_us_and_not_journaled(proxy, provider, path, compatible):
    running = proxy(compatible=True) if compatible else proxy()
    before = len(running.lines("client"))
    call = Call(running.port, method="GET", target=path).rest()
    assert call.status == 200 and not provider.heard
    assert len(running.lines("client")) == before


def test_a_wrong_value_of_the_compatible_header_is_a_400(proxy, provider, model):
    call = Call(proxy().port, ask(model), headers=[("X-Forward-Compatible", "maybe")]).rest()
    assert call.status == 400 and "X-Forward-Compatible" in call.error["message"]
    assert not provider.heard


@pytest.mark.parametrize("size, status", [(500, 200), (2000, 413)])
def test_an_ask_over_the_limit_is_a_413_before_the_provider_hears_of_it(proxy, provider, model, size, status):
    running = proxy(**UNUSUAL)
    provider.always(whole(TEXT.whole))
    call = Call(running.port, ask(model, user="x" * size)).rest()
    assert call.status == status and len(provider.heard) == (status == 200)
    outcome = "complete" if status == 200 else "refused"
    sound(running.record(logging_id=call.header("x-logging-id")), outcome=outcome, status=status)
