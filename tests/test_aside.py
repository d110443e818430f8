"""Work beside the exchanges: in threads of the system's own, so many for each kind, and none of the hub's."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from proxy_process import ROOT

from proxy.aside import aside, begin

GREEN = """
from gevent import monkey
monkey.patch_all()
import gevent, threading
from gevent.monkey import get_original
from proxy.aside import READING, THREADS, WRITING, aside
lock = get_original("_thread", "allocate_lock")()
here = get_original("_thread", "get_ident")
"""
KINDS = """
lock.acquire()
stuck = [gevent.spawn(aside, lock.acquire, READING) for _ in range(THREADS[READING] + 1)]
gevent.sleep(0)
assert aside(lambda: "written", WRITING) == "written"
assert gevent.get_hub().threadpool.size == 0 and not any(one.dead for one in stuck)
for one in stuck:
    lock.release()
    while not lock.locked():
        gevent.sleep(0.001)
gevent.joinall(stuck, timeout=20, raise_error=True)
"""
ERRORS = """
try:
    aside(lambda: 1 / 0, WRITING)
except ZeroDivisionError:
    print("came back")
assert aside(here) != here()
seen = []
gevent.get_hub().loop.run_callback(lambda: seen.append(aside(here) == here()))
gevent.sleep(0.01)
assert seen == [True], "the hub itself cannot wait"
"""


@pytest.mark.parametrize("script", [KINDS, ERRORS], ids=["no kind waits for another", "errors come back, quietly"])
def test_under_gevent(script):
    done = subprocess.run(
        [sys.executable, "-c", GREEN + script], capture_output=True, text=True, timeout=60, cwd=str(ROOT)
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_elsewhere_it_is_done_at_once_and_what_is_begun_raises_nothing(capfd):
    assert aside(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 / 0)
    told = []
    begin(lambda sleep: told.append(sleep(0)), 0)
    begin(lambda sleep: 1 / 0, 0)
    end = time.monotonic() + 20
    while not told and time.monotonic() < end:
        time.sleep(0.001)
    assert told
    assert capfd.readouterr() == ("", "")
