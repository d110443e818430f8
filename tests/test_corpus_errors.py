"""Every recorded failure of a real provider keeps its status and its words; run where FORWARD_CORPUS names a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest

from proxy.dialects.failures import envelope, read_failure, read_failure_frame, read_failure_reply
from proxy.dialects.mode_refusals import read_refusal
from proxy.framing.sse import read_sse

CORPUS = os.environ.get("FORWARD_CORPUS")
pytestmark = pytest.mark.skipif(not CORPUS, reason="FORWARD_CORPUS names no folder of recordings")

# What was there when this was written; fewer means that records were lost, not that all is well.
FAILURES, OWN_ERRORS, STREAMS, STREAMED_FAILURES, REPLIES, REPLIED_FAILURES = 104, 38, 178, 2, 234, 1
WORDS = {"message", "msg", "error", "detail"}
OWN = {"invalid_request_error", "insufficient_quota"}


def records(name):
    with (Path(CORPUS or ".") / name).open("rb") as lines:
        return [msgspec.json.decode(line) for line in lines]


def sentences(value, name=""):
    """Every text a provider put where people look for what went wrong."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() if key != "metadata" for text in sentences(inner, key)]
    if isinstance(value, list):
        return [text for inner in value for text in sentences(inner, name)]
    return [value] if name in WORDS and isinstance(value, str) else []


def failures():
    for record in records("errors.jsonl"):
        body = (record["body"] or "").encode()
        yield record, read_failure(record["status"], list(record["headers"].items()), body)


def test_every_recorded_failure_keeps_its_status_and_its_words():
    checked = 0
    for record, failed in failures():
        assert failed.status == record["status"] >= 400
        assert failed.message.strip()
        body = record["body"] or ""
        said = sentences(msgspec.json.decode(body)) if body[:1] in ("{", "[") else [body.strip()]
        told = failed.message + msgspec.json.encode(envelope(failed)).decode()
        assert [text for text in said if not re.match(r"[\w.-]*\Z", text) and text.strip() not in told] == [], record[
            "source"
        ]
        checked += 1
    assert checked >= FAILURES


def test_openais_own_error_objects_are_not_touched():
    checked = 0
    for record, failed in failures():
        body = record["body"] or ""
        error = msgspec.json.decode(body).get("error") if body[:1] == "{" else None
        if isinstance(error, dict) and {"message", "type", "param", "code"} <= set(error) and error["type"] in OWN:
            checked += 1
            if error["code"] != "model_not_found":  # whose param the table fills
                assert (failed.message, failed.type, failed.param, failed.code) == (
                    error["message"], error["type"], error["param"], error["code"],
                )  # fmt: skip
    assert checked >= OWN_ERRORS


def test_no_recorded_failure_is_a_refusal_of_the_mode():
    for record, failed in failures():
        assert [read_refusal(failed, streamed=mode) for mode in (True, False)] == [None, None], record["source"]


def test_recorded_streams_fail_only_where_the_provider_said_so():
    streams, failed = 0, []
    for record in records("openai_chat.jsonl"):
        if record["stream"] and record["format"] == "sse":
            streams += 1
            frames = [frame for batch in read_sse([record["body"].encode()]) for frame in batch]
            failed += [found for found in map(read_failure_frame, frames) if found]
    assert streams >= STREAMS
    assert len(failed) == STREAMED_FAILURES
    assert {(found.status, found.code) for found in failed} == {(400, "tool_use_failed")}


def test_recorded_answers_fail_only_where_the_provider_said_so():
    replies, failed = 0, []
    for record in records("openai_chat.jsonl"):
        if record["format"] == "json" and record["status"] == 200:
            replies += 1
            found = read_failure_reply(msgspec.json.decode(record["body"]))
            failed += [found] if found else []
    assert replies >= REPLIES
    assert [(found.status, found.code, found.param) for found in failed] == [(400, "content_filter", "prompt")]
    assert len(failed) == REPLIED_FAILURES
