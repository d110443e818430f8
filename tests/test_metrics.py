"""What is counted of an exchange, under labels that are bounded, in numbers that outlive their worker."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from proxy_process import ROOT, told_by

from proxy.crew import tally as tallies
from proxy.crew.tally import Tally
from proxy.journal import Journal, Record
from proxy.metrics import LONGEST, MODELS, Metrics
from proxy.metrics.names import FRAMES, HISTOGRAMS
from proxy.metrics.paths import Paths
from proxy.metrics.values import usage_of, values_of

CHAT = "/v1/chat/completions"


@pytest.fixture()
def home():
    """A folder for the numbers of workers."""
    made = tempfile.mkdtemp(dir="/tmp")
    yield Path(made)
    shutil.rmtree(made)


@pytest.fixture()
def tally():
    one = Tally()
    yield one
    one.close()


@pytest.fixture()
def metrics(tally, tmp_path):
    journal = Journal(tmp_path)
    yield Metrics(tally, journal, Paths([CHAT]).label)
    journal.close()


def ended(model="m", **fields):
    """A record of an exchange that went well."""
    known = {"path": CHAT, "status": 200, "outcome": "complete", "duration_ms": 1000.0, "send_mode": "stream"}
    return Record(**{**known, "return_mode": "stream", "model": model, **fields})


# A process of its own that counts, and then waits to be killed, or for its standard input to end
WORKER = """
import sys
from pathlib import Path
from proxy.crew.tally import Tally
one = Tally()
one.share(Path(sys.argv[1]))
one.numbers[one.place(("n", "label"), 2) + 1] += int(sys.argv[2])
print("shared", flush=True)
sys.stdin.read()
"""


@contextmanager
def counting(home, amount):
    """A worker that has counted so much."""
    command = [sys.executable, "-c", WORKER, str(home), str(amount)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert told_by(process) == "shared\n"
            yield process
        finally:
            process.kill()


def test_the_numbers_of_all_workers_are_added_up_and_those_of_the_dead_are_taken_over(home, tally):
    tally.numbers[tally.place(("n", "label"), 2) + 1] += 1
    with counting(home, 2) as one, counting(home, 3) as two, counting(home, 5):
        tally.share(home)
        assert tally.sums() == {("n", "label"): [0, 11]}
        for dead in (one, two):
            dead.kill()
            dead.wait(10)
        assert tally.sums() == {("n", "label"): [0, 11]}
        with counting(home, 0):
            assert len(list(home.glob("*.keys"))) == 3, "the files of the dead stay behind"
            assert tally.sums() == {("n", "label"): [0, 11]}


def test_where_workers_cannot_meet_the_numbers_are_this_ones(tally):
    tally.numbers[tally.place(("n",))] += 4
    assert tally.sums() == {("n",): [4]}


def test_a_series_that_there_is_no_room_for_is_counted(tally, monkeypatch):
    monkeypatch.setattr(tallies, "ROOM", 10)
    assert (tally.place(("a",), 9), tally.place(("b",), 2), tally.place(("c",))) == (0, -1, 9)
    assert tally.lost == 1 and tally.place(("a",), 9) == 0


def test_metrics_tell_how_much_they_had_no_room_for(tally, tmp_path, monkeypatch):
    monkeypatch.setattr(tallies, "ROOM", 40)
    journal = Journal(tmp_path)
    counting = Metrics(tally, journal, Paths([CHAT]).label)
    for number in range(9):
        counting.observe(ended(f"m{number}"))
    journal.close()
    assert tally.lost > 9
    assert tally.sums()["forward_metrics_lost",] == [tally.lost]


def test_names_of_models_stay_bounded_over_workers_that_come_and_go(tally, tmp_path):
    journal = Journal(tmp_path)
    for worker in range(3):
        counting = Metrics(tally, journal, Paths([CHAT]).label)
        for number in range(MODELS):
            counting.observe(ended(f"m{worker}-{number}"))
        counting.observe(ended("m0-0"))
    journal.close()
    assert len(tally.words("forward_requests", 2)) == MODELS + 1, "and other"
    assert tally.sums()["forward_requests", CHAT, "m0-0", "stream", "stream", "200", "complete"] == [4]


def test_half_a_surrogate_pair_in_a_name_is_counted_too(metrics, tally):
    metrics.observe(ended("m\ud800"))
    assert tally.sums()["forward_requests", CHAT, "m?", "stream", "stream", "200", "complete"] == [1]


def test_a_damaged_file_of_a_worker_costs_its_own_numbers_only(home, tally):
    (home / "1.keys").write_bytes(b"no JSON\n")
    (home / "2.keys").write_bytes(b'[0,1,["n"]]\n')
    tally.share(home)
    tally.numbers[tally.place(("n",))] += 4
    assert tally.sums() == {("n",): [4]}


def test_an_exchange_is_counted_and_timed_under_its_labels(metrics, tally):
    usage = {"prompt_tokens": 7, "completion_tokens": 11, "prompt_tokens_details": {"cached_tokens": 3}}
    metrics.observe(ended(ttft_ms=100.0, chunks=12, usage=usage))
    metrics.observe(ended(outcome="truncated", status=502))
    sums = tally.sums()
    assert sums["forward_requests", CHAT, "m", "stream", "stream", "200", "complete"] == [1]
    assert sums["forward_requests", CHAT, "m", "stream", "stream", "502", "truncated"] == [1]
    assert [sums["forward_tokens", CHAT, "m", kind][0] for kind in ("input", "output", "cached")] == [7, 11, 3]
    duration = sums["forward_request_duration_seconds", CHAT, "m", "stream", "stream"]
    assert duration[HISTOGRAMS[0].bounds.index(1.28)] == 2 and duration[-1] == 2.0
    assert sums["forward_time_per_output_token_seconds", CHAT, "m", "stream", "stream"][-1] == pytest.approx(0.09)


def test_times_come_from_the_record_and_are_none_where_it_has_none():
    clock = {"start": 5, "gaps": [20, [30, 4], 700, 10], "frames": [[1, 8]]}
    record = ended(ttft_ms=200.0, chunks=9, clock=clock, overhead_ms=1.5)
    assert values_of(record, None) == (1.0, 0.2, 0.1, 0.7, 0.0015)
    assert values_of(ended(), None) == (1.0, None, None, None, None)
    assert values_of(ended(clock={"start": 1, "gaps": [], "frames": [1]}), None)[3] is None


def test_each_gap_between_frames_is_counted_and_those_that_came_together_have_none(metrics, tally):
    clock = {"start": 5, "gaps": [20, [30, 4], 700, 10, 60_000], "frames": [[1, 7], 3, 2]}
    metrics.observe(ended(chunks=12, clock=clock))
    metrics.observe(ended(chunks=1, clock={"start": 1, "gaps": [], "frames": [1]}))
    told = tally.sums()["forward_time_between_frames_seconds", CHAT, "m", "stream", "stream"]
    counted = dict(zip((*FRAMES, "more"), told))
    assert {at: count for at, count in counted.items() if count} == {
        0.001: 3,
        0.01: 1,
        0.02: 1,
        0.05: 4,
        0.75: 1,
        "more": 1,
    }
    assert sum(told[:-1]) == 12 - 1 and told[-1] == pytest.approx(0.02 + 4 * 0.03 + 0.7 + 0.01 + 60)


@pytest.mark.parametrize(
    "told, counted",
    [
        (None, None),
        ("many", None),
        ({}, (0, 0, 0, 0)),
        ({"prompt_tokens": "7", "completion_tokens": -1}, (0, 0, 0, 0)),
        ({"prompt_tokens": 10**400, "completion_tokens": 3}, (0, 3, 0, 0)),
        ({"input_tokens": 7, "output_tokens": 9, "cache_read_input_tokens": 2}, (7, 9, 2, 0)),
        ({"prompt_eval_count": 7, "eval_count": 9}, (7, 9, 0, 0)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}, (0, 9, 0, 4)),
        ({"prompt_tokens_details": None, "completion_tokens_details": [1]}, (0, 0, 0, 0)),
    ],
)
def test_tokens_are_read_from_whatever_a_provider_calls_them(told, counted):
    assert usage_of(told) == counted


def test_clients_cannot_make_up_labels_for_models(metrics, tally):
    for number in range(MODELS + 50):
        metrics.observe(ended(f"invented-{number}", status=404, outcome="upstream_error"))
    metrics.observe(ended("true"))
    metrics.observe(ended("true", status=500, outcome="upstream_error"))
    metrics.observe(ended("long" * LONGEST))
    for number in range(MODELS + 50):
        metrics.observe(ended(f"answered-{number}"))
    names = {series[2] for series in tally.sums() if series[0] == "forward_requests"}
    assert {"true", "other"} < names and len(names) == MODELS + 1
    assert tally.sums()["forward_requests", CHAT, "true", "stream", "stream", "500", "upstream_error"] == [1]


@pytest.mark.parametrize(
    "target, label",
    [
        (CHAT + "?key=x", CHAT),
        (CHAT + "/", CHAT),
        ("/v1/v1/chat/completions", CHAT),
        ("/v1/files/file-123/content", "/v1/files"),
        ("/v1/models/some-model", "/v1/models"),
        ("/embeddings", "/v1/embeddings"),
        ("/v1/embeddings/", "/v1/embeddings"),
        ("/invented/by/a/client", "other"),
        ("/v1", "other"),
        ("/", "other"),
        ("//", "other"),
        ("", "other"),
    ],
)
def test_a_path_has_a_label_out_of_a_table(target, label):
    paths = Paths([CHAT])
    assert paths.label(target) == label == paths.label(target)
