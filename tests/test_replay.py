"""Recordings found again: what makes two asks the same, what stands in old or odd lines; what strangers are told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import requests
from demo_client import pieces

from config import ConfigError, Settings, load
from proxy.soundness import check
from proxy.upstream.replay import family_for, recorded, replayed
from proxy.upstream.replay.adapter import ReplayAdapter
from proxy.upstream.replay.differing import differences, told

CHAT = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def reply(text="Hello.", **more):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **more}


def line(number=1, **fields):
    """A line as item 1's journal wrote it, without any of the newer fields."""
    asked = {"timestamp": "2026-02-15T14:22:35.123456", "logging_id": f"0000-{number}", "input": ASK}
    sent = {"output": reply(), "send_mode": "non_stream", "return_mode": "non_stream", "path": CHAT, "method": "POST"}
    rest = {"status": 200, "upstream_status": 200, "outcome": "complete", "chunks": None, "error": None}
    attempts = {"attempts": [{"mode": "non_stream", "status": 200, "code": None, "ms": 5.0}]}
    return {**asked, **sent, **rest, **attempts, "ttft_ms": 1.0, "duration_ms": 5.0, **fields}


def written(folder: Path, *lines, name="server_interaction.jsonl") -> str:
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps(one) + "\n" for one in lines).encode()
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return str(folder)


def player(path: str, speed: float = 0.0) -> requests.Session:
    session = requests.Session()
    session.mount("replay:", ReplayAdapter(recorded(path), speed))
    return session


def post(session, body=ASK, path=CHAT, **more):
    return session.post(f"replay:{path}", data=json.dumps(body), stream=True, **more)


def content(answer) -> str:
    said = json.loads(b"".join(pieces(answer)))
    return str(said["choices"][0]["message"]["content"])


def test_lines_of_the_first_release_are_replayed(tmp_path):
    session = player(written(tmp_path, line()))
    assert content(post(session)) == "Hello."
    answer = post(session, {**ASK, "stream": True})
    assert content(answer) == "Hello.", "a whole is the proxy's to unfold"


def test_an_old_stream_is_written_again_from_what_it_amounted_to(tmp_path):
    old = line(output=reply("One two three four."), send_mode="stream", chunks=6, input={**ASK, "stream": True})
    answer = post(player(written(tmp_path, old)), {**ASK, "stream": True})
    body = b"".join(pieces(answer))
    said = [json.loads(one[6:]) for one in body.split(b"\n\n") if one[:7] == b"data: {"]
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in said) == "One two three four."
    assert len(said) >= 4 and body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "same",
    [
        {"messages": [{"content": "Hi", "role": "user"}], "model": "m"},
        {**ASK, "stream": False},
        {**ASK, "stream": True, "stream_options": {"include_usage": True}},
    ],
    ids=["other order", "whole said", "streamed"],
)
def test_order_and_mode_make_no_difference(tmp_path, same):
    assert content(post(player(written(tmp_path, line())), same)) == "Hello."


def test_the_same_number_may_be_written_in_two_ways(tmp_path):
    session = player(written(tmp_path, line(input={**ASK, "temperature": 1.0})))
    assert content(post(session, {**ASK, "temperature": 1})) == "Hello."


def test_several_recordings_of_one_ask_take_turns(tmp_path):
    lines = [line(number, output=reply(text)) for number, text in enumerate(("one", "two"))]
    session = player(written(tmp_path, *lines))
    assert [content(post(session)) for _ in range(3)] == ["one", "two", "one"]


def test_of_two_modes_the_one_that_is_asked_for_counts(tmp_path):
    streamed = line(2, input={**ASK, "stream": True}, send_mode="stream", chunks=3, output=reply("streamed"))
    session = player(written(tmp_path, line(1, output=reply("whole")), streamed))
    assert [content(post(session)) for _ in range(2)] == ["whole", "whole"]
    assert b"whole" not in b"".join(pieces(post(session, {**ASK, "stream": True})))


def test_rotated_and_compressed_files_are_read_too(tmp_path):
    written(tmp_path, line(1, input={**ASK, "seed": 1}), name="server_interaction.jsonl.20260215T142235.gz")
    written(tmp_path, line(2, input={**ASK, "seed": 2}), name="server_interaction.jsonl.20260216T142235")
    session = player(written(tmp_path, line(3, input={**ASK, "seed": 3})))
    assert [post(session, {**ASK, "seed": seed}).status_code for seed in (1, 2, 3, 4)] == [200, 200, 200, 404]


def test_a_recording_needs_no_last_line_end_and_only_its_provider_side(tmp_path):
    saved = tmp_path / "saved.jsonl"
    sides = [{"side": "client", **line(output=reply("client"))}, {"side": "provider", **line(output=reply("ours"))}]
    saved.write_text("\n".join(map(json.dumps, sides)))
    assert content(post(player(str(saved)))) == "ours"


def test_a_broken_stream_breaks_again(tmp_path):
    error = {"message": "The provider went silent.", "type": "upstream_error", "param": None, "code": "idle_timeout"}
    cut = line(send_mode="stream", chunks=2, outcome="timeout_idle", error=error, output=reply("Hel"))
    cut["output"]["choices"][0]["finish_reason"] = None
    answer = post(player(written(tmp_path, {**cut, "input": {**ASK, "stream": True}})), {**ASK, "stream": True})
    said = []
    with pytest.raises(Exception, match="went silent"):
        said.extend(pieces(answer))
    assert not any(b"[DONE]" in piece for piece in said)


def test_a_failure_inside_a_stream_is_told_again(tmp_path):
    error = {"message": "It broke.", "type": "server_error", "param": None, "code": None}
    failed = line(send_mode="stream", chunks=2, outcome="upstream_error", error=error, output=reply("Hel"))
    failed["output"]["choices"][0]["finish_reason"] = None
    answer = post(player(written(tmp_path, {**failed, "input": {**ASK, "stream": True}})), {**ASK, "stream": True})
    body = b"".join(pieces(answer))
    assert b'"Hel"' in body and body.index(b'"Hel"') < body.index(b"It broke.")
    assert b'"finish_reason":"stop"' not in body


@pytest.mark.parametrize(
    "fields, why",
    [
        ({"outcome": "client_abort"}, "1 ended before the provider did"),
        ({"attempts": [], "upstream_status": None}, "1 never reached a provider"),
        ({"output": {"omitted": "log_content", "bytes": 9, "sha256": "x"}}, "1 kept without the answer"),
        ({"input": {"omitted": "log_content", "bytes": 9, "sha256": "x"}}, "1 kept without the ask"),
        ({"output": {"type": "audio/mpeg", "size": 9}}, "1 kept without the answer"),
    ],
)
def test_what_cannot_be_answered_with_is_left_out(tmp_path, fields, why):
    with pytest.raises(ValueError, match=why):
        recorded(written(tmp_path, line(**fields)))


def test_lines_that_are_none_are_passed_over(tmp_path):
    path = written(tmp_path, line())
    with open(tmp_path / "server_interaction.jsonl", "ab") as file:
        file.write(b'not json\n\n[1]\n{"logging_id": 5}\n\xff\n{"logging_id": "x", "path": 7, "method": "POST"}\n')
    assert recorded(path).answers == 1


def test_what_was_translated_for_another_protocol_is_found_by_its_body(tmp_path):
    asked, path = {"model": "e", "input": {"texts": ["x"]}}, "/api/v1/services/embeddings/text-embedding/x"
    fetched = line(path="/v1/embeddings", client_dialect="openai", provider_dialect="dashscope", input=asked)
    session = player(written(tmp_path, fetched))
    assert content(post(session, asked, path)) == "Hello."
    assert post(session, {**asked, "model": "f"}, path).status_code == 404


def test_a_journal_that_goes_on_and_is_put_aside_is_replayed_all_the_same(tmp_path):
    path = Path(written(tmp_path, line(1), line(2, input={**ASK, "seed": 2}, output=reply("two"))))
    session, name = player(str(path)), "server_interaction.jsonl"
    with open(path / name, "ab") as file:  # as the proxy does that writes it
        file.write(json.dumps(line(3, input={**ASK, "seed": 3})).encode() + b"\n")
    assert content(post(session, {**ASK, "seed": 2})) == "two"
    (path / name).rename(path / f"{name}.20260216T142235")
    other = {**ASK, "messages": [{"role": "user", "content": "Ho"}]}  # as long as the first, at the same place
    written(path, line(1, input=other, output=reply("Hollo.")))
    assert [content(post(session)), content(post(session, {**ASK, "seed": 2}))] == ["Hello.", "two"]
    aside = (path / f"{name}.20260216T142235").read_bytes()
    written(path, name=f"{name}.20260216T142235.gz")
    (path / f"{name}.20260216T142235.gz").write_bytes(gzip.compress(aside))
    (path / f"{name}.20260216T142235").unlink()
    assert content(post(session)) == "Hello."


def test_a_file_that_is_another_one_by_now_is_a_failure_and_no_wrong_answer(tmp_path):
    session = player(written(tmp_path, line()))
    written(tmp_path, {"padding": "x" * 2000})
    with pytest.raises(OSError, match="has changed"):
        post(session)


def test_a_stranger_is_told_the_nearest_and_where_it_differs(tmp_path):
    long = "word " * 40
    lines = [
        line(1, input={"model": "other", "messages": [{"role": "user", "content": "Ho"}]}),
        line(2, input={**ASK, "temperature": 0.5, "messages": [{"role": "user", "content": long + "this"}]}),
    ]
    body = {**ASK, "temperature": 0.7, "messages": [{"role": "user", "content": long + "that"}], "seed": 1}
    answer = post(player(written(tmp_path, *lines)), body)
    message = answer.json()["error"]["message"]
    assert answer.status_code == 404
    assert "0000-2 of 2026-02-15T14:22:35.123456" in message
    assert 'messages[0].content: asked "...' in message.replace('..."', '"...') and "that" in message
    assert message.endswith("also in temperature, seed.")


def test_a_stranger_elsewhere_is_told_what_there_is(tmp_path):
    answer = player(written(tmp_path, line())).get("replay:/v1/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "recording_not_found")
    assert "Nothing is recorded of GET /models; there is openai (1)." in answer.json()["error"]["message"]


def test_the_path_of_every_difference_is_told():
    found = list(differences({"a": [1, {"b": True}], "c": 1}, {"a": [1, {"b": 1}, 2], "d": None}))
    assert [one.path for one in found] == ["a[1].b", "a[2]", "c", "d"]
    assert told(found).startswith("a[1].b: asked true, recorded 1; also in a[2], c, d")


def test_the_protocol_is_the_one_that_was_recorded(tmp_path):
    asked = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    theirs = line(path="/v1/messages", provider_dialect="anthropic", input=asked)
    path = written(tmp_path / "in", theirs)
    assert family_for(Settings(url=f"replay:{path}")).name == "anthropic"
    assert family_for(Settings(url=f"replay:{path}", dialect="ollama")).name == "ollama"


@pytest.mark.parametrize(
    "url, path", [("replay:./logs", "./logs"), ("REPLAY:/a b", "/a b"), ("replay:///x", "/x"), ("demo:", None)]
)
def test_the_path_is_what_follows_the_colon(url, path):
    assert replayed(url) == path


@pytest.mark.parametrize(
    "given, told",
    [
        ({"proxy": "http://127.0.0.1:3128"}, "proxy is of no use"),
        ({"transport": "fast"}, "transport is of no use"),
        ({"output_path": "in"}, "is being replayed"),
        ({"url": "replay:nowhere"}, "nowhere cannot be read: No such file"),
        ({"url": "replay:in/client_interaction.jsonl"}, "has the client's side"),
        ({"url": "replay:"}, "give a journal folder"),
        ({"url": "replay:empty"}, "empty has no server_interaction.jsonl"),
        ({"url": "demo:", "replay_speed": 2.0}, "replay_speed is of use with --url replay:PATH only"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, monkeypatch, given, told):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "in", line())
    written(tmp_path / "in", line(), name="client_interaction.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=told):
        check(Settings(**{"url": "replay:in", "output_path": "out", **given}))
    check(Settings(url="replay:in", output_path="out"))


def test_the_speed_is_a_setting():
    assert load(["--url", "replay:x", "--replay_speed", "0"], {}).replay_speed == 0
    with pytest.raises(ConfigError, match="replay_speed must be a number from 0"):
        load(["--url", "replay:x", "--replay_speed", "-1"], {})
