"""Server-sent events: spec section 2.2's list, every cut of every row, and sseclient-py as the second opinion."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sseclient import SSEClient

from proxy.errors import ProxyError
from proxy.framing.sniff import sniff
from proxy.framing.sse import read_sse

J = b'{"a":1}'
FIRST_DASHSCOPE = b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:" + J
ROWS = {
    "1 with a space": (b"data: " + J + b"\n\n", [J]),
    "1 without a space": (b"data:" + J + b"\n\n", [J]),
    "2 crlf": (b"data: " + J + b"\r\n\r\n", [J]),
    "2 cr": (b"data: " + J + b"\r\r", [J]),
    "3 lf then crlf": (b"data: 1\n\r\ndata: 2\n\r\n", [b"1", b"2"]),
    "3 crlf then lf": (b"data: 1\r\n\ndata: 2\r\n\n", [b"1", b"2"]),
    "4 crlf is one end": (b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [b"a\nb", b"c"]),
    "5 emoji": ("data: \U0001f600\n\n".encode(), ["\U0001f600".encode()]),
    "6 bom": (b"\xef\xbb\xbfdata: x\n\ndata: y\n\n", [b"x", b"y"]),
    "7 comment": (b": OPENROUTER PROCESSING\n\ndata: x\n\n", [b"", b"x"]),
    "8 two data lines": (b"data: a\ndata: b\n\n", [b"a\nb"]),
    "9 bare data": (b"data\n\n", [b""]),
    "12 done at the end": (b"data: [DONE]", [b"[DONE]"]),
    "12 json at the end": (b"data: " + J, [J]),
    "12 half json at the end": (b"data: x\n\ndata: " + J[:-1], [b"x"]),
    "13 two spaces": (b"data:  x\n\n", [b" x"]),
    "14 not line ends": ("data: \u2028\u0085\x0b\x0c\n\n".encode(), ["\u2028\u0085\x0b\x0c".encode()]),
    "15 no blank line": (FIRST_DASHSCOPE + b"\n" + FIRST_DASHSCOPE + b"\n\n", [J, J]),
    "15 done without a blank line": (b"data: " + J + b"\ndata: [DONE]\n\n", [J, b"[DONE]"]),
    "17 invalid utf-8": (b"data: a\xffb\n\ndata: x\n\n", ["a\ufffdb".encode(), b"x"]),
    "18 json over two lines": (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
    "blank lines first": (b"\n\r\n\ndata: x\n\n", [b"x"]),
    "three line ends": (b"data: x\n\n\ndata: y\n\n", [b"x", b"y"]),
    "nul": (b"data: a\x00b\n\n", [b"a\x00b"]),
    "old llama.cpp": (b"error: {}\n\n", [b""]),
    "nothing": (b"", []),
}


def frames_of(pieces, **limits):
    return [frame for batch in read_sse(pieces, **limits) for frame in batch]


def data_of(pieces):
    return [frame.data for frame in frames_of(pieces)]


@pytest.mark.parametrize("body, want", ROWS.values(), ids=ROWS)
def test_each_row_is_read_however_it_is_cut(body, want):
    assert data_of([body]) == want
    assert data_of([body[i : i + 1] for i in range(len(body))]) == want
    for one, two in itertools.combinations(range(len(body) + 1), 2):
        assert data_of([body[:one], body[one:two], body[two:]]) == want


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"])
def test_raw_holds_the_very_bytes(end):
    records = [b"data: 1" + end, b"event: x\ndata: 2" + end, b": c" + end]
    body = b"".join(records)
    assert b"".join(frame.raw for frame in frames_of([body])) == body
    assert [frame.raw for frame in frames_of([body])] == records


def test_a_frame_knows_its_event_comment_and_id():
    (frame,) = frames_of([FIRST_DASHSCOPE + b"\n\n"])
    assert (frame.event, frame.comment, frame.id, frame.data) == ("result", "HTTP_STATUS/200", True, J)


def test_a_name_that_only_begins_with_data_is_unknown():
    assert data_of([b"data :x\n\n", b"datax: y\n\n", b"Data: z\n\n"]) == [b"", b"", b""]


def test_frames_that_arrive_together_leave_together():
    batches = list(read_sse([b"data: 1\n\n", b"data: 2\n\ndata: 3\n\n", b"data: 4", b"\n\n"]))
    assert [[frame.data for frame in batch] for batch in batches] == [[b"1"], [b"2", b"3"], [b"4"]]


def test_a_line_of_eight_megabytes_is_read_from_small_pieces():
    line = b"data: " + b"x" * (8 << 20) + b"\n\n"
    assert data_of(line[i : i + 4096] for i in range(0, len(line), 4096)) == [line[6:-2]]


@pytest.mark.timed
def test_a_hostile_record_of_many_lines_costs_little():
    record = b"data: {x}\n" * 20_000 + b"\n"
    began = time.process_time()
    assert data_of([record]) == [b"\n".join([b"{x}"] * 20_000)]
    assert time.process_time() - began < 2


@pytest.mark.parametrize("pieces", [[b"data: " + b"[" * 100_000], [b"data: " + b"[" * 100_000 + b"]\ndata: x\n\n"]])
def test_deep_nesting_is_no_surprise(pieces):
    assert len(data_of(pieces)) < 2


def test_a_frame_over_the_limit_fails_loudly():
    with pytest.raises(ProxyError) as caught:
        frames_of([b"data: " + b"x" * 100, b"x"], limit=100)
    assert caught.value.failed.code == "upstream_too_large"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=8), st.data())
def test_sseclient_reads_the_same_from_well_formed_streams(texts, data):
    body = "".join(f"data: {text}\n\n" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)])]
    assert [d.decode() for d in data_of(pieces)] == [event.data for event in SSEClient([body]).events()]


@pytest.mark.parametrize(
    "begin, form",
    [
        (b"", None),
        (b" \r\n\t", None),
        (b"\xef\xbb", None),
        (b"\n\n  {", "json"),
        (b"[1]", "json"),
        (b"\xef\xbb\xbfdata", None),
        (b"\xef\xbb\xbfdata:", "sse"),
        (b": OPENROUTER", "sse"),
        (b"ev", None),
        (b"event: x", "sse"),
        (b"<html>", "other"),
        (b"dataset", "other"),
        (b"null", "other"),
    ],
)
def test_the_first_bytes_tell_the_form(begin, form):
    assert sniff(begin) == form
