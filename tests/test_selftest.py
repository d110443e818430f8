"""The selftest: what it says of providers whose faults are known, what it costs, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from matrix_providers import PROVIDERS
from matrix_stories import TEXT
from proxy_process import bare_environment
from stories import whole

from config import Settings
from proxy.dialects import FAMILIES
from proxy.logs.asked import table
from proxy.selftest import HEADS, _fitting, _judged, _status
from proxy.selftest.asking import Asker, unlike
from proxy.selftest.checks import QUESTIONS, ROWS
from proxy.upstream.demo import DemoAdapter
from proxy.upstream.provider import Provider

NOT_JSON = whole(b'{"error":{"message":"no JSON","type":"t","param":null,"code":null}}', b"400 Bad Request")
ROOT = Path(__file__).resolve().parent.parent


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", "selftest", *words]
    environment = bare_environment(**environ)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def found_of(model: str):
    """The rows for a model of the demo provider, by name, and the exit status; fifty times as fast."""
    provider = Provider(Settings(url="demo:", timeout=10_000))
    provider._session.mount("demo:", DemoAdapter(50))
    asker = Asker(provider, FAMILIES["openai"].main, model, None)
    heard = {name: asker.ask(question) for name, question in QUESTIONS.items()}
    provider.close()
    results = _judged(heard)
    assert len(results) == len(ROWS)
    return {result["check"]: result for result in results}, _status(heard, results)


def test_a_sound_provider_is_told_sound():
    rows, status = found_of("demo")
    assert status == 0
    assert {row["state"] for row in rows.values()} == {"sound", "absent"}
    assert [name for name, row in rows.items() if row["state"] == "absent"] == ["wrong key"], "the demo wants no key"
    assert rows["two readers"]["told"].endswith("events")


@pytest.mark.parametrize(
    "model, check, state, repairs",
    [
        ("demo-messy", "stream", "mended", ["object", "index", "role", "id", "finish_reason"]),
        ("demo-messy", "whole answer", "mended", ["object", "index", "role", "finish_reason"]),
        ("demo-no-done", "end of the stream", "mended", ["done"]),
        ("demo-no-done", "whole answer", "sound", []),
        ("demo-cut", "stream", "unsound", []),
        ("demo-cut", "whole answer", "unsound", []),
        ("demo-error", "stream", "unsound", []),
        ("demo-stream-only", "whole answer", "mended", ["fallback (stream)"]),
        ("demo-stream-only", "stream", "sound", []),
        ("demo-no-stream", "stream", "mended", ["fallback (whole)"]),
        ("demo-no-options", "stream", "mended", ["fallback (drop_stream_options)"]),
        ("demo-no-options", "stream without stream_options", "sound", []),
        ("demo-json", "stream", "mended", ["mode"]),
        ("demo-sse", "whole answer", "mended", ["mode"]),
    ],
)
def test_what_is_wrong_with_a_provider_is_named(model, check, state, repairs):
    rows, status = _once(model)
    assert (rows[check]["state"], rows[check]["repairs"]) == (state, repairs)
    assert status == 1


_seen: dict = {}


def _once(model):
    if model not in _seen:
        _seen[model] = found_of(model)
    return _seen[model]


@pytest.mark.parametrize("model", ["demo-401", "demo-429"])
def test_a_provider_that_turns_everybody_away_cannot_be_tested(model):
    assert _once(model)[1] == 2


def test_the_command_prints_a_table_and_exits_with_what_it_found():
    done = run("--url", "demo:", "--model=demo-no-done")
    assert (done.returncode, done.stderr) == (1, "")
    assert "end of the stream" in done.stdout and "done" in done.stdout
    assert "0 unsound" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_providers_of_every_protocol_are_asked_in_their_own_words(name, provider):
    scripted = PROVIDERS[name]
    tells = scripted.tells(TEXT)
    provider.chooses(lambda heard: tells(heard) if heard.body.endswith(b"}") else [NOT_JSON])
    url = provider.origin + scripted.path
    done = run("--url", url, "--model", "m-1", "--json", FORWARD_API_KEY="sk-selftest-0123456789")
    told = json.loads(done.stdout)
    rows = {row["check"]: row for row in told["checks"]}
    assert (told["dialect"], told["model"], done.returncode) == (name, "m-1", 1)
    for check in ("whole answer", "stream", "end of the stream", "usage, whole", "the next ask after it"):
        assert rows[check]["state"] == "sound", (check, rows[check])
    assert rows["tools"]["state"] == "unsound", "it tells the same story whatever it is asked"
    assert rows["two choices (n)"]["state"] in ({"absent"} if name in ("anthropic", "ollama") else {"unsound"})
    assert f"{len(provider.heard)} times: about" in done.stderr
    assert "sk-selftest-0123456789" not in done.stdout + done.stderr
    keys = [heard.header("authorization") or heard.header("x-api-key") for heard in provider.heard]
    assert sum("wrong" in str(key) for key in keys) == 1
    assert len(provider.heard) <= len(QUESTIONS)


@pytest.mark.parametrize(
    "words, told",
    [
        (["--model", "m"], "give --url"),
        (["--url", "http://127.0.0.1:9/v1"], "give --model"),
        (["--url", "http://127.0.0.1:9/v1", "--model", "m", "--nonsense"], "nonsense"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(words, told):
    done = run(*words)
    assert done.returncode == 2
    assert told in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_provider_that_is_not_there_is_exit_status_2_after_two_asks():
    done = run("--url", "http://127.0.0.1:9/v1", "--model", "m", "--json")
    rows = json.loads(done.stdout)["checks"]
    assert done.returncode == 2
    assert len(rows) < len(ROWS) and "connection_refused" in rows[0]["told"]


def test_a_provider_that_repeats_the_key_does_not_make_it_known(provider):
    key, other = "sk-selftest-0123456789", "hidden-in-the-header-9"

    def tells(heard):
        said = f"No: {heard.header('authorization')}, {heard.header('x-auth-token')}".encode()
        return [whole(b'{"error":{"message":"%s","code":"invalid_api_key"}}' % said, b"401 Unauthorized")]

    for words in ([], ["--json"]):
        provider.chooses(tells)
        header = ["--header", f"X-Auth-Token: {other}"]
        done = run("--url", provider.url, "--model", "m", *header, *words, FORWARD_API_KEY=key)
        assert done.returncode == 2 and "invalid_api_key" in done.stdout and "[key:" in done.stdout
        assert key not in done.stdout + done.stderr and other not in done.stdout + done.stderr


def test_a_reader_that_has_had_enough_gets_no_traceback():
    command = [sys.executable, "-m", "proxy", "selftest", "--url", "demo:", "--model", "demo-no-done"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=bare_environment(), text=True, **streams) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals of this kind")
def test_whoever_says_no_to_what_it_costs_asks_nothing(provider):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "proxy", "selftest", "--url", provider.url, "--model", "m"]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, cwd=ROOT, env=bare_environment(), **streams) as process:
        os.close(theirs)
        said = b""
        while b"Go on?" not in said:
            said += os.read(ours, 1000)
        os.write(ours, b"n\n")
        with suppress(OSError):  # a terminal that nobody has open any more
            while True:
                said += os.read(ours, 1000)
        assert process.wait(60) == 130
    os.close(ours)
    assert b"times: about" in said and b"Traceback" not in said and not provider.heard


def test_the_table_fits_the_terminal():
    rows = [
        ["cut by max_tokens, streamed", "200", "mended", "word " * 40, "object, index"],
        ["x", "-", "sound", "", ""],
    ]
    assert _fitting([["x", "200", "sound", "short", ""]], 80) == (HEADS, [["x", "200", "sound", "short", ""]])
    heads, fitted = _fitting(rows, 80)
    text = table(heads, fitted, len(heads))
    assert max(map(len, text.splitlines())) <= 80
    assert (
        text.count("word") == 40
        and "mends object, index" in " ".join(text.split())
        and fitted[-1] == ["x", "-", "sound", ""]
    )
    assert max(map(len, table(*_fitting(rows, 20), 4).splitlines())) <= 80, "never narrower than it can be read"


def test_two_readers_that_disagree_are_noticed():
    from proxy.framing.sse import read_sse

    body = b'data: {"a":1}\n\ndata: {"b":2}\n\n'
    ours = [frame for batch in read_sse([body]) for frame in batch]
    assert unlike(body, ours) == ""
    assert "sseclient-py reads 2 events, the proxy 1" in unlike(body, ours[:1])
    assert "event 1 is" in unlike(body, ours[::-1])
