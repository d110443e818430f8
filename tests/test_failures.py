"""Whatever a provider says went wrong becomes one failure: spec 3.5, 3.6 and 7.6 row by row."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.chat.events import Failed
from proxy.dialects.failures import envelope, read_failure, read_failure_frame, read_failure_reply, sdk_headers
from proxy.errors import FAILURES, failure
from proxy.framing import Frame
from proxy.framing.sse import read_sse

BAD, QUOTA, RATE = "invalid_request_error", "insufficient_quota", "rate_limit_error"
SERVER, UPSTREAM, BUSY = "server_error", "upstream_error", "service_unavailable_error"

NGINX = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
)
CLOUDFLARE = (
    "<!DOCTYPE html><html><head>\n<title>api.x.com | 524: A timeout occurred</title></head><body>...</body></html>"
)
EXPRESS = "<!DOCTYPE html><html><head><title>Error</title></head><body><pre>Cannot POST /v1/chat</pre></body></html>"
TOO_LONG = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."
OVER_LENGTH = "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]"
OVER_MAX_TOKENS = "Range of max_tokens should be [1, 8192]"
INSIDE = '{"error":{"message":"quota gone","type":"insufficient_quota","code":"insufficient_quota"}}'
PRINTED = (
    "BadRequestError: Error code: 400 - {'error': {'message': \"'x' isn't a model\", 'param': None, 'code': 'bad'}}"
)


def obj(**error):
    return msgspec.json.encode({"error": error}).decode()


def text(**body):
    return msgspec.json.encode(body).decode()


# status, body -> status, type, code, param, message
BODIES = [
    # spec 7.6
    (401, text(code="InvalidApiKey", message="Invalid API-key provided.", request_id="q"),
     401, BAD, "invalid_api_key", None, "Invalid API-key provided."),
    (400, "data: " + text(error={"code": "invalid_parameter_error", "param": None, "message": "m", "type": BAD},
     id="c-1"),
     400, BAD, "invalid_parameter_error", None, "m"),
    (200, text(error="Unexpected endpoint or method. (GET /models)"),
     404, BAD, "not_found", None, "Unexpected endpoint or method. (GET /models)"),
    (422, text(detail=[{"loc": ["body", "messages", 0, "role"], "msg": "Field required", "type": "missing"}]),
     422, BAD, "unprocessable_entity", "messages.0.role", "messages.0.role: Field required"),
    (502, NGINX, 502, UPSTREAM, "bad_gateway", None, "502 Bad Gateway"),
    (524, CLOUDFLARE, 504, UPSTREAM, "timeout", None, "api.x.com | 524: A timeout occurred"),
    (429, obj(message="m", type="insufficient_quota", code="insufficient_quota"), 429, QUOTA, QUOTA, None, "m"),
    (404, text(object="error", message="The model `x` does not exist.", type="NotFoundError", param=None, code=404),
     404, BAD, "model_not_found", "model", "The model `x` does not exist."),
    (500, "", 500, SERVER, "internal_error", None, "Internal Server Error"),
    # DashScope, native and compatible
    (400, text(code="Arrearage", message="m"), 400, QUOTA, QUOTA, None, "m"),
    (400, text(code="InvalidParameter", message=OVER_LENGTH), 400, BAD, "context_length_exceeded", None, OVER_LENGTH),
    (400, text(code="InvalidParameter", message=OVER_MAX_TOKENS),
     400, BAD, "invalid_parameter_error", None, OVER_MAX_TOKENS),
    (400, "id:1\nevent:error\n:HTTP_STATUS/400\ndata:" + text(code="InvalidParameter", message="m"),
     400, BAD, "invalid_parameter_error", None, "m"),
    (500, text(code="RequestTimeOut", message="m"), 500, UPSTREAM, "timeout", None, "m"),
    (429, text(code="Throttling.AllocationQuota", message="m"), 429, RATE, "rate_limit_exceeded", None, "m"),
    (403, text(code="AllocationQuota.FreeTierOnly", message="m"), 403, QUOTA, QUOTA, None, "m"),
    (400, text(code="InvalidURL.Timeout", message="m"), 400, BAD, "InvalidURL.Timeout", None, "m"),
    (400, text(code="ServiceUnavailableError", message="Role must be user"), 400, BAD, "ServiceUnavailableError", None,
     "Role must be user"),
    (200, text(output={"task_status": "FAILED", "code": "DataInspectionFailed", "message": "m"}, request_id="r"),
     400, BAD, "content_filter", None, "m"),
    # Ollama
    (404, text(error="model 'x' not found"), 404, BAD, "model_not_found", "model", "model 'x' not found"),
    (200, text(error="model 'x' not found"), 404, BAD, "model_not_found", "model", "model 'x' not found"),
    (401, text(error="unauthorized", signin_url="https://s"), 401, BAD, "invalid_api_key", None, "unauthorized"),
    (200, '{"message":{"content":"a"}}\n{"error":"it broke","status":503}\n', 503, BUSY, "server_is_overloaded",
     None, "it broke"),
    (404, obj(message="no", type="not_found_error", param=None, code=None), 404, BAD, "not_found", None, "no"),
    (503, text(error="server busy, please try again.  maximum pending requests exceeded"), 503, BUSY,
     "server_is_overloaded", None, "server busy, please try again.  maximum pending requests exceeded"),
    (499, text(error="request canceled"), 499, SERVER, "request_canceled", None, "request canceled"),
    # vLLM, llama.cpp, FastChat
    (400, obj(message=TOO_LONG, type="BadRequestError", param=None, code=400), 400, BAD, "context_length_exceeded",
     None, TOO_LONG),
    (501, obj(message="m", type="NotImplementedError", code=501), 501, SERVER, "not_implemented", None, "m"),
    (400, text(object="error", message="The model `x` does not exist.", type="NotFoundError", param=None, code=404),
     404, BAD, "model_not_found", "model", "The model `x` does not exist."),
    (400, text(object="error", message="m", code=40303), 400, BAD, None, None, "m"),
    (400, obj(code=400, message="too big", type="exceed_context_size_error", n_ctx=4096),
     400, BAD, "context_length_exceeded", None, "too big"),
    (503, obj(code=503, message="Loading model", type="unavailable_error"), 503, BUSY, "server_is_overloaded", None,
     "Loading model"),
    (500, "error: " + text(code=500, message="m", type="server_error"), 500, SERVER, "internal_error", None, "m"),
    # FastAPI and its kin
    (404, text(detail="Not Found"), 404, BAD, "not_found", None, "Not Found"),
    (400, text(detail={"error": {"message": "m", "code": "c"}}), 400, BAD, "c", None, "m"),
    (422, text(detail=[{"loc": ["body", "a"], "msg": "one"}, {"loc": ["query", "b"], "msg": "two"}]),
     422, BAD, "unprocessable_entity", "query.b", "a: one; query.b: two"),
    (422, text(object="error", message={"detail": [{"loc": ["body", "n"], "msg": "no"}]}, type=BAD, code=None),
     422, BAD, None, "n", "n: no"),
    # OpenRouter, Azure, Google, Anthropic, one-api, LM Studio, Hugging Face, xAI, Cohere
    (402, obj(code=402, message="m", metadata={"x": 1}), 402, QUOTA, QUOTA, None, "m"),
    (429, obj(code=429, message="Provider returned error", metadata={"raw": "x is rate-limited"}),
     429, RATE, "rate_limit_exceeded", None, "Provider returned error: x is rate-limited"),
    (404, obj(code="DeploymentNotFound", message="m"), 404, BAD, "DeploymentNotFound", None, "m"),
    (404, obj(code="404", message="Resource not found"), 404, BAD, "not_found", None, "Resource not found"),
    (401, text(statusCode=401, message="Access denied due to missing key"), 401, BAD, "invalid_api_key", None,
     "Access denied due to missing key"),
    (400, "[" + obj(code=400, message="m", status="INVALID_ARGUMENT") + "]", 400, BAD, None, None, "m"),
    (200, obj(message="m", status="RESOURCE_EXHAUSTED"), 429, RATE, "rate_limit_exceeded", None, "m"),
    (529, text(type="error", error={"type": "overloaded_error", "message": "Overloaded"}),
     503, BUSY, "server_is_overloaded", None, "Overloaded"),
    (500, obj(message="m", type="new_api_error", code="bad_response_status_code"), 500, SERVER,
     "bad_response_status_code", None, "m"),
    (400, text(error="Model is not loaded"), 400, BAD, None, None, "Model is not loaded"),
    (422, text(error="Template error", error_type="template_error"), 422, BAD, "unprocessable_entity", None,
     "Template error"),
    (400, text(error=["Error in `stream`: one", "two"]), 400, BAD, None, None, "Error in `stream`: one; two"),
    (400, text(code="invalid-argument", error="Incorrect API key"), 400, BAD, "invalid-argument", None,
     "Incorrect API key"),
    (400, text(id="i", error_type="TOO_MANY_TOKENS", message="m"), 400, BAD, "context_length_exceeded", None, "m"),
    (401, text(error="bad_credentials", message="Bad credentials"), 401, BAD, "bad_credentials", None,
     "Bad credentials"),
    (500, text(error="Internal Server Error", message="no enum", status=500), 500, SERVER, "internal_error", None,
     "no enum"),
    (200, text(error="invalid_grant", error_description="token gone"), 500, SERVER, "invalid_grant", None,
     "token gone"),
    # other names for the same things
    (400, text(type="about:blank", title="Bad", status=400, detail="the detail"), 400, BAD, None, None, "the detail"),
    (400, text(type="https://e/x", title="Out of credit", status=400), 400, BAD, None, None, "Out of credit"),
    (400, text(errors=[{"code": 7000, "message": "no route"}], success=False), 400, BAD, None, None, "no route"),
    (400, text(error_code=336003, error_msg="the msg"), 400, BAD, None, None, "the msg"),
    (400, text(msg="the msg", code="x"), 400, BAD, "x", None, "the msg"),
    (403, text(Message="not you"), 403, "permission_error", "access_denied", None, "not you"),
    (400, '"only a string"', 400, BAD, None, None, "only a string"),
    (400, '["a", "b"]', 400, BAD, None, None, "a; b"),
    (418, text(foo="bar"), 418, BAD, None, None, '{"foo":"bar"}'),
    # pages, plain text, nothing
    (404, EXPRESS, 404, BAD, "not_found", None, "Error Cannot POST /v1/chat"),
    (500, "<h1>It&#39;s &lt;broken&gt;</h1>", 500, SERVER, "internal_error", None, "It's <broken>"),
    (403, "<?xml version='1.0'?><Error><Code>X</Code><Message>No key</Message></Error>", 403, "permission_error",
     "access_denied", None, "No key"),
    (422, "Failed to deserialize: missing field `messages`", 422, BAD, "unprocessable_entity", None,
     "Failed to deserialize: missing field `messages`"),
    (400, OVER_LENGTH, 400, BAD, "context_length_exceeded", None, OVER_LENGTH),
    (404, "404 page not found", 404, BAD, "not_found", None, "404 page not found"),
    (500, "null", 500, SERVER, "internal_error", None, "Internal Server Error"),
    (503, "{}", 503, BUSY, "server_is_overloaded", None, "Service Unavailable"),
    (521, " \r\n", 502, UPSTREAM, "bad_gateway", None, "Web server is down"),
    (430, "", 429, RATE, "rate_limit_exceeded", None, "Too Many Requests"),
    (799, "", 502, UPSTREAM, "bad_gateway", None, "HTTP status 799"),
    (200, "", 502, UPSTREAM, "invalid_upstream_response", None, "Bad Gateway"),
    (200, "<title>Welcome</title>", 502, UPSTREAM, "invalid_upstream_response", None, "Welcome"),
    # a failure inside a message
    (400, text(error="upstream returned 429: " + INSIDE), 400, QUOTA, QUOTA, None, "quota gone"),
    (500, obj(message="event:error\ndata:" + text(code="InternalError.Algo", message="m inside"), type="x", code=None),
     500, SERVER, "internal_error", None, "m inside"),
    (502, "bad response: " + INSIDE + " (request id: 7)", 502, QUOTA, QUOTA, None, "quota gone"),
    (400, obj(message=PRINTED, type=BAD), 400, BAD, "bad", None, "'x' isn't a model"),
    (502, obj(message="upstream said <html><head><title>502 Bad Gateway</title></html>"),
     502, UPSTREAM, "bad_gateway", None, "upstream said 502 Bad Gateway"),
    (400, obj(message='Invalid schema: {"message": "hello"}', code="x"), 400, BAD, "x", None,
     'Invalid schema: {"message": "hello"}'),
    # OpenAI's own stays what it is
    (401, obj(message="m", type=BAD, param=None, code=None), 401, BAD, None, None, "m"),
    (429, obj(message="m", type="tokens", param=None, code="rate_limit_exceeded"), 429, "tokens",
     "rate_limit_exceeded", None, "m"),
    (400, obj(message="m", type="image_generation_user_error", param="p", code="invalid_image_file"),
     400, "image_generation_user_error", "invalid_image_file", "p", "m"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "got", "kind", "code", "param", "message"), BODIES)
def test_a_body_becomes_openais_error(status, body, got, kind, code, param, message):
    failed = read_failure(status, [], body.encode())
    assert (failed.status, failed.type, failed.code, failed.param, failed.message) == (got, kind, code, param, message)
    assert failed.outcome == "upstream_error"


def test_every_body_of_the_table_is_read_the_same_with_a_bom_blanks_and_crlf_around_it():
    for status, body, got, kind, code, param, _ in BODIES:
        failed = read_failure(status, [], b"\xef\xbb\xbf \r\n" + body.encode() + b"\r\n")
        assert (failed.status, failed.type, failed.code, failed.param) == (got, kind, code, param), body


# The spec's table of statuses, and the statuses of edges.
STATUSES = [
    (400, 400, BAD, None), (401, 401, BAD, "invalid_api_key"), (402, 402, QUOTA, QUOTA),
    (403, 403, "permission_error", "access_denied"), (404, 404, BAD, "not_found"), (405, 405, BAD,
     "method_not_allowed"),
    (408, 408, "timeout_error", "timeout"), (409, 409, "conflict_error", "conflict"), (413, 413, BAD,
     "request_too_large"),
    (415, 415, BAD, "unsupported_media_type"), (422, 422, BAD, "unprocessable_entity"),
    (429, 429, RATE, "rate_limit_exceeded"), (500, 500, SERVER, "internal_error"), (501, 501, SERVER,
     "not_implemented"),
    (502, 502, UPSTREAM, "bad_gateway"), (503, 503, BUSY, "server_is_overloaded"), (504, 504, UPSTREAM, "timeout"),
    (520, 502, UPSTREAM, "bad_gateway"), (521, 502, UPSTREAM, "bad_gateway"), (522, 502, UPSTREAM, "bad_gateway"),
    (523, 502, UPSTREAM, "bad_gateway"), (525, 502, UPSTREAM, "bad_gateway"), (526, 502, UPSTREAM, "bad_gateway"),
    (530, 502, UPSTREAM, "bad_gateway"), (524, 504, UPSTREAM, "timeout"), (529, 503, BUSY, "server_is_overloaded"),
    (430, 429, RATE, "rate_limit_exceeded"), (499, 499, SERVER, "request_canceled"), (451, 451, BAD, None),
    (507, 507, SERVER, "internal_error"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "got", "kind", "code"), STATUSES)
def test_a_status_alone_says_type_and_code(status, got, kind, code):
    failed = read_failure(status, [], b"something went wrong")
    assert (failed.status, failed.type, failed.code) == (got, kind, code)


# The spec's table of provider codes, written out again by hand: words, status in a stream, type, code ("=" is kept).
CODES = [
    ("InvalidApiKey, invalid_api_key, NOT AUTHORIZED", 401, BAD, "invalid_api_key"),
    ("AccessDenied, AccessDenied.Whatever, access_denied, Model.AccessDenied, App.AccessDenied, Workspace.AccessDenied",
     403, "permission_error", "access_denied"),
    ("AccessDenied.Unpurchased, Arrearage, AllocationQuota.FreeTierOnly, CommodityNotPurchased, PrepaidBillOverdue,"
     " PostpaidBillOverdue", 429, QUOTA, QUOTA),
    ("Throttling, Throttling.RateQuota, Throttling.BurstRate, LimitRequests, limit_requests, limit_burst_rate,"
     " Throttling.AllocationQuota, Throttling.NewKind", 429, RATE, "rate_limit_exceeded"),
    ("insufficient_quota, credit_balance_exhausted, billing_hard_limit_reached", 429, QUOTA, "="),
    ("ModelNotFound, model_not_found, model_not_supported", 404, BAD, "model_not_found"),
    ("WorkSpaceNotFound, NotFound", 404, BAD, "not_found"),
    ("DataInspectionFailed, data_inspection_failed", 400, BAD, "content_filter"),
    ("InvalidParameter.DataInspection", 400, BAD, "invalid_value"),
    ("InvalidParameter, InvalidParameter.NotSupportEnableThinking, invalid_parameter_error", 400, BAD,
     "invalid_parameter_error"),
    ("BadRequest.EmptyInput, BadRequestException, InvalidFile.Size, InvalidURL, InvalidImage.Format, InvalidSchema,"
     " InvalidSchemaFormat, Audio.DecoderError, invalid_value, invalid_request_error, UnsupportedOperation,"
     " FlowNotPublished, unsupported_value", 400, BAD, "="),
    ("RequestTimeOut, RequestTimeout, InternalError.Timeout", 504, UPSTREAM, "timeout"),
    ("InternalError, InternalError.Algo, InternalError.FileUpload, internal_error, SystemError, ModelServiceFailed,"
     " InvokePluginFailed, AppProcessFailed, RewriteFailed, RetrievalFailed", 500, SERVER, "internal_error"),
    ("ModelServingError, ModelUnavailable", 503, BUSY, "server_is_overloaded"),
    ("context_length_exceeded", 400, BAD, "context_length_exceeded"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "status", "kind", "code"), CODES)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_a_providers_code_says_status_type_and_code_in_any_case(words, status, kind, code, spell):
    for word in map(spell, map(str.strip, words.split(","))):
        failed = read_failure(200, [], text(code=word, message="m").encode())
        assert (failed.status, failed.type, failed.code) == (status, kind, word if code == "=" else code)
        assert failed.extra.get("upstream_code") == (None if failed.code == word else word)


def test_the_real_status_stays_whatever_the_code_means():
    for words, _, _, _ in CODES:
        for status in (400, 403, 422, 429, 500, 503):
            body = text(code=words.split(",")[0], message="m").encode()
            assert read_failure(status, [], body).status == status


def test_a_code_of_the_other_class_does_not_turn_a_client_error_into_a_server_error():
    failed = read_failure(400, [], text(code="InternalError.Algo", message="bad size").encode())
    assert (failed.type, failed.code) == (BAD, "InternalError.Algo")


OVERFLOWS = [
    TOO_LONG,
    "Range of input length should be [1, 6000]",
    "prompt is too long: 201234 tokens > 200000 maximum",
    "Input is too long for requested model.",
    "the request exceeds the available context size. try increasing the context size",
    "Context size has been exceeded.",
    "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    "Please reduce the length of the messages or completion.",
    "`inputs` tokens + `max_new_tokens` must be <= 4096.",
    "Your input exceeds the context window of this model.",
    "input length exceeds the context length",
]
NO_OVERFLOWS = [
    OVER_MAX_TOKENS,
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
    "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens",
    "Invalid 'temperature': decimal above maximum value.",
    "integer above maximum value, expected a value <= 32768, but got 65536 instead",
]


@pytest.mark.parametrize("message", OVERFLOWS)
@pytest.mark.parametrize("status", [400, 413, 500, 200])
def test_a_context_overflow_is_called_so_in_whatever_words(message, status):
    for body in (
        text(error=message),
        obj(message=message, type=BAD, param=None, code=None),
        text(code="X", message=message),
    ):
        assert read_failure(status, [], body.encode()).code == "context_length_exceeded"


@pytest.mark.parametrize("message", NO_OVERFLOWS)
def test_a_limit_of_the_output_is_no_context_overflow(message):
    assert read_failure(400, [], text(error=message).encode()).code is None


def test_too_many_tokens_a_minute_is_no_context_overflow():
    body = text(error="Too many tokens; this exceeds the maximum context length allowance per minute")
    assert read_failure(429, [], body.encode()).code == "rate_limit_exceeded"


EXTRAS = [
    (401, [], text(code="InvalidApiKey", message="m", request_id="q"), {"upstream_code": "InvalidApiKey",
     "request_id": "q"}),
    (401, [("X-Request-Id", "h")], "", {"request_id": "h"}),
    (401, [("x-request-id", "h")], text(error="m", request_id="body"), {"request_id": "body"}),
    (400, [("Request-Id", "h")], text(type="error", error={"type": "billing_error", "message": "m"}),
     {"upstream_type": "billing_error", "request_id": "h"}),
    (400, [], obj(code=400, message="m", n_ctx=8), {"upstream_code": "400", "n_ctx": 8}),
    (400, [], obj(message="m", innererror={"a": [1]}, code="x"), {"innererror": {"a": [1]}}),
    (402, [], text(error={"code": 402, "message": "m"}, user_id="u"), {"upstream_code": "402", "user_id": "u"}),
    (401, [], text(error="unauthorized", signin_url="s"), {"signin_url": "s"}),
    (400, [], text(type="https://e/x", title="t", detail="d", instance="/i"),
     {"title": "t", "instance": "/i", "upstream_type": "https://e/x"}),
    (400, [], text(error="upstream returned 429: " + INSIDE), {"upstream_message": "upstream returned 429: " + INSIDE}),
    (500, [], text(error="Server Error", message="m", path="/p"), {"path": "/p", "upstream_error": "Server Error"}),
    (400, [], obj(message="m", http_status=418, param=["a", 1]), {}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "headers", "body", "extra"), EXTRAS)
def test_what_has_no_place_in_the_envelope_is_kept_beside_it(status, headers, body, extra):
    assert read_failure(status, headers, body.encode()).extra == extra


def test_a_param_that_is_a_path_is_joined():
    assert read_failure(400, [], obj(message="m", param=["a", 1]).encode()).param == "a.1"


def test_half_a_surrogate_pair_hides_no_failure():
    body = b'{"error":{"message":"cut \\ud83d here, whole \\ud83d\\ude00","code":"c"}}'
    failed = read_failure(400, [], body)
    assert (failed.message, failed.code) == ("cut \ufffd here, whole \U0001f600", "c")


def test_half_a_surrogate_pair_can_be_written_wherever_it_stands():
    half = "a\ud83d"
    for error in (
        half,
        {"message": half, "code": half, "type": half, "param": half, "x": half},
        [half],
        {half: 1, "message": "m"},
    ):
        failed = read_failure_reply({"error": error})
        assert failed is not None
        must_be_sound(failed)


def test_numbers_beyond_json_make_no_difference():
    for code in (float("nan"), float("inf"), -1.5, 10**40, True):
        failed = read_failure_reply({"error": {"message": "m", "code": code}})
        assert failed is not None
        assert (failed.status, failed.code) == (500, "internal_error")


def test_a_code_of_odd_digits_is_a_word():
    assert read_failure(400, [], obj(message="m", code="²²²", status="²²²").encode()).code == "²²²"


def test_texts_have_their_limits():
    assert len(read_failure(500, [], b"x" * 5000).message) == 1000
    assert len(read_failure(500, [], b"<title>" + b"x" * 5000 + b"</title>").message) == 300
    assert len(read_failure(500, [], obj(message="x" * 50_000).encode()).message) == 8000


def test_a_further_key_that_is_too_large_or_too_deep_is_left_out():
    deep = "[" * 40 + "]" * 40
    body = '{"error":{"message":"m","kept":1,"deep":' + deep + ',"big":"' + "x" * 20_000 + '"}}'
    assert read_failure(400, [], body.encode()).extra == {"kept": 1}


# A frame as it came -> status, type, code, message; None: no failure.
FRAMES = [
    (b'data: {"choices":[{"delta":{"content":"an \\"error\\" in a text"}}]}\n\n', None),
    (b'data: {"error":null,"choices":[{"delta":{"content":"a"}}]}\n\n', None),
    (b'data: {"error":{"message":"","code":0},"choices":[{"delta":{}}]}\n\n', None),
    (b'data: {"code":200,"message":"ok","data":{}}\n\n', None),
    (b'data: {"code":"200","message":"ok","data":{}}\n\n', None),
    (b'data: {"code":"","message":"","output":{"text":"a"}}\n\n', None),
    (b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{}"},"code":"x"}]}}]}\n\n', None),
    (b'data: {"choices":[{"delta":{"error":"x"}}],"detail":"of the answer"}\n\n', None),
    (b"data: [DONE]\n\n", None),
    (b"data: \n\n", None),
    (b': "error" in a comment\n\n', None),
    (b'data: {"error"\n\n', None),
    (b'data: ["error"]\n\n', None),
    (b'data: {"error":{"message":"m","type":"server_error","param":null,"code":null}}\n\n', (500, SERVER, None, "m")),
    (b'event: error\ndata: {"error":{"message":"m","code":"tool_use_failed","x":"","status_code":400}}\n\n',
     (400, BAD, "tool_use_failed", "m")),
    (b'event: error\ndata: plain words\n\n', (502, UPSTREAM, "invalid_upstream_response", "plain words")),
    (b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"m","param":null}\n\n',
     (429, RATE, "rate_limit_exceeded", "m")),
    (b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"Unheard","message":"m","request_id":"r"}\n\n', (400, BAD,
     "Unheard", "m")),
    (b'event:error\nstatus:429\ndata:{"code":"Unheard","message":"m"}\n\n', (429, RATE, "Unheard", "m")),
    (b':HTTP_STATUS/200\ndata:{"code":"Throttling","message":"m"}\n\n', (429, RATE, "rate_limit_exceeded", "m")),
    (b'data: {"object":"error","message":"m","type":"BadRequestError","code":400}\n\n', (400, BAD, None, "m")),
    (b'data: {"error":"model \'x\' not found"}\n\n', (404, BAD, "model_not_found", "model 'x' not found")),
    (b'data: {"detail":"Not authenticated"}\n\n', (500, SERVER, "internal_error", "Not authenticated")),
    (b'data: {"error":{"code":502,"message":"m"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}\n\n',
     (502, UPSTREAM, "bad_gateway", "m")),
    (b'data: {"choices":[{"delta":{},"finish_reason":"error","error":{"code":429,"message":"m"}}]}\n\n',
     (429, RATE, "rate_limit_exceeded", "m")),
    (b'error: {"code":503,"message":"Loading model","type":"unavailable_error"}\n\n',
     (503, BUSY, "server_is_overloaded", "Loading model")),
    (b'data: {"error":"<429> too fast"}\n\n', (429, RATE, "rate_limit_exceeded", "<429> too fast")),
    (b'data: {"error":{"message":"Overloaded","type":"overloaded_error"}}\n\n', (503, BUSY, "server_is_overloaded",
     "Overloaded")),
    (b'data: {"error":{"message":"m","code":524}}\n\n', (504, UPSTREAM, "timeout", "m")),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "want"), FRAMES)
def test_a_frame_is_a_failure_or_it_is_not(raw, want):
    frames = [frame for batch in read_sse([raw]) for frame in batch]
    failures = [found for found in map(read_failure_frame, frames) if found]
    assert [(f.status, f.type, f.code, f.message) for f in failures] == ([want] if want else [])


def test_a_chunks_own_keys_are_not_taken_for_the_errors():
    data = (
        b'{"id":"c","object":"x","created":1,"model":"m","choices":[],"error":{"message":"m","code":500},"usage":null}'
    )
    failed = read_failure_frame(Frame(data, b"data: " + data + b"\n\n"))
    assert failed is not None and failed.extra == {"upstream_code": "500"}


@pytest.mark.timed
def test_an_ordinary_frame_costs_next_to_nothing():
    data = b'{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}'
    frame = Frame(data, b"data: " + data + b"\n\n")
    best = min(_seconds(lambda: [read_failure_frame(frame) for _ in range(1000)]) for _ in range(5))
    assert best < 0.005


REPLIES = [
    ({"choices": [{"message": {"content": "error"}}], "error": None}, None),
    ({"choices": [], "id": "x"}, None),
    ({"output": {"text": "a"}, "code": "", "message": ""}, None),
    ({"error": {"message": "m", "code": 429}}, (429, RATE, "rate_limit_exceeded", "m")),
    ({"error": {"message": "m", "type": None, "param": "prompt", "code": "content_filter", "status": 400}},
     (400, BAD, "content_filter", "m")),
    ({"error": {"message": "m", "http_status": 403}}, (403, "permission_error", "access_denied", "m")),
    ({"code": "InvalidApiKey", "message": "m"}, (401, BAD, "invalid_api_key", "m")),
    ({"detail": "gone"}, (500, SERVER, "internal_error", "gone")),
    ({"error": "upstream said: " + INSIDE}, (429, QUOTA, QUOTA, "quota gone")),
    ({"choices": [{"finish_reason": "error", "error": {"code": 502, "message": "m"}, "message": {"content": "par"}}]},
     (502, UPSTREAM, "bad_gateway", "m")),
    ({"object": "error", "message": "m", "code": 404}, (404, BAD, "not_found", "m")),
]  # fmt: skip


@pytest.mark.parametrize(("body", "want"), REPLIES)
def test_a_whole_answer_is_a_failure_or_it_is_not(body, want):
    failed = read_failure_reply(body)
    assert (failed and (failed.status, failed.type, failed.code, failed.message)) == want


def test_a_whole_answers_request_id_comes_from_the_headers_if_need_be():
    failed = read_failure_reply({"error": "m"}, [("X-Request-ID", "r")])
    assert failed is not None and failed.extra == {"request_id": "r"}


def test_the_envelope_has_openais_four_keys_first_and_keeps_the_others():
    failed = Failed(429, None, "m", extra={"message": "no", "request_id": "r", "http_status": 1})
    assert list(envelope(failed)["error"].items())[:4] == [
        ("message", "m"), ("type", UPSTREAM), ("param", None), ("code", None),
    ]  # fmt: skip
    assert envelope(failed)["error"]["request_id"] == "r"
    assert envelope(failed)["error"]["http_status"] == 1, "under --compatible it is told here"


RETRY = {
    "connection_reset": "true",
    "tls_failure": "false",
    "upstream_too_large": "false",
    "total_timeout": "false",
    "not_implemented": "false",
    "internal_error": "false",
}


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_only_our_own_failures_tell_an_sdk_whether_to_retry(code):
    want = [("x-should-retry", RETRY[code])] if code in RETRY else []
    assert sdk_headers(failure(code, "m").failed) == want
    theirs = read_failure(500, [], text(code=code, message="m").encode())
    assert sdk_headers(theirs) == []


def must_be_sound(failed):
    assert isinstance(failed.message, str) and failed.message.strip()
    assert len(failed.message) <= 8000
    assert 400 <= failed.status < 600
    assert isinstance(failed.type, str) and failed.type
    assert failed.code is None or isinstance(failed.code, str)
    assert failed.param is None or isinstance(failed.param, str)
    again = msgspec.json.decode(msgspec.json.encode(envelope(failed)))
    assert set(again["error"]) >= {"message", "type", "param", "code"}


WORDS = """error errors message msg detail code type param status object choices output loc title statusCode raw
    metadata finish_reason task_status request_id base_resp"""
KEYS = st.sampled_from(WORDS.split())
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(),
    st.sampled_from(["error", "Throttling", "429", "<429> x", "model not found", "<html><title>x", "FAILED", INSIDE,
    PRINTED]),
)  # fmt: skip
SHAPES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5)
)
STATUS = st.integers(0, 999)
HEADERS = st.lists(st.tuples(st.sampled_from(["X-Request-Id", "content-type", ""]), st.text(max_size=5)), max_size=3)


@settings(max_examples=150, deadline=None)
@given(STATUS, HEADERS, st.binary(max_size=200))
def test_no_bytes_make_reading_a_failure_fail(status, headers, body):
    must_be_sound(read_failure(status, headers, body))
    for frame in (Frame(body, b"data: " + body, "error"), Frame(b"", b"error:" + body), Frame(body, body)):
        failed = read_failure_frame(frame)
        if failed is not None:
            must_be_sound(failed)


@settings(max_examples=250, deadline=None)
@given(
    STATUS,
    SHAPES,
    st.sampled_from([b"%s", b"data: %s", b"[%s]", b"x\n%s", b'{"a":1}\n%s', b"event: error\ndata:%s\n\n"]),
)
def test_no_shape_makes_reading_a_failure_fail(status, shape, around):
    body = msgspec.json.encode(shape)
    must_be_sound(read_failure(status, [], around % body))
    failed = read_failure_frame(Frame(body, b"data: " + body + b"\n\n"))
    if failed is not None:
        must_be_sound(failed)
    if isinstance(shape, dict):
        failed = read_failure_reply(shape)
        if failed is not None:
            must_be_sound(failed)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(400, 599).filter(lambda status: status not in (430, 520, 521, 522, 523, 524, 525, 526, 529, 530)),
    SHAPES,
)
def test_a_real_status_is_never_lost(status, shape):
    got = read_failure(status, [], msgspec.json.encode(shape)).status
    assert got == status or (status, got) == (400, 404)


SIZE = 1_000_000
HOSTILE = {
    "deep lists": b"[" * SIZE,
    "deep objects": b'{"error":' * (SIZE // 9),
    "deep and closed": b'{"error":' * 400 + b'"m"' + b"}" * 400,
    "printed objects": b'{"error":"' + b"{'error': " * 5000 + b'}"}',
    "printed fields": b'{"error":"{\'error\': ' + b"'message': '" * 5000 + b'}"}',
    "tags that never end": b"<" * SIZE,
    "titles that never end": b"<html>" + b"<title" * (SIZE // 6),
    "data lines": b"data: x\n" * (SIZE // 8),
    "data in data": b"data:" * (SIZE // 5),
    "error in error": b"error: " * (SIZE // 7),
    "comments": b":\n\n" * (SIZE // 3),
    "json lines": b'{"error":"' * 100 + b'\n{"code":1}' * (SIZE // 11),
    "open quotes": b'{"error":"' + b"'message': \\\"" * 4000,
    "context words": b'{"error":"' + b"exceeds longer than model " * (SIZE // 26) + b'"}',
    "digits": b"9" * SIZE,
    "braces in a message": b'{"error":"' + b"{" * 60_000 + b"}" * 60_000 + b'"}',
    "a huge body": b'{"error":{"message":"m"},"x":"' + b"y" * 20_000_000 + b'"}',
    "not utf-8": b"\xff" * SIZE,
}  # fmt: skip


def _seconds(run):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


@pytest.mark.timed
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_costs_little(name):
    body = HOSTILE[name]
    assert _seconds(lambda: must_be_sound(read_failure(500, [], body))) < 2
    assert _seconds(lambda: read_failure_frame(Frame(body, b"data: " + body, "error"))) < 2
