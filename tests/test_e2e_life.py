"""How the proxy lives and ends under signals, under `python app.py` and under gunicorn's own command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from test_hosting import ASK, CLEAN, ROOT, Host

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


@pytest.mark.parametrize("name", ["app.py", "gunicorn gevent"])
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
