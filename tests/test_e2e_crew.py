"""Two workers of one proxy: each of them sees, counts and cancels what is under way in the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from provider import Stall
from proxy_process import ProxyProcess, family, free_port
from raw_client import Call, events
from scraper import LAST, scraped, total
from stories import CLOSING, DONE, END, OPENING, STREAM_HEAD, chunk, token
from test_e2e_hosts import HOSTS
from witness import ask, sound

from proxy.crew.place import place_of

HERE = "127.0.0.1"
CANCEL = b"POST /_forward/api/exchanges/%s/cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
STREAM = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), chunk(token(b"two")), chunk(CLOSING), chunk(DONE), END]
MID = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()]


@pytest.fixture()
def running(proxy):
    """A proxy with two workers."""
    one = proxy(workers=2, own_metrics=True)
    crew_of(one, 2)
    return one


@pytest.fixture(scope="module")
def others(_provider, tmp_path_factory):
    """``others(name)``: under a host, one that will lose a worker, one whose workers cannot meet; stopped together."""
    top = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders have names too long for sockets
    (top / f"openai-forward-{os.geteuid()}").mkdir(mode=0o755)
    made = []

    def start(name):
        folder = tmp_path_factory.mktemp("crew") / "logs"
        if name in HOSTS:
            made.append(hosted(name, _provider.url, folder))
        else:
            kinds = {"losing": ({"workers": 2}, {}), "alone": ({}, {"TMPDIR": str(top)})}
            made.append(ProxyProcess.app(_provider.url, folder, *kinds[name]))
        return made[-1].ready(_provider.port)

    yield start
    for one in made:
        one.terminate()
    for one in made:
        one.stop(clean=False)
    shutil.rmtree(top)


def hosted(host, url, folder):
    """A proxy with two workers, if its host has such, under this host."""
    port = free_port()
    environ = {
        "FORWARD_URL": url,
        "FORWARD_EXPOSE_HOST": HERE,
        "FORWARD_EXPOSE_PORT": str(port),
        "FORWARD_OUTPUT_PATH": str(folder),
        "FORWARD_WORKERS": "2",
    }
    words = [str(port) if word == "PORT" else word for word in HOSTS[host]]
    return ProxyProcess(words, folder, environ, port)


def own(running, target, method="GET"):
    """What a page of ours says in JSON."""
    return Call(running.port, method=method, target=f"/_forward/api/{target}", host=HERE).rest()


def health(running):
    return own(running, "health").json


def live(running, **fields):
    """The exchanges under way with these fields."""
    rows = own(running, "live").json["exchanges"]
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def seen(running, count, **fields):
    """As many of them, as soon as they are seen."""
    return running.until(lambda: len(live(running, **fields)) == count and live(running, **fields), 10, "not seen")


def crew_of(running, count):
    """How the workers are, as soon as so many have met."""
    return running.until(lambda: met(running, count), 15, f"{count} workers did not meet")


def met(running, count):
    workers = health(running)["workers"]
    return workers if len(workers) == count else None


@contextmanager
def stopped(pid):
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def one_in_each(running, provider, model, streams=True):
    """An exchange in each worker, by the worker's process id: while one is stopped, the other takes what comes."""
    provider.always(*MID)
    workers = sorted(one["worker"] for one in crew_of(running, 2))
    calls = {}
    for worker, other in (workers, workers[::-1]):
        with stopped(other):
            calls[worker] = Call(running.port, ask(model, streams))
            provider.wait(len(calls), seconds=10)
    heard = dict(zip(calls, provider.heard))
    try:
        yield calls, heard
    finally:
        for call in calls.values():
            call.leave()


def test_every_worker_tells_what_is_under_way_in_both(running, provider, model):
    with one_in_each(running, provider, model) as (calls, _):
        for call in calls.values():
            call.until(b"one")
        seen(running, 2, model=model)
        running.until(lambda: all(row["ttft_ms"] for row in live(running, model=model)), 5, "no first token")
        for other in calls:
            with stopped(other):
                assert [row["worker"] for row in live(running, model=model)] == [pid for pid in calls if pid != other]
        rows = seen(running, 2, model=model)
    assert {row["worker"] for row in rows} == set(calls)
    for row in rows:
        assert (row["method"], row["path"], row["return_mode"]) == ("POST", "/v1/chat/completions", "stream")
        assert (row["send_mode"], row["attempts"]) == ("stream", 1) and row["chunks"] >= 2
        assert 0 < row["ttft_ms"] <= row["elapsed_ms"]
    running.until(lambda: not live(running, model=model), 5, "they are still seen after they ended")


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
def test_what_is_under_way_in_another_worker_is_cancelled_and_its_client_told(running, provider, model, streams):
    with one_in_each(running, provider, model, streams) as (calls, heard):
        for holder in calls:
            (row,) = seen(running, 1, model=model, worker=holder)
            with line_to_the_other(running, holder) as line:
                line.send(CANCEL % row["logging_id"].encode())
                line.until(b'{"cancelled":true}')
            call = calls[holder].rest()
            error = events(call)[-1]["error"] if streams else call.error
            assert error["code"] == "cancelled" and heard[holder].left_within(2)
            assert call.status == (200 if streams else 499)
    for pair in running.records(2, model=model):
        sound(pair, outcome="cancelled")


@contextmanager
def line_to_the_other(running, worker):
    """A connection that is kept alive by the other worker: it took it while this one was stopped."""
    with stopped(worker):
        line = Call(running.port, method="GET", target="/healthz", headers=[("Connection", "keep-alive")])
        line.until(b'"ok"}')
    with line:
        yield line


def test_a_name_that_no_json_can_hold_hides_nothing_from_the_operator(running, provider, model):
    provider.plays(MID)
    body = ask(model, True).replace(model.encode(), model.encode() + b"\\ud800")
    with Call(running.port, body) as call:
        call.until(b"one")
        told = own(running, "live")
        assert [row["model"] for row in told.json["exchanges"]] == [model + "\ufffd"] and not told.json["silent"]


def test_what_is_not_under_way_cannot_be_cancelled(running):
    assert own(running, "exchanges/3fa85f64-5717-4562-b3fc-2c963f66afa6/cancel", "POST").status == 404


def test_health_tells_of_each_worker(running, provider, model):
    with one_in_each(running, provider, model):
        workers = crew_of(running, 2)
    assert [one["in_flight"] for one in workers] == [1, 1] and len({one["worker"] for one in workers}) == 2
    for one in workers:
        assert (one["waiting"], one["draining"], one["journal"]["drops"]) == (0, False, 0)
        assert one["journal"]["lag_ms"] >= 0 and one["journal"]["trouble"] == ""
        assert one["rss_bytes"] > 1 << 20 and len(one["started"]) == 19 and one["learned"] == []


def test_a_worker_that_hangs_is_named_and_waited_for_no_longer_than_the_deadline(running):
    workers = [one["worker"] for one in crew_of(running, 2)]
    with stopped(workers[1]):
        began = time.monotonic()
        told = health(running)
        assert time.monotonic() - began < 5
    assert [one["worker"] for one in told["workers"]] == [workers[0]] and told["silent"] == [workers[1]]


def folder_of(running, port=0):
    """Where the workers of a running proxy meet."""
    return place_of([str(running.process.pid), os.path.realpath(running.folder), HERE, str(port)])


def test_nobody_else_can_listen_in_on_a_socket_of_the_crew(running):
    home = folder_of(running)
    assert home.stat().st_uid == os.geteuid() and not home.stat().st_mode & 0o077
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(next(home.glob("*.sock"))))
        line.sendall(b"this is no JSON")
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""
    assert len(json.dumps(health(running))) > 2


def test_a_worker_that_was_killed_is_forgotten_and_what_it_counted_is_not(others, provider, model):
    running = others("losing")
    crew_of(running, 2)
    for _ in range(12):
        provider.plays(STREAM)
        Call(running.port, ask(model, True)).rest()
    running.until(lambda: total(running, LAST, model=model) == 12, 10, "not all are counted")
    before = {key: value for key, value in scraped(running).items() if dict(key[1:]).get("model") == model}
    victim = max(one["worker"] for one in crew_of(running, 2))
    os.kill(victim, signal.SIGKILL)
    running.until(lambda: victim not in {one["worker"] for one in health(running)["workers"]}, 15, "it is still met")
    assert len(before) > 20 and {key: scraped(running)[key] for key in before} == before
    living = {one["worker"] for one in crew_of(running, 2)}
    assert {key: scraped(running)[key] for key in before} == before
    home = folder_of(running)
    assert {int(path.stem) for path in home.glob("*.sock")} == living == set(family(running.process.pid)[1:])
    provider.plays(STREAM)
    Call(running.port, ask(model, True)).rest()
    running.until(lambda: total(running, LAST, model=model) == 13, 10, "the next is not counted")
    running.stop(clean=False)
    assert not home.exists(), "the folder is left behind"


@pytest.mark.parametrize("host", HOSTS)
def test_a_crew_meets_under_every_host(others, host, provider, model):
    running = others(host)
    crew_of(running, 1 if host == "flask run" else 2)
    provider.plays(MID)
    call = Call(running.port, ask(model, True))
    call.until(b"one")
    (row,) = seen(running, 1, model=model)
    assert own(running, f"exchanges/{row['logging_id']}/cancel", "POST").json == {"cancelled": True}
    assert events(call.rest())[-1]["error"]["code"] == "cancelled"
    assert provider.heard[0].left_within(2)
    sound(running.record(model=model), outcome="cancelled")


def test_a_proxy_whose_workers_cannot_meet_serves_and_counts_all_the_same(others, provider, model):
    running = others("alone")
    told = health(running)
    assert len(told["workers"]) == 1 and "open to others" in told["alone"]
    assert "cannot meet" in running.log()
    assert scraped(running)[("forward_journal_dropped_lines_total",)] == 0
    running.folder.rename(running.folder.parent / "moved")
    running.folder.write_text("a file where the folder was")
    provider.always(*STREAM)

    def dropped():
        Call(running.port, ask(model, True)).rest()
        return scraped(running)[("forward_journal_dropped_lines_total",)] >= 2

    running.until(dropped, 15, "no drop was counted")
