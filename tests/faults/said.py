"""Answers that are framed well and say something that cannot be right."""

from __future__ import annotations

from typing import List

from stories import CLOSING, DONE, END, OPENING, whole

from faults.cut import ONE
from faults.row import Row, breaks, ends_well, fails, streams

GROUP = "What the answer says"
SAID = OPENING + ONE + CLOSING
ODD = fails("invalid_upstream_response", kept=True)
KEPT = ends_well(SAID + DONE, kept=True)
BEGUN = OPENING + ONE
PLAIN = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
)


def failing(message: bytes) -> bytes:
    """OpenAI's error object as a frame."""
    return b'data: {"error":{"message":"%s","type":"server_error","param":null,"code":null}}\n\n' % message


BODIES = [  # (what is said under 200, what becomes of it for a client who waits, and for one who streams)
    ("nothing", b"", ODD, ODD),
    ("blanks only", b" \r\n\t ", ODD, ODD),
    ("HTML", b"<!DOCTYPE html><title>Welcome to nginx!</title>", ODD, ODD),
    ("null", b"null", ODD, ODD),
    ("true", b"true", ODD, ODD),
    ("a number", b"42", ODD, ODD),
    ("a text", b'"hello"', ODD, ODD),
    ("an empty array", b"[]", ODD, ODD),
    ("an array of nulls", b"[null]", ODD, ODD),
    ("an empty object", b"{}", None, None),
    ("half a JSON", PLAIN[:-20], ODD, ODD),
    ("two JSONs", PLAIN + PLAIN, ODD, ODD),
    ("JSON and garbage", PLAIN + b"<!-- -->", ODD, ODD),
    ("JSON and [DONE]", PLAIN + b"\n\ndata: [DONE]\n\n", None, None),
    ("a BOM before it", b"\xef\xbb\xbf" + PLAIN, None, None),
    ("UTF-16", PLAIN.decode().encode("utf-16"), None, None),
    ("NUL in it", PLAIN.replace(b"hi", b"h\x00i"), None, None),
    ("NUL around it", b"\x00" + PLAIN, None, None),
    ("an escaped NUL", PLAIN.replace(b"hi", b"h\\u0000i"), None, None),
    ("invalid UTF-8", PLAIN.replace(b"hi", b"h\xff\xfei"), None, None),
    ("an overlong sequence", PLAIN.replace(b"hi", b"h\xc0\x80i"), None, None),
    ("a lone surrogate", PLAIN.replace(b"hi", b"h\\ud800i"), None, None),
    ("a raw surrogate", PLAIN.replace(b"hi", b"h\xed\xa0\x80i"), None, None),
    ("NaN", PLAIN.replace(b'"created":1', b'"created":NaN'), None, None),
    ("Infinity", PLAIN.replace(b'"created":1', b'"created":-Infinity'), None, None),
    ("a number of 400 digits", PLAIN.replace(b'"created":1', b'"created":' + b"9" * 400), None, None),
    ("a number beyond a float", PLAIN.replace(b'"created":1', b'"created":1e999'), None, None),
    ("duplicate keys", PLAIN.replace(b'"id":"c"', b'"id":"a","id":"c"'), None, None),
    ("an empty key", PLAIN.replace(b'"id":"c"', b'"id":"c","":1'), None, None),
    ("100,000 levels in it", PLAIN.replace(b'"hi"', b"[" * 100_000 + b"]" * 100_000), None, None),
    ("100,000 levels", b"[" * 100_000, ODD, ODD),
    ("100,000 levels of objects", b'{"a":' * 100_000, ODD, ODD),
    ("an error object", b'{"error":{"message":"m","type":"server_error","code":"x"}}', None, None),
    ("an error text", b'{"error":"model is loading"}', None, None),
    ("an error that is null", PLAIN.replace(b'"id":"c"', b'"id":"c","error":null'), None, None),
    ("an error that is true", b'{"error":true}', None, None),
    ("an error that is empty", b'{"error":{}}', None, None),
    ("an error in an array", b'[{"error":{"message":"m","code":429,"status":"RESOURCE_EXHAUSTED"}}]', None, None),
]

FRAMES = [  # (chunks of a stream, what becomes of it)
    ("nothing", [], ODD),
    ("[DONE] alone", [DONE], None),
    ("a comment alone", [b": hello\n\n"], None),
    ("comments, then the answer", [b": wait\n\n"] * 20 + [SAID, DONE], None),
    ("comments in between", [OPENING, b": wait\n\n", ONE, b": wait\n\n", CLOSING, DONE], None),
    ("[DONE] twice", [SAID, DONE, DONE], KEPT),
    ("words after [DONE]", [SAID, DONE, ONE], KEPT),
    ("an error after [DONE]", [SAID, DONE, failing(b"late")], KEPT),
    ("no [DONE]", [SAID], KEPT),
    ("no finish_reason", [OPENING, ONE, DONE], None),
    ("neither", [OPENING, ONE], breaks(BEGUN, "stream_truncated", "truncated", kept=True)),
    ("an error at once", [failing(b"boom")], None),
    ("an error after the role", [OPENING, failing(b"boom"), DONE], None),
    ("an error in the middle", [BEGUN, failing(b"boom"), DONE], None),
    ("an error and more words", [BEGUN, failing(b"boom"), ONE, DONE], None),
    ("an error text", [BEGUN, b'data: {"error":"overloaded"}\n\n', DONE], None),
    ("an error event", [BEGUN, b'event: error\ndata: {"message":"overloaded"}\n\n'], None),
    ("an error without data:", [BEGUN, b'{"error":{"message":"boom"}}\n\n'], None),
    ("an error as a field", [BEGUN, b'error: {"message":"boom"}\n\n'], None),
    (
        "DashScope's error",
        [
            BEGUN,
            b"id:1\nevent:error\n:HTTP_STATUS/400\n"
            b'data:{"code":"DataInspectionFailed","message":"bad words","request_id":"q"}\n\n',
        ],
        None,
    ),
    (
        "Anthropic's error",
        [BEGUN, b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'],
        None,
    ),
    ("Ollama's error", [BEGUN, b'{"error":"an error was encountered while running the model"}\n'], None),
    ("HTML in the middle", [BEGUN, b"<html>504 Gateway Time-out</html>\n\n"], None),
    ("half a JSON in a frame", [BEGUN, b'data: {"choices":[\n\n', CLOSING, DONE], None),
    ("null in a frame", [BEGUN, b"data: null\n\n", CLOSING, DONE], None),
    ("an array in a frame", [BEGUN, b"data: []\n\n", CLOSING, DONE], None),
    ("a number in a frame", [BEGUN, b"data: 5\n\n", CLOSING, DONE], None),
    ("a text in a frame", [BEGUN, b'data: "x"\n\n', CLOSING, DONE], None),
    ("an empty object in a frame", [BEGUN, b"data: {}\n\n", CLOSING, DONE], None),
    ("an empty frame", [BEGUN, b"data:\n\n", CLOSING, DONE], None),
    ("plain words in a frame", [BEGUN, b"data: hello\n\n", CLOSING, DONE], None),
    ("NaN in a frame", [OPENING, ONE.replace(b"1760000007", b"NaN"), CLOSING, DONE], None),
    ("a lone surrogate", [OPENING, ONE.replace(b"one", b"\\ud83d"), CLOSING, DONE], None),
    (
        "a pair of surrogates in two frames",
        [OPENING, ONE.replace(b"one", b"\\ud83d"), ONE.replace(b"one", b"\\ude00"), CLOSING, DONE],
        None,
    ),
    ("invalid UTF-8", [OPENING, ONE.replace(b"one", b"\xff"), CLOSING, DONE], None),
    ("a raw NUL", [OPENING, ONE.replace(b"one", b"\x00"), CLOSING, DONE], None),
    ("a NUL frame", [BEGUN, b"\x00\n\n", CLOSING, DONE], None),
    ("a BOM", [b"\xef\xbb\xbf" + OPENING, ONE, CLOSING, DONE], None),
    ("a BOM in the middle", [BEGUN, b"\xef\xbb\xbf" + CLOSING, DONE], None),
    ("CRLF", [(SAID + DONE).replace(b"\n", b"\r\n")], None),
    ("CR", [(SAID + DONE).replace(b"\n", b"\r")], None),
    ("CR, LF and CRLF mixed", [OPENING.replace(b"\n", b"\r"), ONE.replace(b"\n", b"\r\n"), CLOSING, DONE], None),
    ("no blank lines", [(SAID + DONE).replace(b"\n\n", b"\n")], None),
    ("no space after data:", [(SAID + DONE).replace(b"data: ", b"data:")], None),
    (
        "ids, events and retries",
        [b"id: 1\nretry: 5\nevent: message\n" + OPENING, b"id: 2\n" + ONE, CLOSING, DONE],
        None,
    ),
    ("data over several lines", [OPENING, ONE.replace(b',"model"', b',\ndata: "model"'), CLOSING, DONE], None),
    ("duplicate keys", [OPENING, ONE.replace(b'"model":"M"', b'"model":"A","model":"M"'), CLOSING, DONE], None),
    ("100,000 levels", [BEGUN, b"data: " + b"[" * 100_000 + b"\n\n", DONE], None),
]

SHAPES = [  # (a field of a chunk, what it is instead; what becomes of the frame)
    ("id", b'"id":"chatcmpl-k"', (b'"id":5', b'"id":null', b'"id":{}')),
    ("object", b'"object":"chat.completion.chunk"', (b'"object":1', b'"object":null')),
    ("created", b'"created":1760000007', (b'"created":"now"', b'"created":null', b'"created":[]', b'"created":1.5')),
    ("model", b'"model":"M"', (b'"model":5', b'"model":null', b'"model":[]')),
    (
        "choices",
        b'"choices":[{',
        (
            b'"choices":5,"x":[{',
            b'"choices":null,"x":[{',
            b'"choices":"no","x":[{',
            b'"choices":[5],"x":[{',
            b'"choices":[null],"x":[{',
            b'"choices":{},"x":[{',
        ),
    ),
    ("index", b'"index":0', (b'"index":"0"', b'"index":-1', b'"index":null', b'"index":1e30', b'"index":true')),
    ("delta", b'"delta":{', (b'"delta":null,"x":{', b'"delta":5,"x":{', b'"delta":[],"x":{', b'"delta":"one","x":{')),
    (
        "content",
        b'"content":"one"',
        (b'"content":5', b'"content":null', b'"content":{}', b'"content":["one"]', b'"content":true'),
    ),
    ("role", b'"content":"one"', (b'"content":"one","role":5', b'"content":"one","role":{}')),
    (
        "reasoning_content",
        b'"content":"one"',
        (b'"content":"one","reasoning_content":5', b'"content":"one","reasoning_content":[]'),
    ),
    (
        "tool_calls",
        b'"content":"one"',
        tuple(
            b'"tool_calls":' + one
            for one in (
                b"5",
                b'"x"',
                b"{}",
                b"[5]",
                b"[null]",
                b"[[]]",
                b'[{"index":"x"}]',
                b'[{"index":-5}]',
                b'[{"index":0,"function":5}]',
                b'[{"index":0,"function":{"name":5,"arguments":7}}]',
                b'[{"index":0,"id":5,"type":5}]',
            )
        ),
    ),
    ("function_call", b'"content":"one"', (b'"function_call":5', b'"function_call":{"arguments":5}')),
    (
        "finish_reason",
        b'"finish_reason":null',
        (b'"finish_reason":5', b'"finish_reason":""', b'"finish_reason":{}', b'"finish_reason":true'),
    ),
    ("logprobs", b'"logprobs":null', (b'"logprobs":5', b'"logprobs":{"content":5}', b'"logprobs":{"content":[5]}')),
    (
        "usage",
        b'"model":"M"',
        (b'"model":"M","usage":5', b'"model":"M","usage":{"total_tokens":"x"}', b'"model":"M","usage":[]'),
    ),
]


def shaped(field: bytes, other: bytes) -> bytes:
    """A frame with one field gone wrong."""
    assert field in ONE, field
    return ONE.replace(field, other)


def rows() -> List[Row]:
    """Bodies, frames, and each field of a frame with a value of a wrong type."""
    made = []
    for name, body, waits, streaming in BODIES:
        made.append(Row(GROUP, f"a whole: {name}", [whole(body)], waits))
        made.append(Row(GROUP, f"a whole made a stream: {name}", [whole(body)], streaming, "unfolded"))
    for name, chunks, want in FRAMES:
        made.append(Row(GROUP, f"a stream: {name}", [*streams(*chunks), END], want, "stream"))
    for name, field, others in SHAPES:
        for other in others:
            script = [*streams(OPENING, shaped(field, other), CLOSING, DONE), END]
            made.append(Row("What a field says", f"{name}: {other.decode()}", script, None, "stream"))
            made.append(Row("What a field says", f"{name}: {other.decode()}, folded", script, None, "folded"))
    return made
