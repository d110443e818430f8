"""The two files: one whole line a record in each, whatever the record holds and whatever happens to the disk."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import msgspec
import pytest
from proxy_process import told_by

from proxy.chat.events import Failed
from proxy.journal import CLIENT_FILE, PROVIDER_FILE, Journal, Record, arrival, body_for_journal
from proxy.journal.line import DEEPEST, lossy, spell

FILES = (CLIENT_FILE, PROVIDER_FILE)
ROOT = Path(__file__).resolve().parent.parent
ASK = {"model": "m", "messages": [{"role": "user", "content": "hé\u2028llo\n"}]}


@pytest.fixture()
def journal(tmp_path):
    journal = Journal(tmp_path / "logs")
    yield journal
    journal.close()


def read(folder, name=CLIENT_FILE):
    """Every line of a file by both readers; a line that one of them cannot read fails the test."""
    lines = (Path(folder) / name).read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert all(b"\r" not in line for line in lines)
    return [json.loads(line) for line in lines if msgspec.json.decode(line) is not None]


def written(journal, **fields):
    journal.write(Record(**fields))
    return tuple(read(journal.folder, name)[-1] for name in FILES)


# --- what a record says


def test_a_record_has_the_contract_s_fields_first_and_in_their_order(journal):
    client, _ = written(journal, client_input=ASK)
    assert list(client)[:6] == ["timestamp", "logging_id", "input", "output", "send_mode", "return_mode"]


def test_both_lines_have_every_field_even_when_nothing_happened(journal):
    client, provider = written(journal)
    assert list(client) == list(provider)
    assert set(client) >= {"path", "method", "model", "status", "upstream_status", "outcome", "attempts", "ttft_ms"}
    assert set(client) >= {"duration_ms", "chunks", "usage", "error"}
    assert (provider["output"], provider["send_mode"], provider["usage"]) == (None, None, None)


def test_the_lines_differ_in_input_and_output_alone(journal):
    sides = {"client_input": 1, "client_output": 2, "provider_input": 3, "provider_output": 4}
    client, provider = written(journal, **sides, model="m", status=200)
    assert {name for name in client if client[name] != provider[name]} == {"input", "output"}
    assert (client["input"], client["output"], provider["input"], provider["output"]) == (1, 2, 3, 4)


def test_the_timestamp_has_microseconds_and_no_suffix_and_the_id_is_a_uuid4(journal):
    client, provider = written(journal)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", client["timestamp"])
    assert uuid.UUID(client["logging_id"]).version == 4
    assert (client["timestamp"], client["logging_id"]) == (provider["timestamp"], provider["logging_id"])


def test_arrival_is_utc():
    assert abs(time.time() - time.mktime(time.strptime(arrival()[:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone) < 5


def test_send_mode_is_the_last_attempt_s(journal):
    record = Record(send_mode="stream")
    record.attempted("stream", 400, "invalid_parameter", 12.34567)
    record.attempted("non_stream", 200, None, 5)
    journal.write(record)
    line = read(journal.folder)[0]
    assert line["send_mode"] == "non_stream"
    assert line["attempts"][0] == {"mode": "stream", "status": 400, "code": "invalid_parameter", "ms": 12.346}


@pytest.mark.parametrize(
    "error", [Failed(502, "cut", "gone", extra={"x": 1}), {"message": "gone", "type": "upstream_error", "code": "cut"}]
)
def test_an_error_is_its_four_fields(journal, error):
    client, _ = written(journal, error=error)
    assert client["error"] == {"message": "gone", "type": "upstream_error", "param": None, "code": "cut"}


def test_repairs_and_the_answered_model_are_there_only_when_there_are_any(journal):
    bare, _ = written(journal)
    told, _ = written(journal, repairs=["role"], answered_model="m-2")
    assert not {"repairs", "answered_model", "lossy"} & set(bare)
    assert (told["repairs"], told["answered_model"]) == (["role"], "m-2")


def test_usage_is_null_when_nothing_is_known(journal):
    assert written(journal, usage={})[0]["usage"] is None
    assert written(journal, usage={"prompt_tokens": 0})[0]["usage"] == {"prompt_tokens": 0}


def test_secrets_are_no_part_of_what_a_record_shows_of_itself():
    assert "sk-hidden" not in repr(Record(secrets=("sk-hidden",)))


# --- what may be in an input or an output

SHAPES = [
    (b'{\n "a": [1,\r\n 2]\n}', {"a": [1, 2]}),
    (json.dumps(ASK).encode(), ASK),
    (bytearray(b'{"a": 1}'), {"a": 1}),
    (msgspec.Raw(b'{"a":\n1}'), {"a": 1}),
    (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    (b'{"a": [NaN, -Infinity]}', {"a": ["NaN", "-Infinity"]}),
    (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    (b'{"messages": [...]}', '{"messages": [...]}'),
    (b"data: x\n\n", "data: x\n\n"),
    (b"", None),
    (b"\x89PNG\x00\xff", {"type": "application/octet-stream", "size": 6}),
    ("text\nwith a newline", "text\nwith a newline"),
    ({"type": "audio/wav", "size": 9}, {"type": "audio/wav", "size": 9}),
    (None, None),
]


@pytest.mark.parametrize("given, want", SHAPES, ids=lambda shape: str(shape).partition(" at ")[0])
def test_bytes_values_and_text_are_legible_in_the_journal(journal, given, want):
    client, provider = written(journal, client_input=given, provider_output=given)
    assert (client["input"], provider["output"]) == (want, want)


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


class Unspeakable:
    def __str__(self):
        raise RuntimeError("no")


UNSOUND = [
    ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    ("\ud83d\ude00", "\U0001f600"),
    ({"k\udc00": {"v": float("inf"), "x": "\ud800"}}, {"k\ufffd": {"v": "inf", "x": "\ufffd"}}),
    (["\ud800", b"\xff"], ["\ufffd", "/w=="]),
    (["\ud800", Failed(1, None, "m").outcome, {1}], ["\ufffd", "upstream_error", [1]]),
    (["\ud800", 1 << 13_000], ["\ufffd", 1 << 13_000]),
    ([1 << 20_000], ["[an integer of 20001 bits]"]),
]


@pytest.mark.parametrize("given, want", UNSOUND, ids=[str(n) for n in range(len(UNSOUND))])
def test_what_json_cannot_hold_is_replaced_and_the_record_says_so(journal, given, want):
    client, _ = written(journal, client_input=given)
    assert client["input"] == want
    assert client["lossy"] is True


@pytest.mark.parametrize(
    "given, want",
    [
        (ValueError("bad"), "bad"),
        ({"x": Path("/secret/place")}, {"x": "<PosixPath>"}),
        (Unspeakable(), "<Unspeakable>"),
        ({None: 1, (1, 2): 2}, {"<NoneType>": 1, "<tuple>": 2}),
        (float("nan"), None),
    ],
    ids=["error", "object", "object that raises", "keys", "nan"],
)
def test_objects_are_named_and_not_printed(journal, given, want):
    assert written(journal, client_input=given)[0]["input"] == want


@pytest.mark.parametrize("given", [nested(5_000), nested(DEEPEST + 5), {"a": nested(500)}], ids=["5000", "205", "500"])
def test_deep_nesting_ends_in_a_marker(journal, given):
    client, _ = written(journal, client_input=given)
    assert "nested too deeply" in json.dumps(client["input"])
    assert client["lossy"] is True


def test_deeply_nested_bytes_stay_what_they_are_as_text(journal):
    body = b"[" * 100_000 + b"]" * 100_000
    assert written(journal, client_input=body)[0]["input"] in (
        body.decode(),
        {"type": "application/octet-stream", "size": 200_000},
    )


def test_brackets_in_text_are_not_nesting():
    value = ["[{" * 1_000, '\\"[' * 500, [1] * 300, [{}] * 300]
    assert spell(value) == (msgspec.json.encode(value), False)


@pytest.mark.parametrize("value", [ASK, nested(30), {"a": [1, 2.5, None, True, "x"]}], ids=["ask", "nested", "mixed"])
def test_lossy_loses_nothing_of_sound_values(value):
    assert lossy(value) == value


def test_a_record_that_cannot_be_made_is_counted_and_does_not_raise(journal, capfd):
    journal.write(Record(ttft_ms="soon"))  # type: ignore[arg-type]
    journal.write(Record())
    assert journal.drops == 2
    assert len(read(journal.folder)) == len(read(journal.folder, PROVIDER_FILE)) == 1


# --- bodies of forwarded endpoints

MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a b.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    + b"\x00\xff" * 50
    + b"\r\n--b--\r\n"
)
WAV = {"field": "file", "name": "a b.wav", "type": "audio/wav", "size": 100}
BODIES = [
    ("application/json", b'{"a": 1}', 8, {"a": 1}),
    ("text/plain", b'{"a": 1}', 8, {"a": 1}),
    ("application/x-www-form-urlencoded", b'{"a": 1}', 8, {"a": 1}),
    ("application/x-www-form-urlencoded", b"key=abc&x=1", 11, "key=[redacted]&x=1"),
    ("application/json", b"12", 2, 12),
    ("text/plain", b"12", 2, "12"),
    ("application/json", b"{bad", 4, "{bad"),
    ("text/event-stream", b"data: 1\n\n", 9, "data: 1\n\n"),
    ("audio/mpeg", b"\xff\xfb", 2, {"type": "audio/mpeg", "size": 2}),
    ("text/html", b"x" * 70_000, 70_000, {"type": "text/html", "size": 70_000}),
    ("application/json", b'{"a', 5_000_000, {"type": "application/json", "size": 5_000_000}),
    ("application/json", None, 9, {"type": "application/json", "size": 9}),
    ("", None, 0, None),
    ("", b"\xff", 1, {"type": "application/octet-stream", "size": 1}),
    (
        'multipart/form-data; boundary="b"',
        MULTIPART,
        len(MULTIPART),
        {
            "type": "multipart/form-data",
            "size": len(MULTIPART),
            "parts": [{"field": "model", "value": "whisper-1"}, WAV],
        },
    ),
    (
        "multipart/form-data; boundary=b",
        MULTIPART[:200],
        9_999,
        {
            "type": "multipart/form-data",
            "size": 9_999,
            "parts": [{"field": "model", "value": "whisper-1"}, {**WAV, "size": None}],
        },
    ),
    ("multipart/form-data", b"x", 1, {"type": "multipart/form-data", "size": 1, "parts": []}),
]


@pytest.mark.parametrize("content_type, body, size, want", BODIES)
def test_a_body_is_shown_as_json_text_or_a_descriptor(content_type, body, size, want):
    assert body_for_journal(content_type, body, size) == want


@pytest.mark.parametrize("cut", range(0, len(MULTIPART), 7))
def test_an_upload_can_be_cut_anywhere(cut):
    shown = body_for_journal("multipart/form-data; boundary=b", MULTIPART[:cut], 10**9)
    assert shown["size"] == 10**9
    assert all(set(part) & {"value", "size"} for part in shown["parts"])


# --- files


def test_folder_and_files_are_for_their_owner_alone(journal):
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE((journal.folder / name).stat().st_mode) for name in FILES] == [0o600, 0o600]


def test_existing_files_are_continued(tmp_path):
    for number in range(3):
        journal = Journal(str(tmp_path))
        journal.write(Record(model=str(number)))
        journal.close()
    assert [line["model"] for line in read(tmp_path)] == ["0", "1", "2"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"^output_path '.*file/logs' is not writable: [A-Z][a-z ]+$"):
        Journal(tmp_path / "file" / "logs")


def test_descriptors_are_not_inherited(journal):
    inherited = [
        fd for fd in os.listdir("/proc/self/fd") if links_to(fd, journal.folder) and os.get_inheritable(int(fd))
    ]
    assert inherited == []


def links_to(fd, folder):
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(str(folder))
    except OSError:
        return False


def test_threads_do_not_tear_lines(journal):
    threads = [threading.Thread(target=write_many, args=(journal, str(n), 100), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({line["logging_id"] for line in read(journal.folder)}) == 800


def write_many(journal, model, count):
    for number in range(count):
        journal.write(Record(model=model, chunks=number, client_input="x" * (number * 97 % 9_000)))


def test_a_file_that_was_renamed_is_begun_anew_within_a_second(journal):
    journal.write(Record(model="old"))
    (journal.folder / CLIENT_FILE).rename(journal.folder / "rotated.jsonl")
    time.sleep(1.05)
    journal.write(Record(model="new"))
    assert [line["model"] for line in read(journal.folder)] == ["new"]
    assert [line["model"] for line in read(journal.folder, "rotated.jsonl")] == ["old"]
    assert [line["model"] for line in read(journal.folder, PROVIDER_FILE)] == ["old", "new"]


def test_a_deleted_folder_loses_nothing_more(journal):
    journal.write(Record(model="lost"))
    remove(journal.folder)
    journal.write(Record(model="kept"))
    assert [[line["model"] for line in read(journal.folder, name)] for name in FILES] == [["kept"], ["kept"]]
    assert journal.drops == 0


def remove(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_folder_that_cannot_come_back_is_counted_and_the_journal_resumes_by_itself(journal):
    remove(journal.folder)
    journal.folder.write_text("in the way")
    journal.write(Record())
    journal.write(Record())
    assert (journal.drops, journal.trouble != "") == (4, True)
    journal.folder.unlink()
    time.sleep(1.05)
    journal.write(Record(model="back"))
    assert [line["model"] for line in read(journal.folder)] == ["back"]
    assert (journal.drops, journal.trouble) == (4, "")


def test_a_line_left_unfinished_by_a_killed_process_does_not_swallow_the_next(tmp_path):
    (tmp_path / CLIENT_FILE).write_bytes(b'{"timestamp":"2024\n{"torn')
    Journal(tmp_path).write(Record(model="m"))
    assert (tmp_path / CLIENT_FILE).read_bytes().count(b"\n") == 3
    assert json.loads((tmp_path / CLIENT_FILE).read_bytes().splitlines()[-1])["model"] == "m"


@pytest.mark.timed
def test_a_process_that_was_stopped_while_writing_stops_nobody(journal):
    with open(journal.folder / CLIENT_FILE) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        began = time.monotonic()
        journal.write(Record(model="m"))
    assert 0.04 < time.monotonic() - began < 0.5
    assert [line["model"] for line in read(journal.folder)] == ["m"]


# --- other processes


def run(folder, script, **more):
    """Start a process that has ``journal`` and runs ``script``."""
    head = "import sys\nfrom proxy.journal import *\njournal = Journal(sys.argv[1])\n"
    command = [sys.executable, "-c", head + textwrap.dedent(script), str(folder)]
    return subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE, **more)


MANY = """
for number in range(300):
    journal.write(Record(model=sys.argv[1][-1] + str(number), client_input="x" * (number * 331 % 40_000)))
"""


def test_processes_that_append_at_once_tear_no_line(tmp_path):
    processes = [run(tmp_path, MANY) for _ in range(4)]
    assert [process.communicate(timeout=30)[0] for process in processes] == [b""] * 4
    assert [process.returncode for process in processes] == [0] * 4
    for name in FILES:
        assert len({line["logging_id"] for line in read(tmp_path, name)}) == 1_200
    joined = [{line["logging_id"] for line in read(tmp_path, name)} for name in FILES]
    assert joined[0] == joined[1]


FOREVER = """
record = Record(client_input="x" * 2_000)
print("ready", flush=True)
while True:
    record.logging_id = str(int(record.logging_id, 16) + 1) if record.logging_id.isdigit() else "1"
    journal.write(record)
"""


def test_a_killed_process_loses_at_most_the_line_it_was_writing(tmp_path):
    process, survivor = run(tmp_path, FOREVER), Journal(tmp_path)
    told_by(process)
    write_many(survivor, "survivor", 50)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    write_many(survivor, "survivor", 50)
    for name in FILES:
        lines = (tmp_path / name).read_bytes().splitlines()
        torn = [line for line in lines if not line.endswith(b"}")]
        assert len(torn) <= 1
        assert sum(json.loads(line)["model"] == "survivor" for line in lines if line not in torn) == 100


LIMITED = """
import resource
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
logger = configure_log(sys.argv[1], "info")
log("started")
limit(2_000)
for number in range(8):
    journal.write(Record(model=str(number)))
full = journal.drops
limit(resource.RLIM_INFINITY)
journal.write(Record(model="resumed"))
print(full, journal.drops, journal.trouble == "")
"""


def test_a_full_disk_costs_records_but_never_a_later_line(tmp_path):
    process = run(tmp_path, LIMITED)
    printed = process.communicate(timeout=20)[0].split()
    whole = read(tmp_path)
    assert whole[-1]["model"] == "resumed"
    assert printed == [str(2 * (8 - len(whole) + 1)).encode()] * 2 + [b"True"]


def test_a_full_disk_is_said_once_and_so_is_its_end(tmp_path):
    run(tmp_path, LIMITED).communicate(timeout=20)
    said = (tmp_path / "log.log").read_text().splitlines()
    assert sum("journal cannot write" in line and CLIENT_FILE in line for line in said) == 1
    assert sum("journal writes again" in line and CLIENT_FILE in line for line in said) == 1
    assert "File too large" in "".join(said)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_without_room_raises_nothing(tmp_path):
    (tmp_path / CLIENT_FILE).symlink_to("/dev/full")
    journal = Journal(tmp_path)
    journal.write(Record())
    assert (journal.drops, journal.trouble) == (1, os.strerror(28))
    assert len(read(tmp_path, PROVIDER_FILE)) == 1
