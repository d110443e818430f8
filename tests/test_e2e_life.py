"""How the proxy lives and ends under signals, under `python app.py` and under gunicorn's own command."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from proxy_process import family
from raw_client import Call, events
from raw_server import RawServer
from test_hosting import ASK, CLEAN, LONG, ROOT, SILENT, Host

BOTH = ["app.py", "gunicorn gevent"]
LAST = b'data: {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
OPEN = {"FORWARD_URL": "demo:", "FORWARD_API_KEY": "sk-canary-1", "FORWARD_EXPOSE_HOST": "127.0.0.1"}


@pytest.fixture()
def own(tmp_path):
    """A function that starts a host for one test."""
    started = []

    def start(name, **environ):
        started.append(Host(name, tmp_path, **environ))
        return started[-1]

    yield start
    for host in started:
        host.end()


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0"])
def test_gunicorns_own_bind_is_guarded_like_ours(tmp_path, bind):
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", bind, "wsgi:app"]
    environ = {**CLEAN, **OPEN, "FORWARD_OUTPUT_PATH": str(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1 and "could ask at your cost" in ended.stderr and "canary" not in ended.stderr


@pytest.mark.parametrize("name", BOTH)
def test_a_file_cannot_open_a_proxy_that_others_reach_by_naming_a_closed_address(own, tmp_path, name):
    """What is listened at changes only at the next start; so the key must not come into force before that."""
    file = tmp_path / "forward.toml"
    file.write_text("max_ask_bytes = 10")
    host = own(name, FORWARD_CONFIG=str(file), FORWARD_EXPOSE_HOST="", FORWARD_ADMIN_TOKEN="x" * 20)
    assert host.ask("POST", "/v1/chat/completions", ASK)[0] == 413
    file.write_text('max_ask_bytes = 10_000\napi_key = "sk-canary-1"\nexpose_host = "127.0.0.1"')
    os.kill(host.process.pid, signal.SIGHUP)
    log, deadline = tmp_path / "log.log", time.monotonic() + 60
    while "could ask at your cost" not in log.read_text():
        assert host.process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert host.ask("POST", "/v1/chat/completions", ASK)[0] == 413
    assert "canary" not in log.read_text()


class Load:
    """Clients that ask one thing after another, half of them for streams, and note every answer that is not right."""

    def __init__(self, port, clients=4):
        self.port, self.wrong, self.right, self.over = port, [], 0, False
        self.threads = [
            threading.Thread(target=self.ask, args=(number % 2 == 0,), daemon=True) for number in range(clients)
        ]
        for thread in self.threads:
            thread.start()

    def ask(self, stream):
        body = json.dumps({**ASK, "stream": stream})
        while not self.over:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request("POST", "/v1/chat/completions", body, {"Connection": "close"})
                answer = connection.getresponse()
                said = answer.read()
                sound = said.endswith(b"data: [DONE]\n\n") if stream else json.loads(said)["choices"]
                if answer.status != 200 or not sound or b'"error"' in said:
                    self.wrong.append((answer.status, said[-300:]))
                self.right += 1
            except Exception as exc:
                self.wrong.append(repr(exc))
            finally:
                connection.close()

    def more(self, count, host, seconds=60):
        """Wait for so many more answers."""
        until, wanted = time.monotonic() + seconds, self.right + count
        while self.right < wanted:
            assert time.monotonic() < until and host.process.poll() is None, self.wrong
            time.sleep(0.01)

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join(60)


def lines_of(folder, side):
    return [json.loads(line) for line in (folder / f"{side}_interaction.jsonl").read_text().splitlines()]


def replaced(host, workers, seconds=90):
    """Wait until none of these workers is left, and return those that are there instead."""
    until = time.monotonic() + seconds
    while workers & set(family(host.process.pid)[1:]) or len(family(host.process.pid)) <= len(workers):
        assert time.monotonic() < until and host.process.poll() is None, "the old workers stay"
        time.sleep(0.02)
    return set(family(host.process.pid)[1:])


@pytest.mark.parametrize("name", BOTH)
def test_a_reload_under_load_fails_no_request_with_a_good_file_or_a_broken_one(own, tmp_path, name):
    file = tmp_path / "forward.toml"
    file.write_text("max_ask_bytes = 100_000")
    host = own(name, FORWARD_CONFIG=str(file), FORWARD_WORKERS="2")
    host.ask("GET", "/healthz")
    load = Load(host.port)
    try:
        load.more(10, host)
        for text in ("max_ask_bytes = [", "max_ask_bytes = 150_000"):
            workers = set(family(host.process.pid)[1:])
            file.write_text(text)
            streams = [host.open("POST", "/v1/chat/completions", LONG) for _ in range(2)]
            os.kill(host.process.pid, signal.SIGHUP)
            for stream in streams:
                assert stream.read().endswith(b"data: [DONE]\n\n")
            replaced(host, workers)
            load.more(10, host)
    finally:
        load.stop()
    assert load.wrong == []
    assert host.ask("POST", "/v1/chat/completions", {**ASK, "user": "x" * 160_000})[0] == 413
    assert host.ask("POST", "/v1/chat/completions", {**ASK, "user": "x" * 140_000})[0] == 200
    host.process.terminate()
    assert host.process.wait(60) == 0
    for side in ("client", "server"):
        assert {line["outcome"] for line in lines_of(tmp_path, side)} == {"complete", "refused"}


@pytest.mark.parametrize("name", BOTH)
def test_a_killed_worker_is_replaced_and_the_others_do_not_notice(own, tmp_path, name):
    go_on = threading.Event()

    def play(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", SILENT)
        go_on.wait(60)
        with suppress(OSError):  # the victim's
            peer.say(LAST)

    provider = RawServer(play)
    host = own(name, FORWARD_WORKERS="3", FORWARD_URL=provider.url)
    host.ask("GET", "/healthz")
    until = time.monotonic() + 60
    while len(family(host.process.pid)) < 4:
        assert time.monotonic() < until
        time.sleep(0.02)
    streams = [host.open("POST", "/v1/chat/completions", {**LONG, "user": str(number)}) for number in range(12)]
    for stream in streams:
        stream.read(10)
    victim = busy_one(host)
    os.kill(victim, signal.SIGKILL)
    go_on.set()
    whole = cut = 0
    for stream in streams:
        try:
            whole += stream.read().endswith(b"data: [DONE]\n\n")
        except (http.client.IncompleteRead, ConnectionError):
            cut += 1
    assert whole + cut == 12 and cut > 0, (whole, cut)
    until = time.monotonic() + 60
    while len(family(host.process.pid)) < 4:
        assert time.monotonic() < until, "nobody takes its place"
        time.sleep(0.02)
    assert all(host.open("POST", "/v1/chat/completions", LONG).read().endswith(b"[DONE]\n\n") for _ in range(6))
    host.process.terminate()
    assert host.process.wait(60) == 0
    provider.close()
    assert sum(line["outcome"] == "complete" for line in lines_of(tmp_path, "client")) == whole + 6


@pytest.mark.parametrize("name", BOTH)
def test_a_worker_that_was_just_born_hears_that_it_must_stop(own, name):
    """Else its master would wait for it until the end of the drain: 300 s."""
    host = own(name)
    host.ask("GET", "/healthz")
    (old,) = family(host.process.pid)[1:]
    os.kill(old, signal.SIGKILL)
    until = time.monotonic() + 60
    while family(host.process.pid)[1:] in ([], [old]):
        assert time.monotonic() < until
    host.process.terminate()
    assert host.process.wait(60) == 0


def busy_one(host):
    """A worker that has a connection to a client open."""

    def sockets(pid):
        return sum(link.startswith("socket:") for link in links(pid))

    return max(family(host.process.pid)[1:], key=sockets)


def links(pid):
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(path))
        except OSError:
            continue
    return found


@pytest.fixture()
def silent():
    """A provider that says one word and then nothing."""

    def play(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", SILENT)
        peer.wait(60)

    server = RawServer(play)
    yield server
    server.close()


@pytest.mark.parametrize("name", BOTH)
def test_what_is_left_when_the_drain_is_over_ends_honestly_and_with_a_record(own, tmp_path, silent, name):
    host = own(name, FORWARD_DRAIN="1", FORWARD_URL=silent.url)
    host.ask("GET", "/healthz")
    with Call(host.port, json.dumps({**ASK, "stream": True}).encode()) as call, Call(
        host.port, json.dumps(ASK).encode(), headers=[("X-Forward-Mode", "stream")]
    ) as waiting:
        call.until(b"data:")
        host.process.terminate()
        call.rest(60)
        waiting.rest(60)
    assert events(call)[-1]["error"]["code"] == "shutting_down"
    assert (waiting.status, waiting.error["code"]) == (503, "shutting_down")
    assert host.process.wait(60) == 0
    for side in ("client", "server"):
        assert [line["outcome"] for line in lines_of(tmp_path, side)] == ["shutdown"] * 2


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGQUIT])
def test_gunicorns_own_command_stops_at_once_when_interrupted_and_says_so_with_0(own, silent, sign):
    """Its master gives workers no time then (docs/HOSTING.md): SIGTERM is what lets streams end there."""
    host = own("gunicorn gevent", FORWARD_URL=silent.url)
    host.ask("GET", "/healthz")
    with Call(host.port, json.dumps({**ASK, "stream": True}).encode()) as call:
        call.until(b"data:")
        host.process.send_signal(sign)
        assert host.process.wait(60) == 0
