"""The metrics as a scraper gets them: of all workers, also of one that was killed."""

from __future__ import annotations

import sys

import pytest
from provider import Sleep
from proxy_process import ProxyProcess
from raw_client import Call
from scraper import LAST, scraped, total
from stories import CLOSING, DONE, END, JSON, OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from test_e2e_crew import crew_of, one_in_each
from witness import ask

pytest.importorskip("prometheus_client.parser")

HERE = "127.0.0.1"
STREAM = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), chunk(token(b"two")), chunk(CLOSING), chunk(DONE), END]


@pytest.fixture()
def running(proxy):
    """A proxy with two workers, whose /metrics is its own."""
    one = proxy(workers=2, own_metrics=True)
    crew_of(one, 2)
    return one


def becomes(running, value, name, **labels):
    """Wait until a sum is this; a record is written after the client has its last byte."""
    running.until(lambda: total(running, name, **labels) == value, 10, f"{name} {labels} is not {value}")


def test_what_is_in_flight_is_a_gauge_over_all_workers(running, provider, model):
    before = total(running, "forward_requests_total", outcome="client_abort", model="other")
    with one_in_each(running, provider, model):
        becomes(running, 2, "forward_in_flight")
    becomes(running, 0, "forward_in_flight")
    becomes(running, before + 2, "forward_requests_total", outcome="client_abort", model="other")


def test_times_and_tokens_are_those_of_the_answer(running, provider, model):
    provider.plays([whole(TEXT.whole)])
    Call(running.port, ask(model)).rest()
    becomes(running, 1, LAST, model=model, send_mode="non_stream")
    usage = running.record(model=model).client["usage"]
    assert total(running, "forward_tokens_total", model=model, type="input") == usage["prompt_tokens"]
    assert total(running, "forward_tokens_total", model=model, type="output") == usage["completion_tokens"]
    overhead = total(running, "forward_overhead_seconds_sum", model=model)
    assert 0 < overhead < total(running, "forward_request_duration_seconds_sum", model=model)


def test_forwarded_paths_are_counted_by_their_first_word(running, provider):
    before = total(running, "forward_requests_total", path="/v1/files")
    provider.plays([whole(b"{}", headers=JSON)])
    Call(running.port, method="GET", target="/v1/files/file-1?x=1").rest()
    becomes(running, before + 1, "forward_requests_total", path="/v1/files")


def test_connections_to_the_provider_are_told(running, provider, model):
    provider.plays([whole(TEXT.whole)])
    Call(running.port, ask(model)).rest()
    running.until(lambda: scraped(running)[("forward_provider_connections_idle",)] >= 1, 10, "none is kept")
    assert total(running, "forward_provider_connections_opened") >= 1


def test_the_top_address_is_ours_only_where_that_was_said(running, proxy, provider):
    assert ("forward_workers",) in scraped(running, "/metrics")
    refused = Call(running.port, method="GET", target="/metrics", host="evil.example").rest()
    assert refused.status == 403
    provider.plays([whole(b"theirs 1\n", headers=b"Content-Type: text/plain\r\n")])
    assert Call(proxy().port, method="GET", target="/metrics", host=HERE).rest().content == b"theirs 1\n"


def test_a_scraper_that_reads_openmetrics_gets_it(running):
    accept = ("Accept", "application/openmetrics-text; version=1.0.0")
    call = Call(running.port, method="GET", target="/_forward/metrics", headers=[accept], host=HERE).rest()
    assert call.header("Content-Type").startswith("application/openmetrics-text")
    assert call.content.endswith(b"# EOF\n")


def test_without_the_extra_the_metrics_say_what_is_missing(provider, tmp_path, model):
    program = "import sys; sys.modules['prometheus_client'] = None; from proxy.__main__ import main; main()"
    words = ["--url", provider.url, "--output_path", str(tmp_path), "--expose_host", HERE, "--expose_port", "0"]
    running = ProxyProcess([sys.executable, "-c", program, *words], tmp_path).ready(provider.port)
    try:
        call = Call(running.port, method="GET", target="/_forward/metrics", host=HERE).rest()
        assert call.status == 501 and call.content.count(b"\n") == 1 and b"pip install" in call.content
        provider.plays(STREAM)
        assert Call(running.port, ask(model, True)).rest().data[-1] == b"[DONE]"
    finally:
        running.stop(clean=False)


def test_a_stream_that_stalls_shows_its_longest_gap(running, provider, model):
    provider.plays([*STREAM[:3], Sleep(0.3), *STREAM[3:]])
    Call(running.port, ask(model, True)).rest()
    becomes(running, 1, LAST, model=model)
    assert total(running, "forward_longest_gap_seconds_sum", model=model) >= 0.25
    gaps = "forward_time_between_frames_seconds"
    assert total(running, f"{gaps}_count", model=model) == 4 and total(running, f"{gaps}_sum", model=model) >= 0.25
    assert total(running, f"{gaps}_bucket", model=model, le="0.2") <= 3
