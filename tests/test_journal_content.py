"""What the journals keep: everything, outlines or nothing; media described, long lines marked, never broken JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.framing import Frame
from proxy.journal import CLIENT_FILE, PROVIDER_FILE, Body, Journal, Policy, Record
from proxy.journal.clock import clock, packed, unpacked
from proxy.journal.line import as_it_is
from proxy.journal.media import without_media

ROOT = Path(__file__).resolve().parent.parent
FULL = Policy()
KEY = "sk-canary/0123+456=789"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2
WAV = b"RIFF\x24\x08\x00\x00WAVEfmt " + bytes(range(255, -1, -1))
NOISE = hashlib.sha256(b"noise").digest() * 20


def b64(content):
    return base64.b64encode(content).decode()


def descriptor(kind, content):
    return {"type": kind, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def written(folder, policy=FULL, secrets=(), **fields):
    journal = Journal(folder, secrets, policy)
    journal.write(Record(**fields))
    journal.close()
    lines = [(folder / name).read_bytes() for name in (CLIENT_FILE, PROVIDER_FILE)]
    return [json.loads(line) for line in lines if line]


# --- media

MEDIA = {
    "a data URL": ({"url": f"data:image/png;base64,{b64(PNG)}"}, {"url": descriptor("image/png", PNG)}),
    "sound in an ask": (
        {"type": "input_audio", "input_audio": {"data": b64(NOISE), "format": "pcm16"}},
        {"type": "input_audio", "input_audio": {"data": descriptor("audio/pcm16", NOISE), "format": "pcm16"}},
    ),
    "a source with its media type": (
        {"source": {"type": "base64", "media_type": "image/webp", "data": b64(NOISE)}},
        {"source": {"type": "base64", "media_type": "image/webp", "data": descriptor("image/webp", NOISE)}},
    ),
    "a list of images": ({"images": [b64(PNG), b64(PNG)]}, {"images": [descriptor("image/png", PNG)] * 2}),
    "sound in an answer": (
        {"audio": {"id": "a", "data": b64(NOISE), "transcript": "Hi"}},
        {"audio": {"id": "a", "data": descriptor("audio/*", NOISE), "transcript": "Hi"}},
    ),
    "a generated image": ({"data": [{"b64_json": b64(PNG)}]}, {"data": [{"b64_json": descriptor("image/png", PNG)}]}),
    "sound by its first bytes": ({"audio": b64(WAV)}, {"audio": descriptor("audio/wav", WAV)}),
}


@pytest.mark.parametrize("given, want", MEDIA.values(), ids=list(MEDIA))
def test_media_are_described_on_both_sides(tmp_path, given, want):
    client, provider = written(tmp_path, client_input=given, provider_output=json.dumps(given).encode())
    assert (client["input"], provider["output"]) == (want, want)


TEXTS = [
    "x" * 5_000,
    b64(NOISE),  # a signature, encrypted reasoning, an embedding: nothing says that it is media
    b64(PNG) + " and words",
    "data:image/png;base64," + "not base64! " * 50,
    "data:image/png;base64,aGk=",
    "data:text/plain,just%20text" + "x" * 300,
    "/9j/" * 10,
    hashlib.sha512(b"x").hexdigest() * 5,
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("beside", [{}, {"signature": "x"}, {"format": "json"}, {"media_type": 1}], ids=str)
def test_other_text_stays_as_it_is(tmp_path, text, beside):
    value = {"said": [text], "text": text, **beside}
    client, _ = written(tmp_path, client_input=value)
    assert client["input"] == value


def test_media_whose_base64_is_cut_are_described_all_the_same():
    cut = b64(PNG)[:-3]
    assert without_media([cut])[0]["type"] == "image/png"
    assert without_media({"format": "wav", "data": b64(NOISE).rstrip("=") + "A"})["data"]["bytes"] >= len(NOISE)


# --- policy


def test_metadata_keeps_sizes_and_checksums_and_nothing_that_was_said(tmp_path):
    secret = "what nobody may read"
    said = {"messages": [{"role": "user", "content": secret}]}
    lines = written(
        tmp_path,
        Policy("metadata", frames=True),
        client_input=Body("application/json", json.dumps(said).encode()),
        provider_output={"text": secret},
        client_ask_headers=[("X-Note", secret)],
        frames=[Frame(b"", f"data: {secret}\n\n".encode())],
        error={"message": f"no {secret}", "type": "t", "param": None, "code": "c"},
        status=200,
        model="m",
    )
    spelled = json.dumps(said, separators=(",", ":")).encode()
    digest = hashlib.sha256(spelled).hexdigest()
    assert lines[0]["input"] == {"omitted": "log_content", "bytes": len(spelled), "sha256": digest}
    assert lines[1]["output"]["bytes"] > 0 and lines[1]["input"] is None
    assert [(line["headers"], line["status"], line["model"], line["error"]["code"]) for line in lines] == [
        (None, 200, "m", "c")
    ] * 2
    assert secret not in json.dumps(lines)


def test_off_writes_no_line_and_loses_none(tmp_path):
    journal = Journal(tmp_path, policy=Policy("off"))
    journal.write(Record(client_input="x"))
    journal.close()
    assert [(tmp_path / name).read_bytes() for name in (CLIENT_FILE, PROVIDER_FILE)] == [b"", b""]
    assert journal.drops == 0


def test_raw_frames_are_kept_where_they_are_wanted_only(tmp_path):
    frames = [Frame(b"1", b"data: 1\n\n"), Frame(b"", b": note\n\n")]
    client, provider = written(tmp_path / "on", Policy(frames=True), frames=frames)
    assert provider["frames"] == ["data: 1\n\n", ": note\n\n"]
    assert "frames" not in client
    assert "frames" not in written(tmp_path / "off", frames=frames)[1]


# --- length


@pytest.mark.parametrize("where", ["client_input", "provider_output", "model", "error", "frames", "headers", "path"])
def test_a_line_is_never_longer_than_it_may_be_and_always_sound(tmp_path, where):
    long = f'{KEY} "quotes" \\ ä😀 ' * 3_000
    told = {
        "client_input": {"client_input": {"a": long}, "provider_input": "short"},
        "provider_output": {"provider_output": json.dumps({"a": long}).encode(), "client_output": "short"},
        "model": {"model": long},
        "error": {"error": {"message": long, "type": "t", "param": None, "code": "c"}},
        "frames": {"frames": [Frame(b"", long.encode())]},
        "headers": {"client_ask_headers": [("X-Long", long)], "provider_answer_headers": [("X-Long", long)]},
        "path": {"path": "/" + "p" * 20_000},
    }[where]
    written(tmp_path, Policy(max_bytes=4_096, frames=True), secrets=[KEY], status=200, **told)
    lines = [(tmp_path / name).read_bytes() for name in (CLIENT_FILE, PROVIDER_FILE)]
    assert max(map(len, lines)) <= 4_096
    shown = [json.loads(line) for line in lines]
    marked = [value for line in shown for value in line.values() if isinstance(value, dict) and "omitted" in value]
    assert marked and all(one["omitted"] == "log_max_bytes" and one["bytes"] > 4_096 for one in marked)
    assert all(len(one["head"]) > 100 and len(one["sha256"]) == 64 for one in marked)
    assert "canary" not in str(shown)
    assert [(line["status"], line["logging_id"]) for line in shown] == [(200, shown[0]["logging_id"])] * 2


def test_what_is_short_stays_whole_beside_what_is_too_long(tmp_path):
    client, provider = written(tmp_path, Policy(max_bytes=4_096), client_input="short", client_output="x" * 9_000)
    assert (client["input"], client["output"]["omitted"]) == ("short", "log_max_bytes")
    assert client["output"]["head"] == '"' + "x" * 499


# --- large bodies take a shorter way, and say the same


BULKY = {
    "text": {"a": "word " * 200_000},
    "numbers": {"a": [[0.25, -1e-7] * 50] * 2_000},
    "other scripts": {"a": "日本語 😀" * 80_000},
    "media": {"a": [{"b64_json": b64(PNG * 2_000)}]},
    "a key": {"a": "word " * 200_000 + KEY},
    "a key in escapes": {"a": "word " * 200_000, "b": KEY},
    "escapes": {"a": "caf\xe9 \u2014 \u65e5\u672c \U0001f600 a/b\n" * 30_000},
    "a key among escapes": {"a": "\u2014 " * 80_000 + KEY},
    "a short key among escapes": {"a": "\u2014 " * 80_000 + "not \u2014abc/12\u2014"},
    "half a surrogate pair": {"a": "x" * 600_000 + "\ud83d"},
    "depth": {"a": "x" * 600_000, "b": json.loads("[" * 300 + "]" * 300)},
    "not UTF-8": None,
}


@pytest.mark.parametrize("name", BULKY)
def test_a_large_body_is_journaled_as_a_small_one_would_be(tmp_path, name, monkeypatch):
    value = BULKY[name]
    body = json.dumps(value, indent=1, ensure_ascii="escape" in name or "half" in name).replace("/", "\\/").encode()
    if name == "a key in escapes":
        body = body.replace(b"sk-canary", b"\\u0073k-canary")
    if value is None:
        body = b'{"a": "' + b"\xff" * 600_000 + b'"}'
    assert len(body) > 1 << 19
    fast = written(tmp_path / "fast", secrets=[KEY, "abc/12"], client_output=body, timestamp="t", logging_id="i")
    monkeypatch.setattr("proxy.journal.making.BULK", 1 << 40)
    slow = written(tmp_path / "slow", secrets=[KEY, "abc/12"], client_output=body, timestamp="t", logging_id="i")
    assert fast == slow
    assert "canary" not in json.dumps(fast) and "abc/12" not in json.dumps(fast)


def test_a_large_body_with_escapes_is_not_understood_for_the_journal(tmp_path, monkeypatch):
    body = json.dumps({"a": [{"token": "\u2014", "bytes": [226, 128, 148]}] * 30_000}).encode()
    monkeypatch.setattr("proxy.journal.making.body_for_journal", None)
    monkeypatch.setattr("proxy.journal.making.body_for_journal", None)
    assert written(tmp_path, secrets=["sk-canary-0123456789"], client_output=body)[0]["output"] == json.loads(body)


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"a": "\\ude00\\ud83d"}', '{"a": "\\u0073k"}', '["\\u002d"]'])
def test_escapes_that_may_hide_something_are_looked_into(text):
    assert as_it_is(text.encode(), escapes=True) is None


@pytest.mark.parametrize("text", ['["\\u00e9\\u2014\\ud83d\\ude00"]', '["\\u003c\\u0026\\u000a\\/\\n"]', "[1]"])
def test_escapes_that_spell_no_key_stay(text):
    assert as_it_is(text.encode(), escapes=True) == text.encode()


def test_brackets_are_counted_across_pieces(monkeypatch):
    monkeypatch.setattr("proxy.journal.line.PIECE", 7)
    flat = json.dumps([["[" * 9, {"]": '"[' * 5}]] * 60).encode()
    assert as_it_is(flat) == flat
    deep = json.dumps([["x", json.loads("[" * 250 + "]" * 250)]] * 3).encode()
    assert as_it_is(deep) is None


# --- headers and clock


def test_headers_are_shown_in_order_and_credentials_only_by_name(tmp_path):
    asked = [("Host", "h"), ("Authorization", f"Bearer {KEY}"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "sid=abc")]
    came = [("Set-Cookie", "sid=abc"), ("Location", "https://u:p@h/?key=hidden&a=1"), ("X-Echo", f"it was {KEY}")]
    client, provider = written(
        tmp_path, secrets=[KEY], client_ask_headers=asked, provider_ask_headers=asked, provider_answer_headers=came
    )
    hidden = "[redacted]"
    shown = [["Host", "h"], ["Authorization", hidden], ["X-A", "1"], ["x-a", "2"], ["Cookie", hidden]]
    assert client["headers"] == {"ask": shown, "answer": None}
    assert provider["headers"]["ask"] == shown
    names = dict(provider["headers"]["answer"])
    assert (names["Set-Cookie"], names["Location"]) == (hidden, f"https://{hidden}@h/?key={hidden}&a=1")
    assert KEY not in names["X-Echo"] and names["X-Echo"].startswith("it was [key:")


def test_a_clock_is_compact_and_drifts_nowhere():
    moments = [10.0 + n * 0.0104 for n in range(500)]
    told = clock(9.5, moments, [1] * 499 + [3])
    assert told["start"] == 500
    assert told["start"] + sum(unpacked(told["gaps"])) == round((moments[-1] - 9.5) * 1000)
    assert told["frames"] == [[1, 499], 3]
    assert unpacked(packed([1, 1, 1, 1, 2, 2, 0])) == [1, 1, 1, 1, 2, 2, 0]


TICKING = """
from gevent import monkey
monkey.patch_all()
import json, sys, gevent
from pathlib import Path
from proxy.journal import Journal, Policy, Record, appender
from proxy.journal.rotation import Rotation
appender.SETTLE = 0.0
folder, ticks = Path(sys.argv[1]), [0]
def tick():
    while True:
        ticks[0] += 1
        gevent.sleep(0)
gevent.spawn(tick)
gevent.sleep(0)
"""
MAKING = """
body = json.dumps({"a": ["some words " * 100] * 20_000}).encode()
journal = Journal(folder)
began = ticks[0]
journal.write(Record(client_output=body))
print(ticks[0] - began)
"""
WAITING = """
import os
os.mkfifo(folder / "client_interaction.jsonl")  # a disk that takes nothing for a while
journal = Journal(folder)
began = ticks[0]
writing = gevent.spawn(journal.write, Record(client_output="x" * 600_000))
while ticks[0] < began + 50:
    gevent.sleep(0.001)
print(0 if writing.dead else ticks[0] - began)
with open(folder / "client_interaction.jsonl", "rb") as file:
    while not file.read1(1 << 16).endswith(b"\\n"):
        gevent.sleep(0)
writing.join(20)
assert writing.dead and not journal.drops
"""
COMPRESSING = """
(folder / "client_interaction.jsonl").write_bytes(b'{"a": "some words"}\\n' * 1_000_000)
journal = Journal(folder, policy=Policy(rotation=Rotation(bytes=1_000_000)))
journal.write(Record())
began, seen = ticks[0], [0]
while not list(folder.glob("client_interaction.jsonl.*.gz")):
    if list(folder.glob(".client_interaction.jsonl.*.part")):
        seen.append(ticks[0])
    gevent.sleep(0)
print(len(seen) - 1)
"""


@pytest.mark.parametrize(
    "script", [MAKING, WAITING, COMPRESSING], ids=["a big record is made", "the disk waits", "a file is compressed"]
)
def test_others_go_on_while(tmp_path, script):
    command = [sys.executable, "-c", TICKING + script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
