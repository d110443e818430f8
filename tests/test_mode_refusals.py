"""Which failures refuse the mode, and which only look like it: spec 3.7, C01-C05, C10, C11, C44."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.chat.events import Failed
from proxy.dialects.failures import read_failure, read_failure_frame
from proxy.dialects.mode_refusals import LONGEST, ROWS, read_refusal
from proxy.framing.sse import read_sse

BAD = "invalid_request_error"
VERIFY = (
    "Your organization must be verified to stream this model. Please go to: https://platform.openai.com/settings/"
    "organization/general and click on Verify Organization. If you just verified, it can take up to 15 minutes."
)
ONLY_STREAM = "This model only support stream mode, please enable the stream parameter to access the model. "
O1 = "Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported."


def refusal(message, streamed, status=400, **error):
    body = msgspec.json.encode({"error": {"message": message, "type": BAD, "param": None, "code": None, **error}})
    change = read_refusal(read_failure(status, [], body), streamed=streamed)
    return change and (change.kind, change.remember)


# The mode refused (True: stream), the message, and whether the answer is worth remembering.
NEEDS_STREAM = [
    (ONLY_STREAM, True),
    ("<400> InternalError.Algo.InvalidParameter: " + ONLY_STREAM, True),
    ("This model only supports streaming responses. Please set stream=True.", True),
    ("This model only supports streaming.", True),
    ("current user api does not support http call.", True),
    ("parameter.enable_thinking must be set to false for non-streaming calls", True),
    ("parameter.enable_thinking only support stream call", True),
    ("parameter.enable_thinking必须设置为false才能进行非流式调用", True),
    ("enable thinking can not be support when `stream=False`.", True),
    ("'audio' output only support with stream=true", True),
    ("Audio output requires stream: true", True),
    ("Stream must be set to true", True),
    ("'stream' must be true", True),
    ("Non-streaming is not supported for this model", True),
    ("该模型仅支持流式调用", True),
    ("Requests with max_tokens > 5000 must have stream=true", False),
    ("Streaming is required for operations that may take longer than 10 minutes", False),
]
NEEDS_WHOLE = [
    (O1, True),
    ("Unsupported value: 'stream' does not support true with this model. Supported values are: false.", True),
    (O1 + " (request id: 202409210905172535451920nkD7l6j)", True),
    (VERIFY, True),
    ("This model does not support streaming", True),
    ("Error in `stream`: `stream` is not supported for this model", True),
    ("The model is unsupported for streaming", True),
    ("stream must be false for this model", True),
    ("该模型不支持流式输出", True),
    ("'audio.format' does not support 'wav' when stream=true. Supported values are: 'pcm16'.", False),
    ("This model doesn't support tool use in streaming mode.", False),
    ("Streaming is not supported when logprobs are requested", False),
    ("n > 1 does not support streaming", False),
    ("Streaming is not supported with response_format json_schema", False),
]
NO_OPTIONS = [
    ("Unknown parameter: 'stream_options'.", True),
    ("Unknown parameter: 'stream_options'. (request id: 20240806214436917505976hvsFC5y2)", True),
    ("stream_options: Extra inputs are not permitted", True),
    ("stream_options.include_usage: Extra inputs are not permitted", True),
    (
        "Extra parameters ['stream_options'] are not allowed when extra-parameters is not set or set to be 'error'.",
        True,
    ),
    ("Unrecognized request argument supplied: stream_options", True),
    ("stream_options is not supported", True),
    ("This model does not support stream_options", True),
    ("The 'stream_options' parameter is only allowed when 'stream' is enabled.", False),
    ("Stream options can only be defined when `stream=True`.", False),
]


@pytest.mark.parametrize(("message", "remember"), NEEDS_STREAM)
def test_who_cannot_answer_whole_is_asked_for_a_stream(message, remember):
    assert refusal(message, streamed=False) == ("stream", remember)


@pytest.mark.parametrize(("message", "remember"), NEEDS_WHOLE)
def test_who_cannot_stream_is_asked_for_the_whole(message, remember):
    assert refusal(message, streamed=True) == ("whole", remember)


@pytest.mark.parametrize(("message", "remember"), NO_OPTIONS)
@pytest.mark.parametrize("streamed", [True, False])
def test_who_does_not_know_stream_options_is_asked_without(message, remember, streamed):
    assert refusal(message, streamed) == ("drop_stream_options", remember)


@pytest.mark.parametrize("message", [message for message, _ in NEEDS_STREAM])
def test_a_refusal_of_the_whole_is_none_for_a_stream(message):
    assert refusal(message, streamed=True) is None


@pytest.mark.parametrize("message", [message for message, _ in NEEDS_WHOLE])
def test_a_refusal_of_the_stream_is_none_for_a_whole(message):
    assert refusal(message, streamed=False) is None


# What a native provider wants otherwise; its dialect knows what to change (spec 3.7).
NATIVE = [
    ("incremental_output", 'The incremental_output parameter must be "true" when enable_thinking is true'),
    ("incremental_output", "The incremental_output parameter of this model cannot be set to False."),
    ("result_format", 'The result_format parameter must be "message" when enable_thinking is true'),
    ("other_path", "url error, please check url!"),
]
ALL = (
    [(False, m) for m, _ in NEEDS_STREAM]
    + [(True, m) for m, _ in NEEDS_WHOLE]
    + [(True, m) for m, _ in NO_OPTIONS]
    + [(True, m) for _, m in NATIVE]
)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 413, 429, 499, 500, 501, 502, 503, 504])
def test_only_a_status_that_promises_that_nothing_was_generated_counts(status):
    assert [message for streamed, message in ALL if refusal(message, streamed, status)] == []


@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_the_case_of_the_words_does_not_matter(spell):
    assert [message for streamed, message in ALL if not refusal(spell(message), streamed)] == []


def test_an_unprocessable_ask_may_be_a_refusal_too():
    assert [message for streamed, message in ALL if not refusal(message, streamed, 422)] == []


@pytest.mark.parametrize(
    "param", ["messages", "messages[0].content", "messages.0.content", "input", "prompt", "tools[0].x"]
)
def test_a_failure_about_what_the_user_wrote_refuses_no_mode(param):
    assert [message for streamed, message in ALL if refusal(message, streamed, param=param)] == []


def test_a_refusal_that_another_parameter_is_named_for_is_not_remembered():
    assert refusal("This model does not support streaming", True, param="stream") == ("whole", True)
    assert refusal("This model does not support streaming", True, param="tools") == ("whole", False)


# Ordinary failures that mention streaming: nothing here may be asked twice.
NO_REFUSALS = [
    "Invalid 'messages[0].content': \"please explain why this model only supports streaming responses\"",
    "Content flagged: 'my provider says this model does not support streaming, what now?'",
    "Cannot parse `This model only support stream mode, please enable it`",
    "Flagged text: “Unknown parameter: stream_options, it said to me yesterday”",
    'Flagged text: "This model only supports streaming responses. Please set str',
    "Invalid type for 'stream': expected a boolean, but got a string instead.",
    "stream must be true or false",
    "stream must be a boolean",
    "'stream' must be false or true",
    "stream: Input should be a valid boolean, unable to interpret input",
    "stream_options: Input should be a valid dictionary",
    "Invalid type for 'stream_options.include_usage': expected a boolean.",
    "Unknown parameter: 'stream_options.continuous_usage'.",
    "The image stream could not be decoded",
    "Failed to read request body: stream error: stream ID 7; INTERNAL_ERROR",
    "The upstream server is not supported",
    "Unsupported streaming protocol in file_url: rtsp",
    "Video streams are limited to 10 MB",
    "Unsupported value: 'temperature' does not support 0 with this model.",
    "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "The value of the enable_thinking parameter is restricted to True.",
    "Json mode response is not supported when enable_thinking is true",
    "Model nonexistent is not supported.",
    "downstream is not supported",
    "",
]


@pytest.mark.parametrize("message", NO_REFUSALS)
@pytest.mark.parametrize("streamed", [True, False])
def test_an_ordinary_failure_is_no_refusal(message, streamed):
    assert refusal(message, streamed) is None


def test_a_long_text_is_no_refusal_even_if_it_contains_one():
    assert refusal("word " * LONGEST + ONLY_STREAM, False) is None
    assert refusal(ONLY_STREAM + "word " * LONGEST, False) is None


WRAPPED = [
    b'{"detail":"Stream must be set to true"}',
    b'{"error":"This model only supports streaming responses. Please set stream=True."}',
    b'{"code":"InvalidParameter","message":"parameter.enable_thinking only support stream call","request_id":"r"}',
    b'data: {"error":{"code":"invalid_parameter_error","param":null,"message":"This model only support stream mode, '
    b'please enable the stream parameter","type":"invalid_request_error"},"id":"chatcmpl-1"}',
    b"litellm.BadRequestError: Error code: 400 - {'error': {'message': \"This model only support stream mode, "
    b"please enable the stream parameter\", 'param': None}}",
    b'{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\\"error\\":{\\"message\\":'
    b'\\"This model only support stream mode, please enable the stream parameter\\"}}"}}}',
]


@pytest.mark.parametrize("body", WRAPPED)
def test_a_refusal_is_found_in_every_wrapping(body):
    change = read_refusal(read_failure(400, [], body), streamed=False)
    assert change is not None
    assert (change.kind, change.remember) == ("stream", True)


@pytest.mark.parametrize(
    "raw",
    [
        b'data: {"error":{"message":"This model only support stream mode","code":"invalid_parameter_error"}}\n\n',
        b'event:error\n:HTTP_STATUS/400\ndata:{"code":"X","message":"enable_thinking only support stream call"}\n\n',
        b'data: {"error":"This model only supports streaming responses."}\n\n',
    ],
)
def test_a_refusal_in_the_first_frame_of_a_stream_counts(raw):
    frame = next(read_sse([raw]))[0]
    failed = read_failure_frame(frame)
    assert failed is not None and failed.status == 400
    change = read_refusal(failed, streamed=False)
    assert change is not None and change.kind == "stream"


def test_param_and_code_alone_can_refuse_stream_options():
    failed = Failed(400, "unknown_parameter", "No.", BAD, "stream_options")
    change = read_refusal(failed, streamed=True)
    assert change is not None and (change.kind, change.remember) == ("drop_stream_options", True)
    assert read_refusal(Failed(400, "invalid_type", "No.", BAD, "stream_options"), streamed=True) is None


@pytest.mark.parametrize("kind, message", NATIVE)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_native_providers_wish_is_known_in_either_mode(kind, message, streamed):
    change = read_refusal(Failed(400, "InvalidParameter", message), streamed=streamed)
    assert change is not None and (change.kind, change.remember) == (kind, True)


def test_every_row_of_the_table_is_reached_by_a_test():
    seen = set()
    for streamed, message in ALL:
        change = read_refusal(Failed(400, None, message), streamed=streamed)
        seen.add(change and change.names)
    assert seen == {row.names for row in ROWS}


def test_every_change_says_what_it_is_for_the_journal():
    assert {row.kind for row in ROWS} == {"stream", "whole", "drop_stream_options", *(kind for kind, _ in NATIVE)}
    assert all(row.names for row in ROWS)


@given(st.text(max_size=400), st.booleans())
def test_no_message_makes_reading_a_refusal_fail(message, streamed):
    change = read_refusal(Failed(400, None, message), streamed=streamed)
    assert change is None or change.kind in ("stream", "whole", "drop_stream_options")
