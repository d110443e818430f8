"""The journals under stress: killed workers, full disks, folders that vanish. What was answered is on record."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter

import pytest
from proxy_process import ProxyProcess, family
from raw_client import Call
from stories import TEXT, tells, whole
from witness import ask, sound

FILES = ("client_interaction.jsonl", "server_interaction.jsonl")
CLIENTS = 12


def lines_of(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()


def all_lines(folder, name):
    paths = [path for path in folder.iterdir() if path.name.startswith(name) and path.suffix != ".part"]
    return [line for path in paths for line in lines_of(path)]


class Load:
    """Clients that ask without a pause, each over and over, until they are told to stop."""

    def __init__(self, port, model):
        self.port = port
        self.model = model
        self.over = False
        self.answered = {}
        self.begun = 0
        self.threads = [threading.Thread(target=self.client, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def client(self, number):
        streams = bool(number % 2)
        while not self.over:
            self.begun += 1
            try:
                call = Call(self.port, ask(self.model, streams, user="x" * (number * 700)))
                call.rest(20)
            except (OSError, AssertionError):
                continue
            if call.got.endswith(b"0\r\n\r\n") if streams else call.complete:
                self.answered[call.header("x-logging-id")] = time.monotonic()

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join(30)
        return self.answered


@pytest.mark.parametrize("rotation", [{}, {"log_rotate_bytes": 60_000}], ids=["one file", "rotating"])
def test_a_killed_worker_costs_no_record_but_those_in_flight(proxy, provider, model, rotation):
    running = proxy(fresh=True, workers=4, **rotation)
    provider.chooses(tells(TEXT))
    running.until(lambda: len(family(running.process.pid)) >= 5, 10, "not four workers")
    victim = family(running.process.pid)[2]
    load = Load(running.port, model)
    running.until(lambda: len(load.answered) > 100, 30, "no load")
    killed = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    before = len(load.answered)
    running.until(lambda: len(load.answered) > before + 100, 30, "no load after the kill")
    answered = load.stop()
    assert running.stop(clean=False) == 0
    assert "was sent SIGKILL" in running.stderr and "Traceback" not in running.stderr
    running.err.clear()
    records = [[line for line in all_lines(running.folder, name)] for name in FILES]
    torn = [line for lines in records for line in lines if not line.endswith(b"}")]
    assert len(torn) <= 2, torn
    counts = [Counter(json.loads(line)["logging_id"] for line in lines if line not in torn) for lines in records]
    assert [max(count.values()) for count in counts] == [1, 1]
    missing = {one for count in counts for one in answered if one not in count}
    assert len(missing) <= CLIENTS and all(abs(answered[one] - killed) < 5 for one in missing)
    alone = set(counts[0]) ^ set(counts[1])
    assert len(alone) <= CLIENTS, "records on one side only"
    if rotation:
        aside = [path for path in running.folder.iterdir() if path.name.startswith(FILES[0] + ".")]
        assert len(aside) >= 3


# --- a full disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with little room; skipped where it cannot be had."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, timeout=60
        ).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True, timeout=60)


def ready(port):
    return Call(port, method="GET", target="/readyz").rest().json


def test_a_full_disk_stops_nobody_is_told_and_is_over_when_it_is_over(provider, model, small_disk):
    running = ProxyProcess.app(provider.url, small_disk / "journal", {}, {}).ready(not_port=provider.port)
    try:
        provider.always(whole(TEXT.whole))
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * 100_000)
        for _ in range(50):
            if ready(running.port)["journal_drops"]:
                break
            assert Call(running.port, ask(model, user="x" * 20_000)).rest().status == 200
        told = ready(running.port)
        assert told["status"] == "ready" and told["journal"] == os.strerror(28)
        for _ in range(3):
            assert Call(running.port, ask(model, user="x" * 20_000)).rest().status == 200
        assert ready(running.port)["journal_drops"] > told["journal_drops"]
        filler.unlink()
        answer = Call(running.port, ask(model)).rest()
        pair = running.record(logging_id=answer.header("x-logging-id"))
        sound(pair, outcome="complete")
        assert ready(running.port)["journal"] == "ok"
        said = running.log() + running.stderr
        assert said.count("cannot write") + said.count("cannot be written") >= 1
        for name in FILES:
            assert running.log().count(f"journal cannot write file={name}") <= 1
        assert "journal writes again" in running.log()
    finally:
        provider.clear()
        assert running.stop(clean=False) == 0


def test_a_folder_that_is_gone_and_comes_back_costs_no_answer(proxy, provider, model):
    running = proxy(fresh=True)
    provider.always(whole(TEXT.whole))
    shutil.rmtree(running.folder)
    running.folder.write_text("something is in the way")
    for _ in range(4):
        assert Call(running.port, ask(model)).rest().status == 200
    told = ready(running.port)
    assert told["status"] == "ready" and told["journal_drops"] == 8 and told["journal"] != "ok"
    assert running.stderr.count("log.log cannot be written") == 1
    running.folder.unlink()

    def back():
        assert Call(running.port, ask(model)).rest().status == 200
        return ready(running.port)["journal"] == "ok"

    running.until(back, 20, "the journal does not come back")
    running.until(lambda: running.lines("client") and running.lines("server"), 5, "no record")
    assert running.stop(clean=False) == 0
    running.err.clear()  # what it said of the folder was expected
    provider.clear()
