"""What hangs in the suite is ended and named: shown with tests that hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from provider import Stall
from stories import STREAM_HEAD, chunk

HERE = Path(__file__).parent
RUN = """
import sys, pytest, unstuck
unstuck.GRACE = 3
ini, folder = sys.argv[1:]
sys.exit(pytest.main(["-p", "conftest", "-p", "no:cacheprovider", "-c", ini, "--rootdir", folder, folder]))
"""
ONCE = """
import threading, pytest
@pytest.mark.timeout(1)
def test_it_hangs():
    threading.Event().wait()
def test_the_next():
    pass
"""
TWICE = """
import threading, pytest
@pytest.fixture()
def hanging():
    yield
    threading.Event().wait()
def test_it_hangs(hanging):
    threading.Event().wait()
"""


def hang(folder: Path, program: str, limit: int) -> subprocess.Popen[str]:
    """A run of the tests in ``program``, each of which may take so many seconds."""
    (folder / "test_hanging.py").write_text(program)
    (folder / "pytest.ini").write_text(f"[pytest]\ntimeout = {limit}\ntimeout_method = signal\n")
    paths = os.pathsep.join(map(str, [HERE, HERE.parent]))
    command = [sys.executable, "-c", RUN, str(folder / "pytest.ini"), str(folder)]
    environ = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_test_that_hangs_fails_and_the_next_one_runs(tmp_path):
    with hang(tmp_path, ONCE, 50) as running:
        told = running.communicate(timeout=60)[0]
    assert running.returncode == 1 and "1 failed, 1 passed" in told and "Timeout (>1.0s)" in told


def test_a_process_that_goes_on_hanging_is_ended_and_shows_where_it_was(tmp_path):
    with hang(tmp_path, TWICE, 1) as running:
        told = running.communicate(timeout=60)[0]
    assert running.returncode == 1 and "passed" not in told
    assert "Timeout (0:00:04)!" in told and "test_hanging.py" in told and " in hanging" in told


def test_a_suite_that_is_ended_says_which_tests_were_running(tmp_path):
    program = ONCE.replace("timeout(1)", "timeout(50)")
    program = program.replace("    threading", "    open(__file__ + '.began', 'w').close()\n    threading", 1)
    with hang(tmp_path, program, 50) as running:
        until = time.monotonic() + 40
        while not (tmp_path / "test_hanging.py.began").exists():
            assert time.monotonic() < until and running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        told = running.communicate(timeout=60)[0]
    assert running.returncode == 2 and "test_hanging.py::test_it_hangs" in told.partition("not ended after")[2]


@pytest.mark.timeout(30)
def test_an_abandoned_stream_may_be_closed_while_its_pool_is_locked(provider):
    """The collector closes it wherever it happens to run."""
    httpx = pytest.importorskip("httpx")
    provider.plays([STREAM_HEAD, chunk(b"one"), Stall()])
    with httpx.Client(trust_env=False) as client:
        response = client.send(client.build_request("GET", f"{provider.origin}/v1/models"), stream=True)
        pieces = response.iter_raw()
        assert next(pieces) == b"one"
        with client._transport._pool._optional_thread_lock:
            del response, pieces
    assert provider.heard[0].left_within(10)
