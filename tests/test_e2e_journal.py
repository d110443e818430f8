"""Both journals tell the truth: one record each for every outcome, joined by one id, and never a credential."""

from __future__ import annotations

import datetime
import os
import stat

import pytest
from provider import Close, Reset, Stall
from raw_client import Call
from stories import CLOSING, DONE, END, OPENING, STREAM_HEAD, TEXT, chunk, tells, token, whole
from witness import ask, sound

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


def test_no_credential_reaches_any_file_or_stream_of_the_process(proxy, provider, model):
    origin = provider.origin.replace("//", f"//user:{CANARIES['userinfo']}@")
    url = f"{origin}/v1/chat/completions?key={CANARIES['url query']}"
    running = proxy(url=url, fresh=True, log_level="debug", header=f"X-Secret-Token: {CANARIES['header flag']}")
    shown = [
        ("Authorization", f"Bearer {CANARIES['authorization']}"),
        ("x-api-key", CANARIES["x-api-key"]),
        ("api-key", CANARIES["api-key"]),
        ("Cookie", f"session={CANARIES['cookie']}"),
    ]
    bare = [("Authorization", CANARIES["raw authorization"])]
    always = [CANARIES[name] for name in ("query", "userinfo", "url query", "header flag")]
    for headers in (shown, bare):
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
    assert provider.heard[0].header("x-secret-token") == CANARIES["header flag"]
    for name in ("client", "server"):
        running.until(lambda name=name: len(running.lines(name)) >= 16, 2, f"not 16 lines in the {name} file")
    assert running.stop(clean=False) == 0
    assert len(running.lines("client")) == len(running.lines("server")) == 16
    sinks = {path.name: path.read_text("utf-8") for path in running.folder.iterdir()}
    sinks["stderr"], sinks["stdout"] = running.stderr, "".join(running.out)
    assert len(sinks) >= 5
    leaks = [(name, sink) for name, value in CANARIES.items() for sink, text in sinks.items() if value in text]
    assert leaks == []
