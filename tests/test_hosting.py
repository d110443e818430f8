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
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from proxy_process import family, free_port, killed, told_by
from raw_server import RawServer

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


class Host:
    """One host's process; settings reach it by the environment, as every host takes them from there."""

    def __init__(self, name, folder, **environ):
        self.name = name
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
        deadline = time.monotonic() + 40
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
            self.open_ones.append(connection)
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.process.stderr.read()
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.05)
        connection.request(method, path, None if body is None else json.dumps(body))
        self.open_ones.append(connection.getresponse())
        return self.open_ones[-1]

    def end(self):
        """Close the connections and kill what is left of it."""
        for one in self.open_ones:
            one.close()
        killed(self.process)


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
    assert host.process.wait(30) == 0
    assert time.monotonic() - began < 15  # an idle connection is kept for 75 s


def test_a_second_ctrl_c_waits_for_no_stream(own):
    host = own("app.py")
    answer = host.open("POST", "/v1/chat/completions", {**LONG, "model": "demo-stall"})
    answer.read(10)
    for _ in range(2):
        os.killpg(host.process.pid, signal.SIGINT)
        time.sleep(0.5)
    assert host.process.wait(30) == 0


def test_a_drain_notice_keeps_listening(own):
    host = own("app.py", FORWARD_DRAIN_NOTICE="2")
    host.ask("GET", "/healthz")
    host.process.terminate()
    while host.ask("GET", "/readyz")[0] != 503:
        time.sleep(0.01)
    assert host.ask("GET", "/healthz")[0] == 200
    assert host.process.wait(30) == 0


def test_a_hangup_reads_the_file_again_and_a_bad_file_changes_nothing(own, tmp_path):
    file = tmp_path / "forward.toml"
    file.write_text('mode = "off"')
    host = own("app.py", FORWARD_CONFIG=str(file))
    host.ask("GET", "/healthz")
    file.write_text('mode = "wrong"')
    os.kill(host.process.pid, signal.SIGHUP)
    assert "mode must be one of" in told_by(host.process, "stderr")
    assert host.ask("GET", "/healthz")[0] == 200
    file.write_text("max_ask_bytes = 10")
    os.kill(host.process.pid, signal.SIGHUP)
    deadline = time.monotonic() + 30
    while host.ask("POST", "/v1/chat/completions", ASK)[0] == 200:
        assert time.monotonic() < deadline, "the old settings stay"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("app.py", 'header = ["Host: x"]'), ("gunicorn gevent", 'mode = "wrong"'), ("gunicorn gthread", "mode = ")],
)
def test_a_hangup_with_a_bad_file_keeps_serving_and_is_told_once_in_the_log(own, tmp_path, name, wrong):
    file = tmp_path / "forward.toml"
    file.write_text("max_ask_bytes = 10")
    host = own(name, FORWARD_CONFIG=str(file), FORWARD_WORKERS="2")
    assert host.ask("POST", "/v1/chat/completions", ASK)[0] == 413
    file.write_text(wrong)
    workers = set(family(host.process.pid)[1:])
    os.kill(host.process.pid, signal.SIGHUP)
    log = tmp_path / "log.log"
    deadline = time.monotonic() + 90  # gunicorn itself ends a worker that hangs after 30 s
    while "the old settings stay" not in log.read_text():
        assert host.process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    while workers & set(family(host.process.pid)[1:]):
        assert time.monotonic() < deadline, "the old workers stay"
        time.sleep(0.05)
    assert host.ask("POST", "/v1/chat/completions", ASK)[0] == 413
    assert log.read_text().count("the old settings stay") == 1
    file.write_text("max_ask_bytes = 10_000")
    os.kill(host.process.pid, signal.SIGHUP)
    while True:
        with suppress(OSError, http.client.HTTPException):  # a threaded worker that leaves may reset what it accepted
            if host.ask("POST", "/v1/chat/completions", ASK)[0] == 200:
                break
        assert time.monotonic() < deadline + 30, "the file is not read again"
        time.sleep(0.1)
    host.process.terminate()
    _, told = host.process.communicate(timeout=60)
    assert told.count("Error: ") == 1 and "Traceback" not in told


def speak(host, data, seconds=2.0):
    """What a host answers to raw bytes, up to its end or to the end of patience."""
    with socket.create_connection(("127.0.0.1", host.port), timeout=seconds) as sock:
        sock.sendall(data)
        said = b""
        try:
            while True:
                piece = sock.recv(65536)
                if not piece:
                    return said + b"<end>"
                said += piece
        except socket.timeout:
            return said


@pytest.mark.parametrize("name", ["app.py", "gunicorn gevent", "gunicorn gthread", "flask run"])
def test_a_hosts_own_log_shows_no_credential(own, name):
    host = own(name)
    host.ask("GET", "/healthz")
    query = b"GET /v1/models?api_key=canary6-123456 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    lines = [b"Authorization Bearer canary2-12345678", b"X-Api-Key canary3", b"Authorization: Bearer canary4\x01x"]
    for data in [query, b"GET /v1/models?key=canary5-1 HTTP/1.1 x\r\nHost: x\r\n\r\n"]:
        speak(host, data, 1)
    for line in lines:
        speak(host, b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + b"\r\n\r\n", 1)
    host.process.terminate()
    _, told = host.process.communicate(timeout=60)
    assert "canary" not in told
    assert ("Invalid HTTP Header: 'Authorization [redacted]" in told) == (name != "flask run")
    assert ("/v1/models?api_key=[redacted]" in told) == (name == "flask run")


@pytest.mark.parametrize("name", ["app.py", "gunicorn gevent"])
def test_a_head_that_does_not_end_is_given_up_after_the_clients_timeout(own, name):
    host = own(name, FORWARD_CLIENT_TIMEOUT="0.5")
    host.ask("GET", "/healthz")
    assert speak(host, b"GET /healthz HTTP/1.1\r\nHos", 5) == b"<end>"
    assert speak(host, b"", 1) == b""  # a silent connection is only idle
    kept = speak(host, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 1)
    assert kept.startswith(b"HTTP/1.1 200") and not kept.endswith(b"<end>")


ODD_HEADS = {
    "a folded header": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n",
    "bare line feeds": b"GET /v1/models HTTP/1.1\nHost: x\n\n",
    "two blanks": b"GET  /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
    "two framings": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("name", ["app.py", "gunicorn gevent"])
def test_a_head_that_readers_could_understand_differently_is_refused(own, name):
    host = own(name, FORWARD_CLIENT_TIMEOUT="2")
    host.ask("GET", "/healthz")
    answers = {what: speak(host, head, 20)[:12] for what, head in ODD_HEADS.items()}
    refused = dict.fromkeys(ODD_HEADS, b"HTTP/1.1 400")
    if answers["bare line feeds"] == b"<end>":  # before gunicorn 24 they end no head, so that it is given up
        refused["bare line feeds"] = b"<end>"
    assert answers == refused


def test_idle_connections_take_no_exchanges_place(own):
    host = own("gevent's own server", FORWARD_MAX_EXCHANGES="1", FORWARD_QUEUE="0")
    host.ask("GET", "/healthz")
    with ExitStack() as idle:
        for _ in range(5):
            idle.enter_context(socket.create_connection(("127.0.0.1", host.port), timeout=30))
        assert host.ask("POST", "/v1/chat/completions", ASK)[0] == 200


SILENT = b"""data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
data: "choices": [{"index": 0, "delta": {"content": "a"}}]}

"""


def test_threads_end_a_silent_stream_honestly_when_the_drain_is_over(own, tmp_path):
    def play(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", SILENT)
        peer.wait(20)

    silent = RawServer(play)
    host = own("gunicorn gthread", FORWARD_DRAIN="1", FORWARD_URL=silent.url)
    answer = host.open("POST", "/v1/chat/completions", LONG)
    answer.read(10)
    began = time.monotonic()
    host.process.terminate()
    said = answer.read()
    assert b"shutting_down" in said and said.endswith(b"data: [DONE]\n\n")
    assert time.monotonic() - began < 20
    assert host.process.wait(30) == 0
    silent.close()
    assert '"outcome":"shutdown"' in (tmp_path / "client_interaction.jsonl").read_text().replace(": ", ":")


WRONG = {
    "FORWARD_HEADER": ("Host: x", "header: 'Host' concerns one connection only and is the proxy's own affair"),
    "FORWARD_URL": ("http://%zz/v1", "url: the URL has no valid host and port"),
    "FORWARD_CA_BUNDLE": ("/", "ca_bundle: / cannot be read: Is a directory"),
}


@pytest.mark.parametrize("variable", WRONG)
@pytest.mark.parametrize("name", ["app.py", "gunicorn gevent", "flask run"])
def test_what_no_request_could_use_is_one_line_before_anybody_listens(own, name, variable):
    value, why = WRONG[variable]
    host = own(name, **{variable: value})
    _, told = host.process.communicate(timeout=60)
    assert (host.process.returncode, told) == (2, f"Error: {why}\n")


@pytest.mark.parametrize("name", ["gunicorn gevent", "flask run"])
def test_a_wrong_setting_is_one_line_under_every_host(own, name):
    host = own(name, FORWARD_TIMEOUT="soon")
    _, told = host.process.communicate(timeout=60)
    assert host.process.returncode == 2
    assert told == "Error: timeout must be a whole number of ms, 1 or more, not 'soon' (from FORWARD_TIMEOUT)\n"
