"""The journals from the terminal, as a person uses it: real commands on what a real proxy wrote for real SDKs."""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import re
import shlex
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import List, NamedTuple
from unittest import mock

import pytest
from conftest import KEY
from journals import CLIENT, PROVIDER, lid, line, write
from proxy_process import bare_environment

import config
from proxy.archive import Filter
from proxy.cli import main
from proxy.logs.tail import Follower, fitting

ROOT = Path(__file__).resolve().parent.parent
PROXY = [sys.executable, "-m", "proxy", "logs"]
ESCAPE = "\x1b["
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Told(NamedTuple):
    """What a command printed."""

    stdout: str
    stderr: str


def logs(folder, *words, status=0, **environ):
    """A command as ``main`` runs it, here and now; what it printed. It must end as expected."""
    given = {**environ, **({"FORWARD_OUTPUT_PATH": str(folder)} if folder else {})}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FORWARD_")}
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with mock.patch.dict(os.environ, {**clean, **given}, clear=True), redirect_stdout(out), redirect_stderr(err):
        with pytest.raises(SystemExit) as ended:
            main(["logs", *words])
        out.flush()
    assert ended.value.code == status, err.getvalue()
    return Told(out.buffer.getvalue().decode(), err.getvalue())


def really(folder, *words, status=0):
    """The same in a process of its own."""
    environ = bare_environment(FORWARD_OUTPUT_PATH=str(folder))
    told = subprocess.run([*PROXY, *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert told.returncode == status, told.stderr
    return Told(told.stdout, told.stderr)


def values(told):
    """What was printed as JSON, a value a line."""
    return [json.loads(one) for one in told.stdout.splitlines()]


@pytest.fixture()
def journal(proxy, sdk):
    """The folder of a proxy on the demo provider, after what clients do: wholes, streams, tools, errors, others."""
    openai = pytest.importorskip("openai")
    running = proxy(url="demo:", cors="https://logs.example")
    if not running.lines("client"):
        chat = sdk(running).chat.completions
        asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Oslo? 天气"}]
        chat.create(model="demo", messages=asked)
        list(chat.create(model="demo", messages=asked, stream=True))
        called = chat.create(model="demo", messages=asked[1:], tools=[WEATHER]).choices[0].message
        result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "8 degrees"}
        talk = [*asked[1:], called.model_dump(exclude_none=True), result]
        chat.create(model="demo", messages=talk, tools=[WEATHER])
        for model in ("demo-cut", "demo-429"):
            with pytest.raises(openai.APIError):
                chat.create(model=model, messages=asked)
        sdk(running).models.list()
        other_protocol(running)
        running.until(lambda: len(running.lines("client")) == 8, 5, "not 8 exchanges")
    return running.folder


def other_protocol(running):
    """One ask of a client that speaks something else."""
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=running.origin, api_key="sk-canary-x", max_retries=0) as client:
        tools = [{"name": "weather", "input_schema": WEATHER["function"]["parameters"]}]
        client.messages.create(
            model="demo",
            max_tokens=99,
            system="Be kind.",
            messages=[{"role": "user", "content": "Weather in Rome?"}],
            tools=tools,
        )


def test_tail_shows_a_line_an_exchange_the_newest_last(journal):
    lines = really(journal, "tail", "--no-follow").stdout.splitlines()
    assert len(lines) == 8
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  200  complete        POST /v1/chat/completions  demo  json  .* ms .*"
        r"\d+\+\d+ tokens  [0-9a-f]{8}",
        lines[0],
    )
    assert "502  truncated       POST /v1/chat/completions  demo-cut" in lines[4]
    assert "POST /v1/messages" in lines[-1]
    assert logs(journal, "tail", "--no-follow", "-n", "2").stdout.splitlines() == lines[-2:]
    wanted = logs(journal, "tail", "--no-follow", "--outcome", "!complete", "--status=5xx").stdout.splitlines()
    assert wanted == [lines[4]]


def test_tail_prints_json_with_the_fields_of_a_row(journal):
    rows = values(logs(journal, "tail", "--no-follow", "--json", "--text", "oslo", "--model=demo"))
    assert [row["return_mode"] for row in rows] == ["non_stream", "stream", "non_stream", "non_stream"]
    assert all(row["outcome"] == "complete" and row["duration_ms"] > 0 for row in rows)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_colours_are_for_terminals_and_no_color_turns_them_off(journal):
    assert ESCAPE in on_a_terminal(journal)
    assert ESCAPE not in on_a_terminal(journal, NO_COLOR="1")
    assert ESCAPE not in logs(journal, "tail", "--no-follow").stdout


def on_a_terminal(folder, **environ):
    """What ``tail`` prints onto a terminal."""
    import pty

    ours, theirs = pty.openpty()
    environ = bare_environment(FORWARD_OUTPUT_PATH=str(folder), TERM="xterm", **environ)
    told = b""
    with subprocess.Popen([*PROXY, "tail", "--no-follow"], cwd=ROOT, env=environ, stdout=theirs) as running:
        os.close(theirs)
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                piece = b""
            if not piece:
                break
            told += piece
        running.wait(30)
    os.close(ours)
    assert b"complete" in told
    return told.decode()


def test_tail_follows_over_rotation(tmp_path):
    write(tmp_path, range(3))
    command = [*PROXY, "tail", "-n", "1", "--json", "--model", "m", "--output_path", str(tmp_path)]
    running = subprocess.Popen(
        command, cwd=ROOT, env=bare_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    told: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=lambda: [told.put(one) for one in running.stdout], daemon=True)
    reader.start()
    try:
        assert json.loads(told.get(timeout=30))["logging_id"] == lid(2)
        write(tmp_path, [3])
        write(tmp_path, [4], model="other")
        for name in (CLIENT, PROVIDER):
            (tmp_path / name).rename(tmp_path / f"{name}.1")
        write(tmp_path, [5])
        assert [json.loads(told.get(timeout=30))["logging_id"] for _ in range(2)] == [lid(3), lid(5)]
    finally:
        running.send_signal(2)  # Ctrl-C
        code = running.wait(30)
        reader.join(30)
        complaints = running.stderr.read()
        running.stdout.close()
        running.stderr.close()
    assert (code, complaints.strip()) == (130, "")


def test_a_follower_misses_no_line_and_gives_none_twice(tmp_path):
    path = tmp_path / CLIENT
    with Follower(tmp_path) as follower:  # before there is a journal
        assert follower.lines() == []
        write(tmp_path, [0])
        assert follower.lines() == [line(0)[:-1]]
        with path.open("ab") as file:
            file.write(line(1)[:50])
        assert follower.lines() == []
        with path.open("ab") as file:
            file.write(line(1)[50:] + line(2))
        assert follower.lines() == [line(1)[:-1], line(2)[:-1]]
        with path.open("ab") as file:
            path.rename(tmp_path / f"{CLIENT}.1")
            file.write(line(3))  # by a writer that has not noticed yet
        write(tmp_path, [4])
        assert follower.lines() == [line(3)[:-1], line(4)[:-1]]
        os.truncate(str(path), 0)
        assert follower.lines() == []
        write(tmp_path, [5])
        assert follower.lines() == [line(5)[:-1]]
        path.unlink()
        assert follower.lines() == []
        write(tmp_path, [6])
        assert follower.lines() == [line(6)[:-1]]
        for number in (7, 8, 9):  # put aside more than once between two looks
            write(tmp_path, [number])
            path.rename(tmp_path / f"{CLIENT}.20260215T12000{number}")
        write(tmp_path, [10])
        assert follower.lines() == [line(number)[:-1] for number in (7, 8, 9, 10)]


def test_tail_begins_with_rotated_files_where_today_s_has_too_few(tmp_path):
    import gzip

    (tmp_path / f"{CLIENT}.2.gz").write_bytes(gzip.compress(line(0) + line(1)))
    os.utime(tmp_path / f"{CLIENT}.2.gz", (1, 1))
    (tmp_path / CLIENT).write_bytes(b"".join(line(number, told="x" * 5000) for number in range(2, 150)))
    rows = values(logs(tmp_path, "tail", "--no-follow", "--json", "-n", "149"))
    assert [row["logging_id"] for row in rows] == [lid(number) for number in range(1, 150)]


def test_show_tells_all_four_sides_and_takes_the_beginning_of_an_id(journal):
    row = values(logs(journal, "tail", "--no-follow", "--json", "--text", "degrees"))[-1]
    told = really(journal, "show", row["logging_id"][:13]).stdout
    for words in ("what the client asked", "what was sent on", "what came back", "what the client got"):
        assert words in told
    for words in (row["logging_id"], "outcome: complete", "tool\n  8 degrees", '"name": "weather"', "天气", "(stop)"):
        assert words in told
    both = json.loads(logs(journal, "show", row["logging_id"].upper(), "--json").stdout)
    assert both["client"]["logging_id"] == both["provider"]["logging_id"] == row["logging_id"]
    assert both["client"]["input"]["messages"][-1]["content"] == "8 degrees"


def test_show_says_what_is_wrong_with_an_id(tmp_path):
    for number, name in enumerate(("aa-1", "aa-2", "b")):
        write(tmp_path, [number], logging_id=name)
    assert logs(tmp_path, "show", "c", status=1).stderr == "Error: no exchange begins with 'c'\n"
    assert logs(tmp_path, "show", "a", status=1).stderr == "Error: 'a' is the beginning of aa-1, aa-2\n"
    assert "exchange: b\n" in logs(tmp_path, "show", "b").stdout


def test_nothing_recorded_can_command_a_terminal(tmp_path):
    bad = "\x1b]0;owned\x07\x9b31m\u202e\r"
    write(tmp_path, [0], model=bad, path="/" + bad, said=bad, told=bad, error={"message": bad, "code": bad})
    for words in (
        ["tail", "--no-follow"],
        ["tail", "--no-follow", "--json"],
        ["show", lid(0)],
        ["show", lid(0), "--json"],
    ):
        told = logs(tmp_path, *words).stdout
        assert "owned" in told
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", told), words
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", logs(tmp_path, "stats").stdout)


def test_no_name_can_forge_a_line(tmp_path):
    forged = "m\n2026-02-15 12:00:00.000  200  complete"
    fields = {"model": forged, "error": {"code": forged}, "send_mode": forged, "client_dialect": forged}
    write(tmp_path, [0], **fields, provider_dialect=forged)
    assert len(logs(tmp_path, "tail", "--no-follow").stdout.splitlines()) == 1
    assert len(logs(tmp_path, "stats").stdout.splitlines()) == 3
    assert len(re.findall("^2026", logs(tmp_path, "show", lid(0)).stdout, re.M)) == 0


def test_a_line_of_odd_kinds_is_shown_all_the_same(tmp_path):
    odd = {
        "model": {"a": 1},
        "outcome": [1],
        "duration_ms": "a",
        "ttft_ms": [],
        "attempts": 3,
        "repairs": 1,
        "usage": 0,
    }
    write(tmp_path, [0], **odd, error="e", path=7, send_mode={}, return_mode=[2], client_dialect=5)
    assert "model: {'a': 1}" in logs(tmp_path, "show", lid(0)).stdout
    for words in (["tail", "--no-follow"], ["stats"], ["export", "--format", "har"], ["export", "--format", "csv"]):
        logs(tmp_path, *words)


def test_an_export_replaces_files_only(tmp_path):
    write(tmp_path, [0])
    told, pipe = tmp_path / "told", tmp_path / "pipe"
    told.symlink_to(tmp_path / "real")
    logs(tmp_path, "export", "--format", "csv", "-o", str(told))
    assert told.is_symlink() and (tmp_path / "real").read_text().startswith("logging_id")
    os.mkfifo(str(pipe))
    reader = threading.Thread(target=pipe.read_text, daemon=True)
    reader.start()
    logs(tmp_path, "export", "--format", "csv", "-o", str(pipe))
    reader.join(30)
    assert pipe.is_fifo() and not reader.is_alive()


def test_without_a_standard_output_there_is_one_clear_line(tmp_path):
    write(tmp_path, [0])
    words = f"exec {shlex.join(PROXY)} stats --output_path {shlex.quote(str(tmp_path))} >&-"
    told = subprocess.run(
        ["sh", "-c", words], cwd=ROOT, env=bare_environment(), capture_output=True, text=True, timeout=60
    )
    assert (told.returncode, told.stderr) == (1, "Error: standard output is closed\n")


def test_stats_is_a_table_with_percentiles(journal):
    heads, rule, *rows = really(journal, "stats", "--path", "/v1/chat/*").stdout.splitlines()
    assert heads.split()[:3] == ["model", "outcome", "n"]
    assert set(rule) == {"-", " "}
    assert [row.split()[:4] for row in rows][0] == ["demo", "complete", "4", "0"]
    assert sorted(row.split()[0] for row in rows[1:]) == ["demo-429", "demo-cut"]
    groups = values(logs(journal, "stats", "--by", "outcome", "--json"))
    assert {group["outcome"]: group["n"] for group in groups} == {"complete": 6, "truncated": 1, "upstream_error": 1}
    assert logs(journal, "stats", "--model", "nobody").stdout == "No exchange fits.\n"


def test_export_for_fine_tuning_is_what_openai_documents(journal, tmp_path):
    pydantic = pytest.importorskip("pydantic")
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

    told = really(journal, "export", "--format", "finetuning", "--output", str(tmp_path / "examples.jsonl"))
    assert told.stdout == ""
    left = "1 not complete but truncated, 1 not complete but upstream_error, 1 no chat"
    assert told.stderr == f"5 of 8 exchanges exported; left out: {left}\n"
    examples = [json.loads(one) for one in (tmp_path / "examples.jsonl").read_text("utf-8").splitlines()]
    assert len(examples) == 5
    messages = pydantic.TypeAdapter(List[ChatCompletionMessageParam])
    tools = pydantic.TypeAdapter(List[ChatCompletionToolParam])
    for example in examples:
        assert set(example) <= {"messages", "tools", "parallel_tool_calls"}
        messages.validate_python(example["messages"])
        tools.validate_python(example.get("tools", []))
        assert example["messages"][-1]["role"] == "assistant"
        assert example["messages"][-1].get("content") or example["messages"][-1].get("tool_calls")
        calls = {call["id"] for one in example["messages"] for call in one.get("tool_calls", [])}
        assert {one["tool_call_id"] for one in example["messages"] if one["role"] == "tool"} <= calls
    assert [one["role"] for one in examples[3]["messages"]] == ["user", "assistant", "tool", "assistant"]
    translated = examples[4]
    assert translated["messages"][0] == {"role": "system", "content": "Be kind."}
    assert translated["tools"][0]["function"]["name"] == "weather"
    assert json.loads(translated["messages"][-1]["tool_calls"][0]["function"]["arguments"])["city"]


def test_export_as_sharegpt_keeps_tools(journal):
    talks = values(logs(journal, "export", "--format", "sharegpt"))
    assert talks[0]["system"] == "Be brief."
    assert [turn["from"] for turn in talks[0]["conversations"]] == ["human", "gpt"]
    assert [turn["from"] for turn in talks[3]["conversations"]] == ["human", "function_call", "observation", "gpt"]
    assert json.loads(talks[3]["conversations"][1]["value"])["name"] == "weather"
    assert json.loads(talks[3]["tools"])[0]["name"] == "weather"


def test_export_as_csv_is_a_row_an_exchange_and_no_formula(journal, tmp_path):
    rows = list(csv.DictReader(logs(journal, "export", "--format", "csv").stdout.splitlines()))
    assert [row["model"] for row in rows][:5] == ["demo", "demo", "demo", "demo", "demo-cut"]
    assert {"logging_id", "timestamp", "status", "outcome", "tokens_out", "ttft_ms"} <= set(rows[0])
    write(tmp_path, [0], model='=HYPERLINK("http://x")')
    [row] = csv.DictReader(logs(tmp_path, "export", "--format", "csv").stdout.splitlines())
    assert row["model"] == '\'=HYPERLINK("http://x")'


# What HAR 1.2 demands of each object (softwareishard.com/blog/har-12-spec)
HAR = {
    "log": "version creator entries",
    "creator": "name version",
    "entry": "startedDateTime time request response cache timings",
    "request": "method url httpVersion cookies headers queryString headersSize bodySize",
    "response": "status statusText httpVersion cookies headers content redirectURL headersSize bodySize",
    "content": "size mimeType",
    "timings": "send wait receive",
    "postData": "mimeType params text",
    "pair": "name value",
}
KINDS = {
    **dict.fromkeys(["entries", "cookies", "headers", "queryString", "params"], list),
    **dict.fromkeys(["creator", "request", "response", "cache", "timings", "content"], dict),
    **dict.fromkeys(["headersSize", "bodySize", "size", "status"], int),
    **dict.fromkeys(["time", "send", "wait", "receive"], (int, float)),
}


def conforms(kind, value):
    for name in HAR[kind].split():
        assert isinstance(value[name], KINDS.get(name, str)), (kind, name, value.get(name))


def test_export_as_har_has_what_the_format_demands(journal, tmp_path):
    headers = {"ask": [["Host", "h:1"], ["Authorization", "[redacted]"]], "answer": [["Content-Type", "text/x"]]}
    write(tmp_path, [0], headers=headers)
    for folder, count in ((journal, 8), (tmp_path, 1)):
        log = json.loads(logs(folder, "export", "--format", "har").stdout)["log"]
        conforms("log", log)
        conforms("creator", log["creator"])
        assert (log["version"], len(log["entries"])) == ("1.2", count)
        for entry in log["entries"]:
            conforms("entry", entry)
            for part in ("request", "response", "timings"):
                conforms(part, entry[part])
            conforms("content", entry["response"]["content"])
            for pair in entry["request"]["headers"] + entry["request"]["queryString"] + entry["response"]["headers"]:
                conforms("pair", pair)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", entry["startedDateTime"])
            assert entry["request"]["url"].startswith("http://")
            assert sum(entry["timings"].values()) == pytest.approx(entry["time"])
            if entry["request"]["method"] == "POST":
                conforms("postData", entry["request"]["postData"])
                assert json.loads(entry["request"]["postData"]["text"])["model"]
    assert entry["request"]["url"] == "http://h:1/v1/chat/completions?beta=1"
    assert entry["request"]["queryString"] == [{"name": "beta", "value": "1"}]
    assert entry["response"]["content"]["mimeType"] == "text/x"


def test_no_credential_is_exported_or_shown(journal):
    told = [logs(journal, "export", "--format", form).stdout for form in ("finetuning", "sharegpt", "csv", "har")]
    rows = values(logs(journal, "tail", "--no-follow", "--json"))
    told += [logs(journal, "show", row["logging_id"], "--json").stdout for row in rows]
    headers = json.loads(told[3])["log"]["entries"][0]["request"]["headers"]
    assert "authorization" in [pair["name"].lower() for pair in headers], "there was a credential to hide"
    assert [text for text in told if KEY in text or "sk-canary" in text] == []


def test_examples_are_made_of_whole_records_alone(tmp_path):
    marker = {"omitted": "log_max_bytes", "bytes": 9, "sha256": "0" * 64}
    picture = {"type": "image/png", "bytes": 9, "sha256": "0" * 64}
    seen = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": picture}}]}]
    write(tmp_path, [0], input=marker)
    write(tmp_path, [1], input={"model": "m", "messages": seen})
    write(tmp_path, [2], output=None)
    write(tmp_path, [3], input={"model": "m", "messages": "nonsense"})
    write(tmp_path, [4], output={"choices": []})
    write(tmp_path, [5])
    told = logs(tmp_path, "export", "--format", "finetuning")
    assert [example["messages"][0]["content"] for example in values(told)] == ["question number5"]
    assert told.stderr.startswith("1 of 6 exchanges exported; left out: 3 not recorded whole, ")


def test_query_asks_both_journals_in_sql_and_only_reads(journal, tmp_path):
    pytest.importorskip("duckdb")
    sql = "SELECT c.model, count(*) AS n FROM client c JOIN server s USING (logging_id) GROUP BY ALL ORDER BY n DESC, 1"
    told = really(journal, "query", sql).stdout.splitlines()
    assert told[0].split() == ["model", "n"]
    assert told[2].split() == ["demo", "5"]
    rows = values(logs(journal, "query", sql, "--format", "json"))
    assert rows[0] == {"model": "demo", "n": 5}
    said = "SELECT output->>'$.choices[0].message.role' AS role FROM server WHERE outcome = 'complete' LIMIT 1"
    assert logs(journal, "query", said, "--format", "csv").stdout == "role\nassistant\n"
    assert (
        logs(journal, "query", "DROP VIEW client", status=1).stderr == "Error: only what reads is allowed, not DROP\n"
    )
    copied = logs(journal, "query", f"COPY client TO '{tmp_path}/x.csv'", status=1)
    assert copied.stderr.startswith("Error: only what reads is allowed") and not (tmp_path / "x.csv").exists()
    wrong = logs(journal, "query", "SELECT nope FROM client", status=1).stderr
    assert "nope" in wrong and wrong.count("\n") == 1
    assert "there are no journals in" in logs(tmp_path, "query", "SELECT 1", status=1).stderr


def test_query_without_duckdb_is_one_clear_line(tmp_path):
    code = "import sys; sys.modules['duckdb'] = None; from proxy.cli import main; main(['logs', 'query', 'SELECT 1'])"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=bare_environment(), capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 1
    assert told.stderr == "Error: logs query needs DuckDB: pip install 'openai-forward[duckdb]'\n"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["tail", "--status", "4x"], 2, "Error: status must be like 404, 4xx, 400-499 or >=400, not '4x'"),
        (["stats", "--since", "soon"], 2, "Error: since must be a UTC time like"),
        (["stats", "--by", "colour"], 2, "Error: by must be among model,"),
        (["export"], 2, "Missing option '--format'"),
        (["export", "--format", "xml"], 2, "is not one of"),
        (["wash"], 2, "No such command 'wash'"),
        (["stats", "--output_path", "/none/at/all"], 1, "Error: /none/at/all: No such file or directory"),
        (["tail", "--output-path=/none/at/all"], 1, "Error: /none/at/all: No such file or directory"),
        (["stats", "--config", "/none.toml"], 2, "Error: config must be the path of a TOML file that exists"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_is_told_in_a_line_and_by_its_status(tmp_path, words, status, told):
    assert told in logs(tmp_path, *words, status=status).stderr


def test_the_folder_is_found_as_the_proxy_finds_it(tmp_path):
    write(tmp_path, [0])
    (tmp_path / "settings.toml").write_text(f'output_path = "{tmp_path}"\n')
    for words, environ in (
        (["--output_path", str(tmp_path)], {}),
        (["--output-path", str(tmp_path)], {"FORWARD_OUTPUT_PATH": "/none"}),
        (["--config", str(tmp_path / "settings.toml")], {}),
        ([], {"FORWARD_CONFIG": str(tmp_path / "settings.toml")}),
    ):
        assert lid(0)[:8] in logs(None, "tail", "--no-follow", *words, **environ).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of a POSIX shell")
def test_a_reader_that_has_had_enough_is_no_error(tmp_path):
    write(tmp_path, range(2000))
    for words in ("export --format csv", "tail --json -n 2000"):
        command = f"set -o pipefail; {shlex.join(PROXY)} {words} --output_path {shlex.quote(str(tmp_path))} | head -n 1"
        told = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=bare_environment(), capture_output=True, text=True, timeout=60
        )
        assert (told.returncode, told.stderr) == (0, ""), words
        assert told.stdout.count("\n") == 1


@pytest.mark.parametrize("words", [("stats",), ("tail", "--no-follow"), ("export", "--format", "csv")], ids=" ".join)
def test_a_folder_without_journals_is_told(tmp_path, words):
    told = logs(tmp_path, *words).stderr
    assert told.startswith(f"There are no journals in {tmp_path} so far; --output_path names another folder.\n")
    write(tmp_path, [1])
    assert "no journals" not in logs(tmp_path, *words).stderr


def test_help_names_every_command_and_filter():
    told = logs(None).stdout
    assert told == logs(None, "--help").stdout
    assert all(name in told for name in ("tail", "show", "stats", "export", "query"))
    told = logs(None, "tail", "--help").stdout
    assert all(
        f"--{name}" in told for name in ("outcome", "status", "model", "path", "text", "since", "until", "config")
    )
    assert "logs" in config.command.get_help(config.command.make_context("x", []))


def test_tail_and_archive_understand_text_alike():
    assert fitting(line(1), Filter.read({"text": '"question number1"'})) is not None
    assert fitting(line(1), Filter.read({"text": "number2"})) is None
