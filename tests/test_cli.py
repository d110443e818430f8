"""The command line as its user meets it: real processes, what they print, and how they end."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from proxy_process import killed, told_by

import config
from config.command import HEADINGS

ROOT = Path(__file__).resolve().parent.parent
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("FORWARD_")}


def run(*words, **environ):
    command = [sys.executable, "-m", "proxy", *words]
    return subprocess.run(command, cwd=ROOT, env={**CLEAN, **environ}, capture_output=True, text=True, timeout=90)


def test_version_is_one_line():
    told = run("--version")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("openai-forward ")
    assert told.stdout.count("\n") == 1


def test_help_names_every_flag_and_its_default():
    told = run("--help")
    assert told.returncode == 0
    words = " ".join(told.stdout.split())
    for setting in config.SETTINGS.values():
        assert setting.flag in words
        assert f"[default: {config.showing.default_of(setting)}]" in words
    assert "--NON_STREAM_SERVER_MODE" in words


def test_each_flag_stands_below_one_heading_and_each_command_has_a_help():
    told = run("--help").stdout
    heads = [line[:-1] for line in told.splitlines() if line[:1].isalpha() and line.endswith(":")]
    assert heads[1:] == list(HEADINGS.values())
    assert [name for name in HEADINGS if name not in config.SETTINGS] == ["version"]
    for name in config.COMMANDS:
        told = run(name, "--help")
        assert (told.returncode, told.stderr) == (0, "") and told.stdout.startswith(f"Usage: python -m proxy {name} ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Error: give --url, for example https://"),
        (["--url", "demo:", "--timeout", "soon"], "Error: timeout must be a whole number of ms, 1 or more, not 'soon'"),
        (["--url", "demo:", "--expose_host", "host.invalid"], "Error: cannot listen at host.invalid:58080: "),
        (["--url", "demo:", "--output_path", os.devnull], "Error: output_path"),
        (["config", "--timeout", "soon"], "Error: timeout must be"),
        (["serve"], "Error: serve is no command; there are config, key, logs, selftest\n"),
        (["--url", "demo:", "serve"], "Error: Got unexpected extra argument (serve)"),
    ],
)
def test_a_wrong_start_is_one_line_and_status_2(words, told, tmp_path):
    ended = run(*words, FORWARD_OUTPUT_PATH=str(tmp_path))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(told)
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line_and_status_2(tmp_path):
    with proxy(tmp_path) as first:
        port = listening(first).rpartition(":")[2]
        ended = run("--url=demo:", "--expose_host=127.0.0.1", f"--expose_port={port}", f"--output_path={tmp_path}")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Error: cannot listen at 127.0.0.1:{port}: ")
    assert ended.stderr.count("\n") == 1


def test_config_prints_each_setting_its_value_and_its_origin_masked():
    told = run("config", "--workers", "2", "--header", "X-Key: canary", FORWARD_API_KEY="canary", FORWARD_TIMEOUT="5")
    rows = {line.split()[0]: line.split()[1:] for line in told.stdout.splitlines()}
    assert list(rows) == list(config.SETTINGS)
    assert rows["workers"] == ["2", "flag"]
    assert rows["timeout"] == ["5", "environment"]
    assert rows["api_key"] == ["***", "environment"]
    assert rows["url"] == ["none", "default"]
    assert "canary" not in told.stdout


def test_config_prints_json():
    told = json.loads(run("config", "--json", "--compatible", "--cors", "https://a").stdout)
    rows = {row["name"]: row for row in told}
    assert rows["compatible"] == {"name": "compatible", "value": True, "origin": "flag"}
    assert rows["cors"]["value"] == ["https://a"]


def test_config_prints_the_readme_s_table():
    assert run("config", "--markdown").stdout.strip() == config.table()


def test_somebody_else_s_config_is_refused_in_one_line(tmp_path):
    (tmp_path / "config.py").write_text("def load(): pass\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import config; from proxy.cli import main; main([])"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=CLEAN, capture_output=True, text=True, timeout=90)
    assert told.returncode == 2
    assert "another package named config is in the way" in told.stderr
    assert "Traceback" not in told.stderr


class proxy:  # noqa: N801 - reads as a statement
    """A proxy on the embedded provider, ended with SIGKILL if the test did not end it."""

    def __init__(self, folder, *words, start=("-m", "proxy"), **environ):
        place = ["--url=demo:", "--expose_host=127.0.0.1", "--expose_port=0", f"--output_path={folder}"]
        self.command = [sys.executable, *start, *place, *words]
        self.environ = {**CLEAN, **environ}

    def __enter__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=self.environ, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        return self.process

    def __exit__(self, *exc):
        killed(self.process)


def listening(process):
    """The address of the line that says where a proxy listens."""
    line = told_by(process)
    assert line.startswith("listening on http://"), line + process.stderr.read()
    return line.split()[2]


def test_the_start_says_where_it_listens_and_sends_and_how_to_ask(tmp_path):
    with proxy(tmp_path, "--mode", "stream") as process:
        address = listening(process)
        told = [told_by(process) for _ in range(5)]
        assert told[0].split(maxsplit=2)[2] == "demo:\n"
        assert told[1] == "mode         stream\n"
        assert told[2].endswith(f"{tmp_path}\n")
        assert told[3] == f"traffic page {address}/_forward/\n"
        assert f"curl {address}/v1/chat/completions -d" in told[4]


@pytest.mark.skipif(not os.path.exists("/proc/self/cmdline"), reason="the system shows no command lines in /proc")
@pytest.mark.parametrize("start", [("-m", "proxy"), ("app.py",), ("-W", "ignore", "app.py")], ids=" ".join)
def test_secrets_leave_the_command_line(tmp_path, start):
    words = ["--api-key", "canary1", "--header", "X-A: canary2", "--header", "X-B: canary3", "--client_keys=canary4"]
    with proxy(tmp_path, *words, start=start) as process:
        listening(process)
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
        kept = Path(f"/proc/{process.pid}/environ").read_bytes().decode().split("\0")
    assert not [word for word in seen if "canary" in word]
    assert "".join(start) in "".join(seen)  # before Python 3.10 environment variables show as flags too
    assert f"--output_path={tmp_path}" in seen
    assert {"FORWARD_API_KEY=canary1", "FORWARD_HEADER=X-A: canary2\nX-B: canary3"} <= set(kept)


def hashed(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def test_a_key_comes_on_standard_input_and_its_hash_goes_into_the_file():
    command = [sys.executable, "-m", "proxy", "key"]
    for typed in ("team-key\n", " team-key "):
        ended = subprocess.run(command, cwd=ROOT, env=CLEAN, input=typed, capture_output=True, text=True, timeout=90)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, hashed("team-key") + "\n", "")
    for wrong in ("", "\n", "k\xe9y\n"):
        ended = subprocess.run(command, cwd=ROOT, env=CLEAN, input=wrong, capture_output=True, text=True, timeout=90)
        assert (ended.returncode, ended.stdout) == (2, "") and "that is not a key of printable ASCII" in ended.stderr


def test_a_new_key_is_random_and_comes_with_its_hash():
    made = [run("key", "--new").stdout.split() for _ in range(2)]
    assert made[0] != made[1]
    for key, stands_for_it in made:
        assert len(key) > 40 and stands_for_it == hashed(key)


def test_a_key_on_the_command_line_is_not_taken_and_not_repeated():
    ended = run("key", "sk-canary")
    assert ended.returncode == 2 and "standard input" in ended.stderr and "canary" not in ended.stderr


@pytest.mark.timed
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_an_idle_proxy_stops_at_once_with_status_0_and_no_words(tmp_path, sign):
    with proxy(tmp_path, start=("app.py",)) as process:
        listening(process)
        began = time.monotonic()
        os.killpg(process.pid, sign)
        _, complaints = process.communicate(timeout=10)
        assert (process.returncode, complaints) == (0, "")
        assert time.monotonic() - began < 9


SLOW_TO_HEAR = """
import time
from proxy.__main__ import main
import proxy.master

def slow(worker, given=proxy.master.newborn):
    time.sleep(2)
    given(worker)

proxy.master.newborn = slow
main()
"""


def test_a_worker_that_was_told_to_stop_before_it_could_hear_stops_all_the_same(tmp_path):
    with proxy(tmp_path, start=("-c", SLOW_TO_HEAR)) as process:
        listening(process)
        os.killpg(process.pid, signal.SIGTERM)
        _, complaints = process.communicate(timeout=60)
        assert (process.returncode, complaints) == (0, "")


def test_too_few_open_files_are_one_warning(tmp_path):
    code = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512)); sys.argv[0] = 'app.py'"
    with proxy(tmp_path, start=("-c", code + "; from proxy.__main__ import main; main()")) as process:
        listening(process)
        process.terminate()
        _, complaints = process.communicate(timeout=60)
    assert complaints.startswith("Warning: 1000 exchanges need 2328 open files and only 512 are allowed")
    assert complaints.count("\n") == 1
