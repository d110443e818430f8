"""Which headers pass the proxy, in which direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers import end_to_end, first, fixed_headers, from_provider, on_one_line, sendable, to_provider

split = str.split
PASS_BOTH = split("""Authorization Content-Type Content-Encoding Cache-Control Retry-After Retry-After-Ms X-Request-Id
X-Should-Retry X-RateLimit-Remaining-Tokens OpenAI-Organization OpenAI-Beta Idempotency-Key X-Stainless-Retry-Count
User-Agent Accept Accept-Encoding Range If-Range If-None-Match ETag Accept-Ranges Content-Range Content-Disposition
Location Link X-Title HTTP-Referer Origin Warning X-Forwar X-My-Forward-To""")
STOP_BOTH = split("""Connection Keep-Alive Proxy-Authorization Proxy-Connection Proxy-Authenticate TE Trailer
Transfer-Encoding Upgrade HTTP2-Settings Cookie Set-Cookie Forwarded X-Forwarded-For X-Forwarded-Proto X-Real-IP Via
X-Forward-Mode X-Forward-Compatible X-Logging-Id X-Upstream-Status""")
ROWS = [
    *[(name, True, True) for name in PASS_BOTH],
    *[(name, False, False) for name in STOP_BOTH],
    ("Host", False, True),
    ("Expect", False, True),
    ("Content-Length", False, True),
    ("Date", True, False),
    ("Server", True, False),
]


@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
@pytest.mark.parametrize("name, up, down", ROWS)
def test_a_header_passes_or_stops(name, up, down, spell):
    pair = (spell(name), "5")
    assert to_provider([pair]) == ([pair] if up else [])
    assert from_provider([pair]) == ([pair] if down else [])


@pytest.mark.parametrize("direction", ["request", "response"])
def test_what_connection_names_stops_however_it_is_spelled(direction):
    given_headers = [("X-A", "1"), ("connection", "close, x-a ,,"), ("X-B", "2"), ("Connection", "X-B"), ("X-C", "3")]
    assert end_to_end(given_headers, direction) == [("X-C", "3")]


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "api-key", "Content-Type", "Cache-Control"])
def test_connection_cannot_strip_what_is_never_hop_by_hop(name):
    assert to_provider([("Connection", name.lower()), (name, "v")]) == [(name, "v")]


def test_connection_cannot_take_the_length_from_an_answer():
    given_headers = [("Connection", "content-length, content-encoding"), ("Content-Length", "5")]
    assert from_provider(given_headers) == [("Content-Length", "5")]


def test_a_length_beside_chunked_is_not_passed_on():
    given_headers = [("Content-Length", "5"), ("transfer-encoding", "chunked"), ("X", "y")]
    assert from_provider(given_headers) == [("X", "y")]


@pytest.mark.parametrize("name", ["X(a)", "", "X Y", "X-\xe9", "X\t", '"X"'])
def test_a_name_that_no_host_could_send_does_not_reach_the_client(name):
    assert from_provider([(name, "b"), ("X-B", "c")]) == [("X-B", "c")]


@pytest.mark.parametrize("length", ["abc", "-5", "+2", "1_0", "", "2, 3", "2,", "\u0662", "2 2"])
def test_a_length_that_is_not_one_number_is_never_relayed(length):
    assert from_provider([("X", "y"), ("Content-Length", length)]) == [("X", "y")]


def test_equal_lengths_are_relayed_as_one_and_others_not_at_all():
    assert from_provider([("content-length", "2, 2"), ("X", "y"), ("Content-Length", "2")]) == [
        ("content-length", "2"),
        ("X", "y"),
    ]
    assert from_provider([("Content-Length", "2"), ("Content-Length", "9")]) == []


@pytest.mark.parametrize("line", ["Host: x", "connection: x", "TE: trailers", "Upgrade: x", "X: \u20ac"])
def test_a_fixed_header_that_is_not_the_operators_to_set_is_refused(line):
    with pytest.raises(ValueError, match=line.partition(":")[0]):
        fixed_headers([line])


def test_repeated_headers_stay_repeated_and_in_order():
    given_headers = [("Link", "a"), ("X", "1"), ("link", "b"), ("Via", "p"), ("Link", "a")]
    assert from_provider(given_headers) == [("Link", "a"), ("X", "1"), ("link", "b"), ("Link", "a")]


@pytest.mark.parametrize("name", ["Content-Length", "Content-Encoding", "ETag", "Content-MD5", "Accept-Ranges"])
def test_a_body_of_our_own_is_not_described_by_their_headers(name):
    assert from_provider([(name, "5"), ("X", "y")], own_body=True) == [("X", "y")]
    assert from_provider([(name, "5")]) == [(name, "5")]


def test_the_first_value_is_found_in_any_case():
    assert first([("A", "1"), ("B", "2"), ("b", "3")], "b") == "2"
    assert (first([], "b"), first([], "b", "none")) == ("", "none")


@pytest.mark.parametrize(
    "value, want",
    [("a", "a"), ("a\r\n b", "a b"), ("a\n\tb", "a b"), ("a\x00b\rc", "a b c"), (" a\tb ", "a\tb"), ("\x85", "\x85")],
)
def test_a_received_value_is_one_line(value, want):
    assert on_one_line(value) == want


@given(st.text(), st.text())
def test_what_is_sendable_is_one_line_of_latin_1(name, value):
    if sendable(name, value):
        line = f"{name}: {value}".encode("latin-1")
        assert len(line.splitlines()) <= 1 or b"\r" not in line and b"\n" not in line
        assert b"\x00" not in line and name and ":" not in name and " " not in name


@given(st.lists(st.tuples(st.sampled_from([row[0] for row in ROWS]), st.sampled_from(["x-a", "close", "date"]))))
def test_passing_twice_is_passing_once(headers):
    for direction in ("request", "response"):
        once = end_to_end(headers, direction)
        assert end_to_end(once, direction) == once
