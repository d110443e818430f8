"""The contract's curl examples, run with the real curl as printed, less the server flags that curl does not have."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from stories import TEXT, tells, whole
from witness import sound

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

# The contract prints these two among curl's own arguments; they are flags of the server.
FLAGS = [{}, {"STREAM_SERVER_MODE": True}, {"NON_STREAM_SERVER_MODE": True}]
STREAMED = '{"model": "%s", "messages": [{"role": "user", "content": "Hello"}], "stream": true}'
WAITED = '{"model": "%s", "messages": [{"role": "user", "content": "Hello"}], "stream": false}'

REFUSAL = (
    b'{"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}'
)


def curl(running, *words, target="/v1/chat/completions"):
    """Run curl; its output, and the status as its last line."""
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "-w", "\n%{http_code}", *words]
    done = subprocess.run([*command, running.origin + target], capture_output=True, timeout=15)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition(b"\n")
    return body, int(status)


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_a_streaming_curl_without_a_content_type_works(proxy, provider, model, flags):
    running = proxy(**flags)
    provider.chooses(tells(TEXT))
    body, status = curl(running, "-N", "-H", "Authorization: Bearer sk-x", "-d", STREAMED % model)
    assert status == 200 and body.endswith(b"data: [DONE]\n\n")
    assert body.count(b"[DONE]") == 1 and "Grüß ".encode() in body
    assert provider.heard[0].header("content-type") == "application/json"
    sent = "non_stream" if "NON_STREAM_SERVER_MODE" in flags else "stream"
    sound(running.record(model=model), outcome="complete", return_mode="stream", send_mode=sent)


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_a_waiting_curl_without_a_content_type_works(proxy, provider, model, flags):
    running = proxy(**flags)
    provider.chooses(tells(TEXT))
    body, status = curl(running, "-X", "POST", "-H", "Authorization: Bearer sk-x", "-d", WAITED % model)
    assert status == 200 and json.loads(body)["choices"][0]["message"]["content"] == "Grüß Gott 😀"
    assert {"index", "finish_reason"} <= set(json.loads(body)["choices"][0])
    sent = "stream" if "STREAM_SERVER_MODE" in flags else "non_stream"
    sound(running.record(model=model), outcome="complete", return_mode="non_stream", send_mode=sent)


def test_an_invalid_key_without_bearer_goes_to_the_provider_as_it_is_and_its_401_comes_back(proxy, provider, model):
    running = proxy()
    provider.plays([whole(REFUSAL, b"401 Unauthorized")])
    body, status = curl(running, "-H", "Authorization: invalid_key", "-d", WAITED % model)
    assert status == 401 and json.loads(body) == json.loads(REFUSAL)
    assert provider.heard[0].header("authorization") == "invalid_key"
    sound(running.record(model=model), outcome="upstream_error", status=401)


def test_an_invalid_key_on_a_compatible_proxy_is_a_200_that_says_401(proxy, provider, model):
    running = proxy(compatible=True)
    provider.plays([whole(REFUSAL, b"401 Unauthorized")])
    body, status = curl(running, "-H", "Authorization: invalid_key", "-d", WAITED % model)
    assert status == 200 and json.loads(body)["error"]["http_status"] == 401


@pytest.mark.parametrize("words", [["-d"], ["-X", "POST", "-H", "Content-Type: application/json", "-d"]])
def test_the_three_dots_of_the_example_are_invalid_json_and_told_as_such(proxy, provider, words):
    body, status = curl(proxy(), *words, '{"model": "gpt-4", "messages": [...]}')
    error = json.loads(body)["error"]
    assert status == 400 and (error["type"], error["code"]) == ("invalid_request_error", "invalid_json")
    assert not provider.heard


def test_a_big_body_with_expect_100_continue_works(proxy, provider, model, tmp_path):
    running = proxy()
    provider.chooses(tells(TEXT))
    path = tmp_path / "ask.json"
    path.write_text(json.dumps({"model": model, "messages": [{"role": "user", "content": "x" * 2_000_000}]}))
    body, status = curl(running, "--data-binary", f"@{path}", "-H", "Expect: 100-continue")
    assert status == 200 and json.loads(body)["choices"]
    assert provider.heard[0].size == path.stat().st_size and not provider.heard[0].all("expect")


def test_a_form_upload_by_curl_arrives_byte_for_byte(proxy, provider, tmp_path):
    provider.plays([whole(b'{"id": "file-1"}')])
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"{}\n" * 100_000)
    body, status = curl(proxy(), "-F", "purpose=batch", "-F", f"file=@{path}", target="/v1/files")
    assert (status, body) == (200, b'{"id": "file-1"}')
    assert path.read_bytes() in provider.heard[0].body
    assert provider.heard[0].header("content-type").startswith("multipart/form-data; boundary=")


def test_the_models_list_needs_no_version_in_its_path(proxy, provider):
    provider.always(whole(b'{"object":"list","data":[]}'))
    for target in ("/v1/models", "/models"):
        assert curl(proxy(), target=target) == (b'{"object":"list","data":[]}', 200)
    assert [heard.target for heard in provider.heard] == ["/v1/models", "/v1/models"]
