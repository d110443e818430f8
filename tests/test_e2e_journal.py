"""Both journals tell the truth: one record each for every outcome, joined by one id, and never a credential."""

from __future__ import annotations

import datetime
import gzip
import os
import re
import shutil
import stat
import subprocess

import pytest
from provider import Close, Reset, Sleep, Stall
from proxy_process import ROOT
from raw_client import Call
from stories import CLOSING, DONE, END, JSON, OPENING, STREAM_HEAD, TEXT, chunk, tells, token, whole
from witness import ask, sound

from proxy.journal.clock import unpacked

BOOM = b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":null}}\n\n'
HALF = [STREAM_HEAD, chunk(OPENING), chunk(token(b"half"))]
WHOLE = [STREAM_HEAD, chunk(OPENING), chunk(token(b"x")), chunk(CLOSING), chunk(DONE), END]
OUTCOMES = {
    "complete": (WHOLE, True, "complete"),
    "complete whole": ([whole(TEXT.whole)], False, "complete"),
    "cut": ([*HALF, Close()], True, "truncated"),
    "an error frame": ([*HALF, chunk(BOOM), END], True, "upstream_error"),
    "a refusal": ([whole(b"{}", b"403 Forbidden")], False, "upstream_error"),
    "a reset": ([Reset()], True, "upstream_error"),
    "an idle provider": ([*HALF, Stall()], True, "timeout_idle"),
    "a silent provider": ([Stall()], False, "timeout_first_byte"),
}


@pytest.mark.parametrize("ending", OUTCOMES)
def test_every_outcome_is_one_record_in_each_file(proxy, provider, model, ending):
    running = proxy(timeout=600, stall_timeout=1)
    script, streams, outcome = OUTCOMES[ending]
    provider.plays(script)
    before = [len(running.lines(name)) for name in ("client", "server")]
    call = Call(running.port, ask(model, streams)).rest(4)
    pair = sound(running.record(model=model), outcome=outcome, return_mode="stream" if streams else "non_stream")
    assert call.header("x-logging-id") == pair.client["logging_id"]
    assert [len(running.lines(name)) for name in ("client", "server")] == [count + 1 for count in before]
    assert pair.client["input"]["model"] == pair.server["input"]["model"] == model


def test_a_record_is_there_when_the_client_has_its_answer_and_tells_when_the_ask_came(proxy, provider, model):
    running = proxy()
    provider.plays([whole(TEXT.whole)])
    before = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    Call(running.port, ask(model)).rest()
    after = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    pair = sound(running.record(model=model))
    assert before <= datetime.datetime.fromisoformat(pair.client["timestamp"]) <= after


def test_the_files_are_ours_alone_and_in_the_folder_that_was_named(proxy, provider, model):
    running = proxy()
    provider.plays([whole(TEXT.whole)])
    Call(running.port, ask(model)).rest()
    running.record(model=model)
    names = {"client_interaction.jsonl", "server_interaction.jsonl", "log.log"}
    assert names <= {path.name for path in running.folder.iterdir()}
    for name in names:
        assert stat.S_IMODE(os.stat(running.folder / name).st_mode) == 0o600, name


def test_words_of_the_user_stay_as_they_are(proxy, provider, model):
    running = proxy()
    provider.plays([whole(TEXT.whole)])
    words = 'line\nline\r\n\u2028 "quoted" \\ 😀 \u0000 Bearer and key and password'
    Call(running.port, ask(model, messages=[{"role": "user", "content": words}])).rest()
    pair = running.record(model=model)
    assert pair.client["input"]["messages"][0]["content"] == words == pair.server["input"]["messages"][0]["content"]


def test_records_of_many_at_once_are_all_whole_lines(proxy, provider, model):
    running = proxy()
    provider.chooses(tells(TEXT))
    calls = [Call(running.port, ask(model, number % 2 == 0, user="x" * 5000)) for number in range(32)]
    for call in calls:
        call.rest()
    pairs = running.records(32, model=model)
    assert {pair.client["logging_id"] for pair in pairs} == {call.header("x-logging-id") for call in calls}
    assert all(pair.client["outcome"] == "complete" for pair in pairs)


CANARIES = {
    "authorization": "sk-canary-authorization-4711",
    "raw authorization": "canary-without-bearer-4711",
    "x-api-key": "canary-x-api-key-4711",
    "api-key": "canary-api-key-4711",
    "query": "canary-query-4711",
    "cookie": "canary-cookie-4711",
    "userinfo": "canary-userinfo-4711",
    "url query": "canary-url-query-4711",
    "header flag": "canary-header-flag-4711",
}


def text_of(path):
    """A file of the journal folder as text, also one that was put aside and compressed."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")


def asks_everything(running, provider, model, headers):
    """Each kind of answer, and each kind of failure, from a provider that repeats every credential it was shown."""
    always = [CANARIES[name] for name in ("query", "userinfo", "url query", "header flag")]
    echo = " ".join([*always, *(value.rpartition(" ")[2].rpartition("=")[2] for _, value in headers)]).encode()
    refusal = whole(b'{"error":{"message":"Incorrect API key: %s"}}' % echo, b"401 Unauthorized")
    page = whole(b"<html><title>%s</title></html>" % echo, b"502 Bad Gateway", b"Content-Type: text/html\r\n")
    told = [STREAM_HEAD, chunk(OPENING), chunk(token(echo)), chunk(BOOM.replace(b"boom", echo)), END]
    for script in ([refusal], told, [page], [Reset()], [whole(TEXT.whole)], [b"HTTP/1.1 nonsense\r\n\r\n"]):
        provider.plays(script)
        target = f"/v1/chat/completions?api_key={CANARIES['query']}"
        call = Call(running.port, ask(model, script is told), target=target, headers=headers).rest()
        assert call.status in (200, 401, 502)
    provider.plays([refusal])
    Call(running.port, method="GET", target=f"/v1/models?key={CANARIES['query']}", headers=headers).rest()
    Call(running.port, b"{", headers=headers).rest()


@pytest.mark.parametrize("keeping", [{}, {"log_rotate_bytes": 8_000, "log_frames": True}], ids=["plain", "rotating"])
def test_no_credential_reaches_any_file_or_stream_of_the_process(proxy, provider, model, keeping):
    origin = provider.origin.replace("//", f"//user:{CANARIES['userinfo']}@")
    url = f"{origin}/v1/chat/completions?key={CANARIES['url query']}"
    fixed = f"X-Secret-Token: {CANARIES['header flag']}"
    running = proxy(url=url, fresh=True, log_level="debug", header=fixed, **keeping)
    shown = [
        ("Authorization", f"Bearer {CANARIES['authorization']}"),
        ("x-api-key", CANARIES["x-api-key"]),
        ("api-key", CANARIES["api-key"]),
        ("Cookie", f"session={CANARIES['cookie']}"),
    ]
    bare = [("Authorization", CANARIES["raw authorization"])]
    for headers in (shown, bare):
        asks_everything(running, provider, model, headers)
    assert provider.heard[0].header("x-secret-token") == CANARIES["header flag"]
    Call(running.port, method="GET", target="/v1/models", headers=[("A B", CANARIES["authorization"])]).rest()
    if keeping:
        running.until(
            lambda: [path for path in running.folder.iterdir() if path.suffix == ".gz"], 20, "none compressed"
        )
    assert running.stop(clean=False) == 0
    sinks = {path.name: text_of(path) for path in running.folder.iterdir() if path.suffix != ".part"}
    for name in ("client", "server"):
        texts = [text for sink, text in sinks.items() if sink.startswith(f"{name}_interaction.jsonl")]
        lines = {line for text in texts for line in text.splitlines()}
        assert len(lines) == 16, f"not 16 lines in the {name} files"
        assert sum('"Authorization","[redacted]"' in line for line in lines) >= 14, "a header's name stays"
    sinks["stderr"], sinks["stdout"] = running.stderr, "".join(running.out)
    assert len(sinks) >= (8 if keeping else 5)
    leaks = [(name, sink) for name, value in CANARIES.items() for sink, text in sinks.items() if value in text]
    assert leaks == []
    assert "Invalid HTTP" in sinks["stderr"], "what the host says of a bad request"
    running.err.clear()


# --- what each line tells besides


def test_lines_tell_dialects_models_headers_and_the_proxys_own_time(proxy, provider, model):
    running = proxy(model_map=f"{model}=sent-{model}")
    provider.plays([whole(TEXT.whole, headers=JSON + b"X-Request-Id: req-7\r\nSet-Cookie: sid=1\r\n")])
    call = Call(running.port, ask(model), headers=[("Authorization", "Bearer sk-12345678"), ("X-Note", "hi")]).rest()
    client, server = running.record(model=model)
    assert (client["client_dialect"], client["provider_dialect"]) == ("openai", "openai")
    assert client["sent_model"] == server["sent_model"] == server["input"]["model"] == f"sent-{model}"
    assert ["X-Note", "hi"] in client["headers"]["ask"] and ["Authorization", "[redacted]"] in client["headers"]["ask"]
    assert ["X-Request-Id", "req-7"] in server["headers"]["answer"] + client["headers"]["answer"]
    assert ["Set-Cookie", "[redacted]"] in server["headers"]["answer"]
    sent = {name.lower() for name, _ in server["headers"]["ask"]}
    assert {"host", "content-length", "x-note", "authorization"} <= sent
    assert sent == {name.lower() for name, _ in provider.heard[0].headers}
    assert ["X-Logging-Id", client["logging_id"]] in client["headers"]["answer"]
    assert call.header("x-forward-overhead-ms") == f"{client['overhead_ms']:g}"
    assert 0 < client["overhead_ms"] <= client["duration_ms"] + 1_000


def test_what_is_waited_for_is_not_the_proxys_own_time(proxy, provider, model):
    running = proxy()
    provider.plays([Sleep(1.0), whole(TEXT.whole)], [STREAM_HEAD, Sleep(1.0), *WHOLE[1:3], Sleep(0.3), *WHOLE[3:]])
    for streams in (False, True):
        Call(running.port, ask(model, streams)).rest()
    for client, _ in running.records(2, model=model):
        assert client["duration_ms"] > 1_000
        assert 0 < client["overhead_ms"] < 700


def test_a_stream_keeps_its_own_clock(proxy, provider, model):
    running = proxy(log_frames=True)
    provider.plays([STREAM_HEAD, Sleep(0.2), WHOLE[1], Sleep(0.3), chunk(token(b"a") + token(b"b")), *WHOLE[3:]])
    call = Call(running.port, ask(model, True)).rest()
    client, server = running.record(model=model)
    clock = server["clock"]
    assert "clock" not in client and "frames" not in client
    assert clock["start"] >= 150 and max(unpacked(clock["gaps"])) >= 100
    assert sum(unpacked(clock["frames"])) == len(server["frames"]) == 5
    assert "".join(server["frames"]).encode() == call.content


def test_a_whole_answer_has_no_clock(proxy, provider, model):
    running = proxy()
    provider.plays([whole(TEXT.whole)])
    Call(running.port, ask(model)).rest()
    assert not {"clock", "frames"} & set(running.record(model=model).server)


@pytest.mark.parametrize("mode", ["stream", "non_stream"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_model_that_answered_is_on_record_whatever_was_asked_for(proxy, provider, model, stream, mode):
    running = proxy(mode=mode)
    provider.chooses(tells(TEXT))
    Call(running.port, ask(model, stream)).rest()
    pair = running.record(model=model)
    assert (pair.client["answered_model"], pair.server["answered_model"]) == ("M", "M")


EXAMPLES = re.findall(r"^    (jq .+)$", (ROOT / "docs" / "JOURNALS.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_page_find_something(proxy, provider, model, example):
    running = proxy(timeout=600, stall_timeout=1)
    provider.plays(WHOLE, HALF + [Close()], [whole(TEXT.whole)])
    calls = [Call(running.port, ask(model, streams)).rest() for streams in (True, True, False)]
    running.records(3, model=model)
    command = example.replace("3fa85f64", calls[0].header("x-logging-id")[:8])
    done = subprocess.run(command, shell=True, cwd=running.folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
    assert len(EXAMPLES) == 6


def test_each_request_is_one_line_of_the_log_with_its_id(proxy, provider, model):
    running = proxy()
    provider.plays([whole(TEXT.whole)])
    call = Call(running.port, ask(model), target="/v1/chat/completions?note=1").rest()
    wanted = f"logging_id={call.header('x-logging-id')}"
    running.until(lambda: wanted in running.log(), 5, "no line")
    lines = [line for line in running.log().splitlines() if wanted in line]
    said = rf"\S+ INFO POST /v1/chat/completions complete {wanted} status=200 ms=[\d.]+ model={model}"
    assert len(lines) == 1 and re.fullmatch(said, lines[0])


def test_what_the_settings_keep_out_is_not_written(proxy, provider, model):
    running = proxy(log_content="metadata", log_level="warning")
    provider.plays([whole(TEXT.whole)])
    words = "words that nobody may keep"
    Call(running.port, ask(model, user=words), headers=[("X-Note", words)]).rest()
    client, server = running.record(model=model)
    assert client["input"]["omitted"] == server["input"]["omitted"] == "log_content"
    assert client["headers"] is server["headers"] is None and words not in str((client, server))
    assert server["output"]["bytes"] > 0 and client["usage"]["total_tokens"] > 0
    assert "INFO" not in running.log()
