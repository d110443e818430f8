"""The same application under every host: all started at once, each asked over a real socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("FORWARD_")}
HOSTS = {
    "app.py": ["app.py"],
    "python -m proxy": ["-m", "proxy"],
    "gunicorn gevent": ["-m", "gunicorn", "-k", "gevent", "wsgi:app"],
    "gunicorn gthread": ["-m", "gunicorn", "-k", "gthread", "--threads", "8", "wsgi:application"],
    "flask run": ["-m", "flask", "--app", "proxy", "run", "--port", "{port}"],
    "gevent's own server": [
        "-c",
        "import sys; sys.modules['gunicorn'] = None; from proxy.__main__ import main; main()",
    ],
}
ASK = {"model": "demo", "messages": [{"role": "user", "content": "How are you?"}]}
LONG = {"model": "demo", "messages": [{"role": "user", "content": "word " * 300}], "stream": True}  # is quoted: 1.5 s


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Host:
    """One host's process; settings reach it by the environment, as every host takes them from there."""

    def __init__(self, name, folder, **environ):
        self.port = free_port()
        self.open_ones = []
        words = [word.format(port=self.port) if "{port}" in word else word for word in HOSTS[name]]
        place = {"URL": "demo:", "EXPOSE_HOST": "127.0.0.1", "EXPOSE_PORT": str(self.port), "OUTPUT_PATH": str(folder)}
        settings = {f"FORWARD_{key}": value for key, value in place.items()}
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env={**CLEAN, **settings, **environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, method, path, body=None):
        """One exchange on a connection of its own: status and body."""
        answer = self.open(method, path, body)
        return answer.status, answer.read()

    def open(self, method, path, body=None):
        """The answer to a request, its body unread; waits until the host listens."""
        deadline = time.monotonic() + 20
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.process.stderr.read()
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.05)
        connection.request(method, path, None if body is None else json.dumps(body))
        self.open_ones += [connection, connection.getresponse()]
        return self.open_ones[-1]

    def end(self):
        """Close the connections and kill what is left of it."""
        for one in self.open_ones:
            one.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    with ExitStack() as ends:
        started = {}
        for name in HOSTS:
            started[name] = Host(name, tmp_path_factory.mktemp("journal"))
            ends.callback(started[name].end)
        yield started


@pytest.fixture(params=HOSTS)
def host(request, hosts):
    return hosts[request.param]


@pytest.fixture
def own(tmp_path):
    """A function that starts a host for one test."""
    with ExitStack() as ends:

        def start(name, **environ):
            host = Host(name, tmp_path, **environ)
            ends.callback(host.end)
            return host

        yield start


def test_every_host_is_healthy(host):
    status, body = host.ask("GET", "/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")


def test_every_host_answers_whole(host):
    status, body = host.ask("POST", "/v1/chat/completions", ASK)
    assert status == 200
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


def test_every_host_streams(host):
    status, body = host.ask("POST", "/v1/chat/completions", {**ASK, "stream": True})
    assert status == 200
    assert body.count(b"data: ") > 3
    assert body.endswith(b"data: [DONE]\n\n")


def test_every_host_gives_the_same_answer(hosts):
    texts = set()
    for host in hosts.values():
        texts.add(json.loads(host.ask("POST", "/v1/chat/completions", ASK)[1])["choices"][0]["message"]["content"])
    assert len(texts) == 1


def test_every_host_keeps_the_path_as_it_came(host):
    status, body = host.ask("GET", "/v1/models/a%2Fb")
    assert status == 404
    assert b"a/b" in body or b"a%2Fb" in body


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("app.py", signal.SIGTERM),
        ("app.py", signal.SIGINT),
        ("gunicorn gevent", signal.SIGTERM),  # gunicorn's own command stops at once on Ctrl-C
        ("gunicorn gthread", signal.SIGTERM),
        ("gevent's own server", signal.SIGINT),
    ],
)
def test_stopping_lets_a_stream_end_and_waits_for_no_idle_connection(own, name, sign):
    host = own(name)
    host.open("GET", "/healthz").read()
    answer = host.open("POST", "/v1/chat/completions", LONG)
    answer.read(10)
    os.kill(host.process.pid, sign)
    assert answer.read().endswith(b"data: [DONE]\n\n")
    began = time.monotonic()
    assert host.process.wait(10) == 0
    assert time.monotonic() - began < 4


def test_a_second_ctrl_c_waits_for_no_stream(own):
    host = own("app.py")
    answer = host.open("POST", "/v1/chat/completions", {**LONG, "model": "demo-stall"})
    answer.read(10)
    for _ in range(2):
        os.killpg(host.process.pid, signal.SIGINT)
        time.sleep(0.5)
    assert host.process.wait(6) == 0


def test_a_drain_notice_keeps_listening(own):
    host = own("app.py", FORWARD_DRAIN_NOTICE="1.5")
    host.ask("GET", "/healthz")
    host.process.terminate()
    time.sleep(0.8)
    assert host.ask("GET", "/healthz")[0] == 200
    assert host.process.wait(10) == 0


def test_a_hangup_reads_the_file_again_and_a_bad_file_changes_nothing(own, tmp_path):
    file = tmp_path / "forward.toml"
    file.write_text('mode = "off"')
    host = own("app.py", FORWARD_CONFIG=str(file))
    host.ask("GET", "/healthz")
    file.write_text('mode = "wrong"')
    os.kill(host.process.pid, signal.SIGHUP)
    assert "mode must be one of" in host.process.stderr.readline()
    assert host.ask("GET", "/healthz")[0] == 200
    file.write_text("max_ask_bytes = 10")
    os.kill(host.process.pid, signal.SIGHUP)
    deadline = time.monotonic() + 10
    while host.ask("POST", "/v1/chat/completions", ASK)[0] == 200:
        assert time.monotonic() < deadline, "the old settings stay"
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["gunicorn gevent", "flask run"])
def test_a_wrong_setting_is_one_line_under_every_host(own, name):
    host = own(name, FORWARD_TIMEOUT="soon")
    _, told = host.process.communicate(timeout=20)
    assert host.process.returncode == 2
    assert told == "Error: timeout must be a whole number of ms, 1 or more, not 'soon' (from FORWARD_TIMEOUT)\n"
