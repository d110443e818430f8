"""The archive: both journals read as one, whatever happened to the files, by however many at once."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from journals import CLIENT, PROVIDER, expect, ids, lid, line, write
from proxy_process import told_by

from proxy.archive import Archive, Filter
from proxy.archive.intake import BusyError, Intake
from proxy.journal import Journal, Record
from proxy.logs.tail import fitting

ROOT = Path(__file__).resolve().parent.parent
ALL = Filter()


def fresh(folder, **more):
    """An archive that has taken in all there is."""
    archive = Archive(folder, **more)
    assert archive.refresh()
    return archive


def find(archive, **wanted):
    return ids(archive.rows(Filter.read(wanted)))


def turned(folder, ending):
    """Rotate both files by renaming."""
    for name in (CLIENT, PROVIDER):
        (folder / name).rename(folder / f"{name}{ending}")


def test_two_lines_are_one_row_newest_first(tmp_path):
    write(tmp_path, range(3))
    rows = fresh(tmp_path).rows(ALL)
    assert ids(rows) == expect(2, 1, 0)
    assert rows[0] == {
        "logging_id": lid(2),
        "timestamp": "2026-02-15T12:00:02.000000",
        "method": "POST",
        "path": "/v1/chat/completions",
        "model": "m",
        "sent_model": None,
        "answered_model": None,
        "client_dialect": None,
        "provider_dialect": None,
        "return_mode": "non_stream",
        "send_mode": "stream",
        "status": 200,
        "upstream_status": 200,
        "outcome": "complete",
        "ttft_ms": 2,
        "duration_ms": 2,
        "chunks": 3,
        "tokens_in": 5,
        "tokens_out": 7,
        "attempts": 1,
        "error_code": None,
        "overhead_ms": None,
    }


def test_what_newer_lines_say_is_in_the_row(tmp_path):
    more = {"sent_model": "s", "answered_model": "a", "client_dialect": "openai", "overhead_ms": 1.25}
    write(tmp_path, [1], **more, provider_dialect="x", error={"message": "no", "code": "stream_truncated"})
    row = fresh(tmp_path).rows(ALL)[0]
    assert {name: row[name] for name in more} == more
    assert (row["provider_dialect"], row["error_code"]) == ("x", "stream_truncated")


def test_lines_of_the_real_journal_are_read_as_they_were_written(tmp_path):
    journal = Journal(tmp_path)
    record = Record(method="POST", path="/v1/x?q=1", model="m", status=200, outcome="complete", client_input={"a": 1})
    journal.write(record)
    journal.close()
    archive = fresh(tmp_path)
    row = archive.rows(ALL)[0]
    assert (row["logging_id"], row["timestamp"], row["path"]) == (record.logging_id, record.timestamp, "/v1/x")
    both = archive.one(record.logging_id)
    assert [both["client"]["input"], both["provider"]["input"]] == [{"a": 1}, None]


def test_only_what_is_new_is_taken_in(tmp_path):
    write(tmp_path, range(5))
    archive = fresh(tmp_path)
    write(tmp_path, range(5, 7))
    assert ids(archive.rows(ALL)) == expect(4, 3, 2, 1, 0)
    assert archive.left() == 2 * sum(len(line(number)) for number in (5, 6))
    assert archive.refresh()
    assert ids(archive.rows(ALL))[:2] == expect(6, 5)
    assert archive.left() == 0


def test_a_line_under_way_is_taken_in_when_it_is_whole(tmp_path):
    write(tmp_path, [0])
    whole = line(1)
    for name in (CLIENT, PROVIDER):
        with (tmp_path / name).open("ab") as file:
            file.write(whole[:100])
    archive = fresh(tmp_path)
    assert ids(archive.rows(ALL)) == expect(0)
    for name in (CLIENT, PROVIDER):
        with (tmp_path / name).open("ab") as file:
            file.write(whole[100:])
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(1, 0)
    assert archive.one(lid(1))["client"]["logging_id"] == lid(1)


def test_torn_and_foreign_lines_are_passed_over(tmp_path):
    junk = [line(7)[:80] + b"\n", b"\n", b"[1]\n", b"null\n", b"\xff\xfe\n", b'{"logging_id": 5}\n', b"text\r\n"]
    for name in (CLIENT, PROVIDER):
        (tmp_path / name).write_bytes(line(0) + b"".join(junk) + line(1))
    assert ids(fresh(tmp_path).rows(ALL)) == expect(1, 0)


def test_lines_with_odd_values_do_not_stop_the_others(tmp_path):
    odd = {"timestamp": 5, "status": "x", "attempts": 1, "usage": [], "error": "e", "model": {"a": 1}, "path": None}
    write(tmp_path, [0], **odd, duration_ms=True, chunks=10**30)
    write(tmp_path, [1])
    rows = fresh(tmp_path).rows(ALL)
    assert ids(rows) == expect(1, 0)
    assert [rows[1][name] for name in ("status", "attempts", "tokens_in", "model", "path", "chunks")] == [None] * 6


def test_a_record_with_one_line_only_is_a_row_too(tmp_path):
    (tmp_path / CLIENT).write_bytes(line(0))
    (tmp_path / PROVIDER).write_bytes(line(1))
    archive = fresh(tmp_path)
    assert ids(archive.rows(ALL)) == expect(1, 0)
    assert archive.one(lid(0))["provider"] is None
    assert archive.one(lid(1))["client"] is None
    assert archive.one("nobody") is None


@pytest.mark.parametrize("ending", [".20260215T120000", ".1", "-20260215"])
def test_rotation_changes_no_row(tmp_path, ending):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    turned(tmp_path, ending)
    write(tmp_path, range(3, 5))
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(4, 3, 2, 1, 0)
    assert archive.one(lid(1))["provider"]["logging_id"] == lid(1)


def test_compressed_files_are_read_and_what_was_taken_in_stays(tmp_path):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    write(tmp_path, range(3, 4))  # not taken in before the rotation
    for name in (CLIENT, PROVIDER):
        plain = tmp_path / name
        (tmp_path / f"{name}.20260215T120000.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    write(tmp_path, [4])
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(4, 3, 2, 1, 0)
    assert archive.one(lid(0))["client"]["output"] == archive.one(lid(0))["provider"]["output"]
    assert ids(fresh(tmp_path).rows(ALL)) == ids(archive.rows(ALL))


def test_a_file_and_its_compressed_copy_are_one_file(tmp_path):
    write(tmp_path, range(3))
    turned(tmp_path, ".1")
    whole = gzip.compress((tmp_path / f"{CLIENT}.1").read_bytes())
    (tmp_path / f"{CLIENT}.1.gz").write_bytes(whole[: len(whole) - 9])  # compression is under way
    archive = fresh(tmp_path)
    assert ids(archive.rows(ALL)) == expect(2, 1, 0)
    (tmp_path / f"{CLIENT}.1.gz").write_bytes(whole)
    (tmp_path / f"{CLIENT}.1").unlink()
    assert archive.refresh()
    assert archive.one(lid(2))["client"] is not None
    assert ids(archive.rows(ALL)) == expect(2, 1, 0)


def test_a_large_compressed_file_is_taken_in_in_turns(tmp_path):
    data = b"".join(line(number) for number in range(400))
    for name in (CLIENT, PROVIDER):
        (tmp_path / f"{name}.1.gz").write_bytes(gzip.compress(data, 1))
    archive = Archive(tmp_path)
    turns = 1
    while not archive.refresh(budget_s=0):
        turns += 1
        assert turns < 100
    assert turns > 2
    assert len(archive.rows(ALL, limit=1000)) == 400
    archive.close()


def test_a_file_cut_to_nothing_takes_its_rows_along_but_its_copy_keeps_them(tmp_path):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    for name in (CLIENT, PROVIDER):  # as logrotate's copytruncate does
        shutil.copyfile(str(tmp_path / name), str(tmp_path / f"{name}.1"))
        os.truncate(str(tmp_path / name), 0)
    write(tmp_path, [3])
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(3, 2, 1, 0)
    for name in (CLIENT, PROVIDER):
        (tmp_path / f"{name}.1").unlink()
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(3)


def test_a_file_that_lost_its_end_is_read_again(tmp_path):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    for name in (CLIENT, PROVIDER):
        os.truncate(str(tmp_path / name), len(line(0)))
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(0)
    write(tmp_path, [9])
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(9, 0)


def test_a_file_that_lost_its_end_is_read_again_though_the_other_has_it(tmp_path):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    data = (tmp_path / CLIENT).read_bytes().splitlines(keepends=True)
    (tmp_path / CLIENT).write_bytes(data[0] + data[2])
    assert archive.refresh()
    assert find(archive) == expect(2, 1, 0)
    assert find(archive, text="number0") == expect(0) and find(archive, text="number2") == expect(2)
    archive.close()


def test_a_file_that_has_grown_since_it_was_looked_at_is_not_taken_for_a_shorter_one(tmp_path):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    write(tmp_path, [3])
    with archive._index.reading() as db:
        late = Intake(tmp_path, db)
        write(tmp_path, [4])
        assert Archive(tmp_path).refresh()
        before = db.execute("SELECT side, offset FROM files").fetchall()
        with pytest.raises(BusyError):
            late.run(None)
        assert db.execute("SELECT side, offset FROM files").fetchall() == before
    assert find(archive) == expect(4, 3, 2, 1, 0) and find(archive, text="number4") == expect(4)
    archive.close()


def test_rows_of_removed_files_go_and_their_words_too(tmp_path):
    write(tmp_path, range(3), said="unmistakable")
    turned(tmp_path, ".1")
    write(tmp_path, [3])
    archive = fresh(tmp_path)
    assert find(archive, text="unmistakable") == expect(2, 1, 0)
    (tmp_path / f"{CLIENT}.1").unlink()
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(3, 2, 1, 0)  # the other journal still has them
    assert archive.one(lid(0))["client"] is None
    (tmp_path / f"{PROVIDER}.1").unlink()
    assert archive.refresh()
    assert ids(archive.rows(ALL)) == expect(3)
    assert find(archive, text="unmistakable") == []


def test_a_file_rotated_since_the_last_look_is_still_read(tmp_path):
    write(tmp_path, range(2))
    archive = fresh(tmp_path)
    turned(tmp_path, ".1")
    write(tmp_path, range(2, 4))
    assert archive.one(lid(0))["client"]["logging_id"] == lid(0)


def test_opening_the_index_takes_away_no_locks_that_others_hold(tmp_path):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    look = "import sys; from proxy.archive import Archive, Filter; Archive(sys.argv[1]).rows(Filter())"
    with archive._index.reading() as held:
        assert held.execute("SELECT count(*) FROM exchanges").fetchone() == (3,)
        assert len(archive.rows(ALL)) == 3  # another connection, opened and closed beside the one that is held
        subprocess.run([sys.executable, "-c", look, str(tmp_path)], cwd=str(ROOT), check=True, timeout=60)
        # Who closes last removes it: the other process did not, so it has seen that we hold the index
        assert (tmp_path / ".index.sqlite-wal").exists()
    assert [path.name for path in tmp_path.glob(".index.sqlite*") if path.stat().st_nlink != 1] == []


def test_the_index_is_ours_alone_and_beside_the_files(tmp_path):
    write(tmp_path, range(3))
    archive = fresh(tmp_path)
    with archive._index.reading() as db:
        db.execute("SELECT count(*) FROM exchanges").fetchone()
        made = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
        assert made
        assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


BREAKS = {
    "garbage": lambda path: path.write_bytes(b"no database at all, but long enough to look at" * 100),
    "cut": lambda path: os.truncate(str(path), 5000),
    "scribbled on": lambda path: scribble(path),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "an older version": lambda path: with_version(path, 0),
    "a newer version": lambda path: with_version(path, 99),
    "a table is missing": lambda path: sql(path, "DROP TABLE exchanges"),
}


def sql(path, statement):
    db = sqlite3.connect(str(path))
    with db:
        db.execute(statement)
    db.close()


def with_version(path, number):
    sql(path, f"PRAGMA user_version = {number}")


def scribble(path):
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4000)


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_or_foreign_index_is_made_anew(tmp_path, name):
    write(tmp_path, range(50))
    fresh(tmp_path)
    path = tmp_path / ".index.sqlite"
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    BREAKS[name](path)
    archive = Archive(tmp_path)
    archive.rows(ALL)  # whatever the first question is, it does not fail
    assert archive.refresh()
    assert ids(archive.rows(ALL, limit=2)) == expect(49, 48)
    assert len(archive.rows(ALL)) == 50


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path):
    write(tmp_path, range(3))
    (tmp_path / ".index.sqlite").mkdir()  # root may write anywhere, but not into a folder as if it were a file
    archive = fresh(tmp_path)
    assert ids(archive.rows(ALL)) == expect(2, 1, 0)
    elsewhere = archive._index.path.parent
    assert elsewhere != tmp_path and elsewhere.exists()
    del archive
    assert not elsewhere.exists()


NO_ROOM = """
import errno, resource, sys
from proxy.archive import Archive, Filter
from proxy.archive.intake import BusyError, Intake
archive = Archive(sys.argv[1])
size = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
try:
    print("taken in:", archive.refresh())
except OSError as exc:
    print(exc.errno == errno.ENOSPC, len(archive.rows(Filter(), limit=1000)) >= 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(archive.refresh(), len(archive.rows(Filter(), limit=9000)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a POSIX process")
def test_without_room_on_the_disk_the_index_stays_as_it_is(tmp_path):
    write(tmp_path, range(50))
    fresh(tmp_path)
    sizes = [path.stat().st_size for path in tmp_path.iterdir() if path.name.startswith(".index")]
    write(tmp_path, range(50, 3000))
    command = [sys.executable, "-c", NO_ROOM, str(tmp_path), str(max(sizes) + 65_536)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (told.stdout, told.stderr) == ("True True\nTrue 3000\n", "")


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(OSError):
        Archive(tmp_path / "nothing").refresh()


TAKES_IN = """
import sys, time
from proxy.archive import Archive
archive = Archive(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while not archive.refresh(budget_s=0.01):
    time.sleep(0.001)
"""


def test_several_processes_take_in_together_and_nothing_twice(tmp_path):
    write(tmp_path, range(3000))
    command = [sys.executable, "-c", TAKES_IN, str(tmp_path)]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)]
    assert [told_by(one) for one in running] == ["ready\n"] * 4
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    told = [one.communicate(timeout=60) for one in running]
    assert [(one.returncode, complaints) for one, (_, complaints) in zip(running, told)] == [(0, "")] * 4
    archive = fresh(tmp_path)
    assert ids(archive.rows(ALL, limit=4000)) == expect(*range(2999, -1, -1))
    assert len(find(archive, text="question")) == 100
    assert archive.one(lid(1500))["provider"]["logging_id"] == lid(1500)


def test_pages_follow_each_other_without_gap_or_repeat(tmp_path):
    write(tmp_path, [1, *range(3, 10)])
    write(tmp_path, range(20, 25), timestamp="2026-02-15T12:00:05.000000")  # five at the very same moment
    archive = fresh(tmp_path)
    seen, before = [], None
    while True:
        page = archive.rows(ALL, before=before, limit=3)
        if not page:
            break
        seen += ids(page)
        before = page[-1]["logging_id"]
    assert seen == ids(archive.rows(ALL))
    assert len(seen) == len(set(seen)) == 13
    assert ids(archive.rows(ALL, before="2026-02-15T12:00:04")) == expect(3, 1)
    with pytest.raises(ValueError, match="before"):
        archive.rows(ALL, before="yesterday")


def many(folder):
    write(folder, [1], outcome="complete", status=200, model="qwen-max", sent_model="q-1", path="/v1/chat/completions")
    write(folder, [2], outcome="truncated", status=502, model="gpt-4o", answered_model="gpt-4o-x")
    write(folder, [3], outcome="refused", status=400, model="[odd]", path="/v1/models")
    write(folder, [4], outcome="client_abort", status=499, model=None)


WANTED = [
    ({}, [4, 3, 2, 1]),
    ({"outcome": "truncated"}, [2]),
    ({"outcome": "truncated, refused"}, [3, 2]),
    ({"outcome": "!complete,!refused"}, [4, 2]),
    ({"status": "4xx"}, [4, 3]),
    ({"status": "200,502"}, [2, 1]),
    ({"status": "400-450"}, [3]),
    ({"status": ">=499"}, [4, 2]),
    ({"status": "<300"}, [1]),
    ({"model": "qwen-max"}, [1]),
    ({"model": "qwen"}, []),
    ({"model": "q*"}, [1]),
    ({"model": "q-1"}, [1]),
    ({"model": "*-x"}, [2]),
    ({"model": "**q***m*x"}, [1]),
    ({"model": "q*x*x"}, []),
    ({"model": "qwen-max*max"}, []),
    ({"model": "[odd]*"}, [3]),
    ({"path": "/v1/models"}, [3]),
    ({"path": "/v1/chat/*"}, [4, 2, 1]),
    ({"since": "2026-02-15T12:00:03"}, [4, 3]),
    ({"until": "2026-02-15T12:00:03Z"}, [2, 1]),
    ({"since": "2026-02-15T13:00:02+01:00", "until": "2026-02-15 12:00:04"}, [3, 2]),
    ({"since": "2026-02-16"}, []),
    ({"since": "1h"}, []),
    ({"text": "number3"}, [3]),
    ({"text": "answer", "outcome": "refused"}, [3]),
    ({"model": "", "status": None, "text": " "}, [4, 3, 2, 1]),
]


@pytest.mark.parametrize(("wanted", "found"), WANTED, ids=lambda value: str(value))
def test_a_filter_finds_what_it_says(tmp_path, wanted, found):
    many(tmp_path)
    archive = fresh(tmp_path)
    assert find(archive, **wanted) == expect(*found)
    lines = reversed((tmp_path / CLIENT).read_bytes().splitlines(keepends=True))
    rows = [fitting(one, Filter.read(wanted)) for one in lines]  # one by one, as `logs tail` sees them
    assert ids([row for row in rows if row]) == expect(*found)
    assert sorted(archive.each(Filter.read(wanted))[1]) == sorted(
        one for one, row in zip(reversed((tmp_path / CLIENT).read_bytes().splitlines()), rows) if row
    )
    assert sum(group["n"] for group in archive.stats(Filter.read(wanted))) == len(found)
    assert sum(bucket["n"] for bucket in archive.histogram(Filter.read(wanted))["buckets"]) == len(found)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"outcome": "!!complete"}, "outcome must be among complete, c"),
        ({"outcome": "compleet"}, "outcome must be among complete, c"),
        ({"status": "4x"}, "status must be like 404, 4xx, 400-499 or >=400, not '4x'"),
        ({"since": "soon"}, "since must be a UTC time like"),
        ({"until": "2026-13-01"}, "until must be a UTC time like"),
        ({"since": "999999w"}, "since must be a UTC time like"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "since must be before until"),
        ({"modle": "x"}, "modle is not a filter; did you mean model?"),
        ({"zzz": "x"}, "zzz is not a filter; there are outcome,"),
        ({"path": "*a" * 9}, "path must have at most 8 *, not 9"),
        ({"text": "x" * 501}, "text must have at most 500 characters, not 501"),
    ],
    ids=str,
)
def test_a_wrong_filter_is_named(wanted, told):
    with pytest.raises(ValueError) as caught:
        Filter.read(wanted)
    assert str(caught.value).startswith(told)


def test_a_pattern_of_many_stars_costs_no_more_than_one_look(tmp_path):
    write(tmp_path, [1, 2], path="a" * 8000)
    wanted = Filter.read({"path": "*a" * 8 + "b"})  # to try every place of every star would take years
    assert not wanted.fits({"path": "a" * 8000}, 0) and wanted.fits({"path": "a" * 8000 + "b"}, 0)
    assert find(fresh(tmp_path), path="*a" * 8 + "b") == [] and len(find(fresh(tmp_path), path="*a" * 8)) == 2


WORDS = [
    ("Weather in Paris", "weather paris"),
    ("Weather in Paris", '"in paris"'),
    ("Weather in Paris", "weath"),
    ("Weather in Paris", "PARIS"),
    ("北京的天气怎么样", "天气"),
    ("北京的天气怎么样", "北京 怎么"),
    ("mixed 天气weather", "气weather"),
    ("crème brûlée", "brûlée"),
    ('she said "hi there"', "hi"),
    ("a-b c_d x.y", "a-b"),
    ("a-b c_d x.y", "x.y"),
]
ABSENT = [
    ("Weather in Paris", "weather london"),
    ("Weather in Paris", '"paris in"'),
    ("北京的天气怎么样", "气天"),
    ("anything", "..."),
    ("anything", '"'),
    ("anything", "NOT AND"),
]


@pytest.mark.parametrize("words", [True, False], ids=["index", "scan"])
def test_texts_are_found_by_words_their_beginnings_and_phrases(tmp_path, words):
    for number, (said, _) in enumerate([*WORDS, *ABSENT]):
        write(tmp_path, [number], said=said, told="")
    archive = fresh(tmp_path, words=words)
    for number, (said, text) in enumerate(WORDS):
        assert lid(number) in find(archive, text=text), (said, text)
    for number, (said, text) in enumerate(ABSENT, len(WORDS)):
        assert lid(number) not in find(archive, text=text), (said, text)


@pytest.mark.parametrize("words", [True, False], ids=["index", "scan"])
def test_the_text_of_tools_arguments_reasoning_and_errors_counts_and_that_of_schemes_does_not(tmp_path, words):
    message = {
        "role": "assistant",
        "reasoning_content": "pondering",
        "tool_calls": [
            {
                "id": "call_secretive",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
            }
        ],
    }
    write(
        tmp_path,
        [1],
        input={
            "messages": [{"role": "user", "content": [{"type": "text", "text": "partly"}]}],
            "tools": [{"x": "schema"}],
        },
        output={"choices": [{"message": message}]},
        error={"message": "broken pipe", "code": "x"},
    )
    archive = fresh(tmp_path, words=words)
    for text in ("partly", "pondering", "weather", "Oslo", "broken"):
        assert find(archive, text=text) == expect(1), text
    for text in ("schema", "call_secretive", "assistant"):
        assert find(archive, text=text) == [], text


def test_percentiles_are_values_that_occurred(tmp_path):
    for number in range(1, 101):
        write(tmp_path, [number], duration_ms=float(101 - number), ttft_ms=number / 2, model="a" if number > 1 else "b")
    archive = fresh(tmp_path)
    a, b = archive.stats(ALL, by=["model"])
    assert (a["model"], a["n"], b["n"]) == ("a", 99, 1)
    assert [a["p50_ms"], a["p90_ms"], a["p95_ms"], a["p99_ms"]] == [50, 90, 95, 99]
    assert (b["p50_ms"], b["p99_ms"], b["ttft_p95_ms"]) == (100, 100, 0.5)
    assert (a["tokens_in"], a["tokens_out"]) == (495, 693)
    with pytest.raises(ValueError, match="by must be among"):
        archive.stats(ALL, by=["logging_id; DROP TABLE exchanges"])


def test_lines_are_read_file_by_file_from_the_oldest(tmp_path):
    data = b"".join(line(number) for number in range(3))
    (tmp_path / f"{CLIENT}.20260101T000000.gz").write_bytes(gzip.compress(data))
    write(tmp_path, range(3, 6))
    number, lines = fresh(tmp_path).each(Filter.read({"text": "question"}))
    assert number == 6
    assert [one + b"\n" for one in lines] == [line(number) for number in range(6)]
    number, lines = fresh(tmp_path).each(ALL, "provider")
    assert [one + b"\n" for one in lines] == [line(number) for number in range(3, 6)]


def test_a_histogram_parts_the_time_evenly(tmp_path):
    write(tmp_path, range(100))
    write(tmp_path, [100, 101], outcome="truncated", ttft_ms=None, duration_ms=5.0)
    write(tmp_path, [102], outcome="client_abort")
    archive = fresh(tmp_path)
    told = archive.histogram(Filter.read({"since": "2026-02-15T12:00:00", "until": "2026-02-15T12:02:00"}), buckets=12)
    assert (told["from"], told["to"]) == ("2026-02-15T12:00:00.000000", "2026-02-15T12:02:00.000000")
    assert [bucket["n"] for bucket in told["buckets"]] == [10] * 10 + [3, 0]
    assert [bucket["errors"] for bucket in told["buckets"]] == [0] * 10 + [2, 0]
    assert told["buckets"][1] == {
        "at": "2026-02-15T12:00:10.000000",
        "n": 10,
        "errors": 0,
        "p50_ms": 14,
        "p95_ms": 19,
        "ttft_p50_ms": 14,
        "ttft_p95_ms": 19,
    }
    assert told["buckets"][11]["p50_ms"] is None
    one = archive.histogram(Filter.read({"since": "2026-02-15T12:01:42"}), buckets=60)
    assert (one["from"], one["to"]) == ("2026-02-15T12:01:42.000000", "2026-02-15T12:01:48.000000"), (
        "one moment is no time"
    )
    free = archive.histogram(ALL, buckets=7)
    assert sum(bucket["n"] for bucket in free["buckets"]) == 103
    assert fresh(tmp_path).histogram(Filter.read({"model": "none"})) == {"from": None, "to": None, "buckets": []}


@pytest.mark.timed
def test_it_stays_quick_with_20000_exchanges(tmp_path):
    for start in range(0, 20_000, 4000):
        write(tmp_path, range(start, start + 4000))
    began = time.monotonic()
    archive = fresh(tmp_path)
    assert 20_000 / (time.monotonic() - began) > 500, "exchanges a second"
    assert quickest(archive.refresh) < 0.05
    for wanted in ({}, {"outcome": "shutdown"}, {"model": "*zz*"}, {"text": "question"}, {"text": "number7"}):
        assert quickest(lambda wanted=wanted: find(archive, **wanted)) < 0.25, wanted
    assert quickest(lambda: archive.histogram(ALL)) < 1
    assert quickest(lambda: archive.one(lid(10_000))) < 0.25


def quickest(work):
    """The seconds of the quickest of five tries: what the work costs, not what else the machine does."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)
