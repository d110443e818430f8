"""Log files are put aside by size and age, compressed, thinned out; over several processes no line is lost or torn."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from proxy_process import told_by

from proxy.journal import CLIENT_FILE, PROVIDER_FILE, Journal, Policy, Record, configure_log, log
from proxy.journal import appender as appending
from proxy.journal.appender import Appender
from proxy.journal.rotation import SEALED, Rotation, born, put_aside, tidy

ROOT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"client_interaction\.jsonl\.\d{8}T\d{6}(-\d+)?(\.gz)?")
LINE = b"x" * 99 + b"\n"


def still(seconds):
    """A sleep that nobody waits for."""


def aside(folder, name=CLIENT_FILE):
    return sorted(path for path in folder.iterdir() if path.name.startswith(name + "."))


def lines_of(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()


def all_lines(folder, name):
    return [line for path in [*aside(folder, name), folder / name] for line in lines_of(path)]


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture
def soon(monkeypatch):
    """Compression that begins at once."""
    monkeypatch.setattr(appending, "SETTLE", 0.0)


# --- when, and under which name


def test_a_file_never_grows_over_its_size_and_the_old_ones_bear_the_time(tmp_path):
    file = Appender(tmp_path / CLIENT_FILE, Rotation(bytes=1_000))
    for _ in range(35):
        assert file.append(LINE)
    file.close()
    old = aside(tmp_path)
    assert len(old) == 3 and all(NAME.fullmatch(path.name) for path in old)
    assert [path.stat().st_size for path in old] == [1_000] * 3
    assert (tmp_path / CLIENT_FILE).stat().st_size == 500


def test_a_line_longer_than_a_file_has_a_file_of_its_own(tmp_path):
    file = Appender(tmp_path / CLIENT_FILE, Rotation(bytes=50))
    for _ in range(3):
        assert file.append(LINE)
    file.close()
    assert [len(lines_of(path)) for path in [*aside(tmp_path), tmp_path / CLIENT_FILE]] == [1, 1, 1]


def test_age_counts_from_the_first_line_also_after_a_restart(tmp_path):
    path = tmp_path / CLIENT_FILE
    path.write_text('{"timestamp":"2020-01-01T00:00:00.000000"}\n')
    file = Appender(path, Rotation(age=3_600.0))
    file.append(b'{"timestamp":"2026-01-01T00:00:00.000000"}\n')
    file.append(b"{}\n")
    file.close()
    assert [len(lines_of(one)) for one in [*aside(tmp_path), path]] == [1, 2]


@pytest.mark.parametrize("text, want", [("2020-01-01T00:00:00.5 INFO x\n", 1577836800.0), ("?\n", None), ("", None)])
def test_a_file_says_when_it_was_begun(tmp_path, text, want):
    path = tmp_path / "log.log"
    path.write_text(text)
    with path.open("rb") as file:
        found = born(file.fileno())
    assert found == want if want else abs(found - time.time()) < 60


def test_without_settings_nothing_is_put_aside(tmp_path):
    journal = Journal(tmp_path)
    for _ in range(50):
        journal.write(Record(client_input="x" * 5_000))
    journal.close()
    assert aside(tmp_path) == []


def test_log_log_rotates_as_well(tmp_path):
    configure_log(tmp_path, "info", (), Rotation(bytes=500))
    for number in range(20):
        log("something happened", number=number)
    assert aside(tmp_path, "log.log")
    said = [line for line in all_lines(tmp_path, "log.log") if b"something" in line]
    assert [line.rpartition(b"=")[2] for line in said] == [b"%d" % number for number in range(20)]
    configure_log(tmp_path / "elsewhere", "info")


# --- compressing and thinning out


def test_what_was_put_aside_is_compressed_by_itself(tmp_path, soon):
    file = Appender(tmp_path / CLIENT_FILE, Rotation(bytes=1_000))
    for _ in range(25):
        file.append(LINE)
    file.close()
    until(lambda: [path.suffix for path in aside(tmp_path)] == [".gz", ".gz"])
    assert sum(len(lines_of(path)) for path in aside(tmp_path)) == 20
    assert {path.stat().st_mode & 0o777 for path in aside(tmp_path)} == {0o600}


def put(folder, *stamps):
    for stamp in stamps:
        (folder / f"{CLIENT_FILE}.{stamp}").write_bytes(LINE)


def test_the_oldest_go_and_what_is_not_ours_stays(tmp_path):
    put(tmp_path, "20260101T000000.gz", "20260102T000000-2", "20260102T000000-10", "20260102T000000", "20260103T000000")
    put(tmp_path, "1", "20260101", "20260101T000000.bak", "old.gz")
    (tmp_path / CLIENT_FILE).write_bytes(LINE)
    (tmp_path / f".{CLIENT_FILE}.20260102T000000.gz.part").write_bytes(b"half")
    tidy(tmp_path / CLIENT_FILE, 2, still)
    left = {path.name[len(CLIENT_FILE) :] for path in tmp_path.iterdir()}
    ours = {".20260102T000000-10.gz", ".20260103T000000.gz"}
    assert left == {"", ".1", ".20260101", ".20260101T000000.bak", ".old.gz"} | ours


def test_compression_that_was_interrupted_is_done_again(tmp_path):
    put(tmp_path, "20260101T000000")
    (tmp_path / f".{CLIENT_FILE}.20260101T000000.gz.part").write_bytes(b"half" * 1_000)
    tidy(tmp_path / CLIENT_FILE, 0, still)
    assert [lines_of(path) for path in aside(tmp_path)] == [[LINE.strip()]]
    assert [path.suffix for path in aside(tmp_path)] == [".gz"]


def test_what_is_written_while_it_is_compressed_is_kept(tmp_path):
    put(tmp_path, "20260101T000000")
    path = aside(tmp_path)[0]
    late = iter([b"late\n"])

    def straggle(seconds):
        with path.open("ab") as file:
            file.write(next(late, b""))

    os.chmod(path, 0o600)
    tidy(tmp_path / CLIENT_FILE, 0, straggle)
    assert lines_of(aside(tmp_path)[0]) == [LINE.strip(), b"late"]


def test_a_writer_that_finds_its_file_sealed_goes_to_the_new_one(tmp_path):
    slow, quick = Appender(tmp_path / CLIENT_FILE), Appender(tmp_path / CLIENT_FILE)
    slow.append(b"1\n")
    put_aside(quick.path, quick._fd)
    assert slow.append(b"2\n") and quick.append(b"3\n")
    assert [lines_of(path) for path in [*aside(tmp_path), quick.path]] == [[b"1"], [b"2", b"3"]]
    assert aside(tmp_path)[0].stat().st_mode & 0o777 == SEALED
    slow.close()
    quick.close()


def test_a_file_that_cannot_be_renamed_costs_no_line(tmp_path):
    path = tmp_path / ("n" * 250)  # with a time behind it no file may be called so
    file = Appender(path, Rotation(bytes=150))
    assert all(file.append(LINE) for _ in range(5))
    file.close()
    assert len(lines_of(path)) == 5 and len(list(tmp_path.iterdir())) == 1


# --- several processes


@pytest.fixture
def start():
    """Starts processes that have ``journal`` and run a script; none survives the test."""
    started = []

    def begin(folder, script):
        command = [sys.executable, "-c", HEAD + script, str(folder)]
        started.append(subprocess.Popen(command, cwd=str(ROOT), stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=10)


HEAD = """
import sys
from proxy.journal import *
from proxy.journal import appender
from proxy.journal.rotation import Rotation
appender.SETTLE = 0.2
journal = Journal(sys.argv[1], policy=Policy(rotation=Rotation(bytes=150_000, keep=0)))
"""

MANY = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(400):
    journal.write(Record(model=str(number), client_input="word " * (number * 331 % 1_500)))
print(journal.drops, flush=True)
sys.stdin.readline()
"""


def tell(processes):
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()


def test_four_processes_rotate_and_compress_and_no_line_is_lost_or_torn(tmp_path, start):
    processes = [start(tmp_path, MANY) for _ in range(4)]
    assert [told_by(process) for process in processes] == [b"ready\n"] * 4
    tell(processes)
    assert [told_by(process) for process in processes] == [b"0\n"] * 4
    for name in (CLIENT_FILE, PROVIDER_FILE):
        until(lambda name=name: all(path.suffix == ".gz" for path in aside(tmp_path, name)), 40)
    ids = [
        [json.loads(line)["logging_id"] for line in all_lines(tmp_path, name)] for name in (CLIENT_FILE, PROVIDER_FILE)
    ]
    assert [len(one) for one in ids] == [1_600] * 2
    assert len(set(ids[0])) == 1_600 and set(ids[0]) == set(ids[1])
    assert len(aside(tmp_path)) >= 8


FOREVER = """
print("ready", flush=True)
number = 0
while True:
    journal.write(Record(client_input="x" * 2_000))
"""


def test_a_process_killed_while_it_rotates_leaves_nothing_that_the_next_one_does_not_finish(tmp_path, start, soon):
    process = start(tmp_path, FOREVER)
    told_by(process)
    until(lambda: len(aside(tmp_path)) > 3)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    journal = Journal(tmp_path, policy=Policy(rotation=Rotation(bytes=150_000)))
    journal.write(Record(model="next"))
    journal.close()
    for name in (CLIENT_FILE, PROVIDER_FILE):
        until(lambda name=name: all(path.suffix == ".gz" for path in aside(tmp_path, name)))
        lines = all_lines(tmp_path, name)
        torn = [line for line in lines if not line.endswith(b"}")]
        assert len(torn) <= 1
        assert json.loads(lines[-1])["model"] == "next"
