"""What was recorded by one proxy is answered by another: the real SDKs find the same, and no provider is asked."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from matrix_clients import CHATS, COMPLETIONS, GENERATE
from matrix_providers import PROVIDERS
from matrix_stories import BROKEN, DOT, ERROR, STORIES, TEXT, Refused
from provider import Close, Sleep
from stories import CLOSING, DONE, END, OPENING, SHORT, STREAM_HEAD, chunk, token, whole

TOLD = [*STORIES, ERROR, BROKEN]
PROMPTS = {"openai": COMPLETIONS, "ollama": GENERATE}
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + DOT * 3}}]


def made_of(client, origin, story, model, streams):
    """What an SDK makes of an answer, or of a failure, as values that can be compared."""
    try:
        return client.ask(origin, story, model, streams, "off").meaning
    except Refused as refused:
        return refused.name, refused.status, refused.message, refused.code, refused.before


def post(running, body: Any, path: str = "/v1/chat/completions", **more: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(running.origin + path, json=body, timeout=30, **more)


def get(running, path: str, **more: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(running.origin + path, timeout=30, **more)


def replayed(proxy, running, **settings):
    """A proxy that replays what ``running`` has recorded."""
    return proxy(url=f"replay:{running.folder}", fresh=True, **{"replay_speed": 0, **settings})


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_the_sdks_find_what_they_found_when_it_was_recorded(name, provider, proxy, model):
    scripted = PROVIDERS[name]
    recorder = proxy(url=provider.origin + scripted.path, fresh=True)
    clients = [CHATS[name], CHATS["anthropic" if name == "openai" else "openai"]]
    asks = [(client, story, streams) for client in clients for story in TOLD for streams in (True, False)]
    asks += [(PROMPTS[name], TEXT, streams) for streams in (True, False) if name in PROMPTS]
    found = []
    for client, story, streams in asks:
        provider.chooses(scripted.tells(story))
        found.append(made_of(client, recorder.origin, story, model, streams))
    for streams in (True, False):
        provider.chooses(scripted.tells(TEXT))
        made_of(clients[0], recorder.origin, TEXT, f"{model}-{streams}", streams)
    recorder.records(len(asks), model=model)
    recorder.record(model=f"{model}-False")
    asked = len(provider.heard)
    player = replayed(proxy, recorder)
    for (client, story, streams), before in zip(asks, found):
        assert made_of(client, player.origin, story, model, streams) == before, (client.name, story.name, streams)
    for streams in (True, False):  # what was recorded in one mode is answered in the other
        assert made_of(clients[0], player.origin, TEXT, f"{model}-{streams}", not streams) == found[0]
    assert len(provider.heard) == asked, "no provider is asked"


@pytest.mark.timed
def test_a_stream_has_its_recorded_timing(provider, proxy):
    words = [token(b"w%d " % number, role=b'"role":"assistant",' if not number else b"") for number in range(4)]
    paced = [step for word in words for step in (chunk(word), Sleep(0.25))]
    provider.plays([STREAM_HEAD, *paced, chunk(token(b"", b'"stop"') + DONE), END])
    recorder = proxy(fresh=True)
    post(recorder, {**ASK, "stream": True})
    recorder.record(model="m")
    moments = arrivals(replayed(proxy, recorder, replay_speed=1))
    gaps = [after - before for before, after in zip(moments, moments[1:])]
    assert 0.8 < moments[-1] - moments[0] < 2.5
    assert sum(gap > 0.12 for gap in gaps) >= 2, gaps
    fast = arrivals(replayed(proxy, recorder, replay_speed=0))
    assert fast[-1] - fast[0] < 0.5


def arrivals(running) -> list[float]:
    """The moments at which pieces of a stream arrive."""
    with requests.Session() as session:
        session.trust_env = False
        url = running.origin + "/v1/chat/completions"
        with session.post(url, json={**ASK, "stream": True}, stream=True, timeout=30) as answer:
            return [time.monotonic() for _ in iter(lambda: answer.raw.read1(65536), b"")]


ODD = b": hello\n\nid: 7\n" + OPENING + token(b"Hello") + CLOSING + b"data:[DONE]\n\n"
SLOW = b'{"error":{"message":"Slow down.","type":"t","param":null,"code":"rate_limit_exceeded"}}'
LATER = b"Content-Type: application/json\r\nRetry-After: 9\r\n"
VECTORS = {"object": "list", "data": [{"embedding": [1.5]}], "model": "e"}
PAGE = whole(b"<html>no</html>", b"503 Service Unavailable", b"Content-Type: text/html\r\n")
RECORDED = {
    "frames": ("/v1/chat/completions", {**ASK, "stream": True}, [STREAM_HEAD, chunk(ODD), END]),
    "whole": ("/v1/chat/completions", ASK, [SHORT]),
    "refused": ("/v1/chat/completions", {**ASK, "seed": 1}, [whole(SLOW, b"429 Too Many Requests", LATER)]),
    "page": ("/v1/chat/completions", {**ASK, "seed": 2}, [PAGE]),
    "cut": ("/v1/chat/completions", {**ASK, "seed": 3, "stream": True}, [STREAM_HEAD, chunk(OPENING + token(b"Hel"))]),
    "silent": ("/v1/chat/completions", {**ASK, "seed": 4}, [Close()]),
    "vectors": ("/v1/embeddings", {"model": "e", "input": "x"}, [whole(json.dumps(VECTORS).encode())]),
    "image": ("/v1/chat/completions", {**ASK, "messages": [{"role": "user", "content": PICTURE}]}, [SHORT]),
}


@pytest.fixture(scope="module")
def recorded(_provider, _proxies):
    """A proxy that has recorded, what it answered to each ask, and a proxy that replays it."""
    recorder = _proxies(fresh=True, log_frames=True)
    first = {}
    for name, (path, body, script) in RECORDED.items():
        _provider.clear()
        _provider.plays([*script, Close()] if name == "cut" else script)
        first[name] = post(recorder, body, path)
    recorder.records(len(RECORDED) - 1, path="/v1/chat/completions")
    recorder.record(path="/v1/embeddings")
    return recorder, first, _proxies(url=f"replay:{recorder.folder}", fresh=True, replay_speed=0)


@pytest.mark.parametrize("name", list(RECORDED))
def test_the_same_ask_gets_the_same_answer(name, recorded):
    path, body, _ = RECORDED[name]
    again, first = post(recorded[2], dict(reversed(list(body.items()))), path), recorded[1][name]
    assert (again.status_code, again.headers["Content-Type"]) == (first.status_code, first.headers["Content-Type"])
    assert again.headers.get("Retry-After") == first.headers.get("Retry-After")
    if name == "frames":
        assert again.content == first.content and b"id: 7" in again.content
    elif name == "cut":
        assert again.content.endswith(first.content[-60:]) and b"stream_truncated" in again.content
    else:
        assert again.json() == first.json()


def test_the_start_says_what_there_is(recorded):
    told = "".join(recorded[2].out)
    assert f"recorded     {len(RECORDED)} answers\n" in told
    assert f"sending to   replay:{recorded[0].folder}" in told
    assert "-H" not in told, "nobody needs a key"


def test_a_download_from_the_page_is_replayed(recorded, proxy):
    recorder, first, _ = recorded
    number = recorder.records(len(RECORDED) - 1, path="/v1/chat/completions")[1].client["logging_id"]
    saved = recorder.folder.parent / f"{recorder.folder.name}.jsonl"
    saved.write_bytes(get(recorder, f"/_forward/api/exchanges/{number}/download").content)
    player = proxy(url=f"replay:{saved}", replay_speed=0)
    assert post(player, ASK).json() == first["whole"].json()
    assert post(player, RECORDED["page"][1]).status_code == 404


def test_an_unknown_ask_is_told_what_is_nearest(recorded):
    recorder, _, player = recorded
    answer = post(player, {**ASK, "messages": [{"role": "user", "content": "Ho"}]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "recording_not_found")
    assert 'messages[0].content: asked "Ho", recorded "Hi"' in error["message"]
    assert any(line["logging_id"] in error["message"] for line in recorder.lines("server"))
    assert player.record(model="m", status=404).server["upstream_status"] == 404


@pytest.mark.parametrize("path", ["/replay:/etc/passwd", "//replay:/etc/passwd", "/v1/../../etc/passwd", "/%2Fetc"])
def test_no_request_can_choose_the_recording(path, recorded):
    answer = get(recorded[2], path, headers={"Host": "demo", "X-Forward-Url": "replay:/etc/passwd"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "recording_not_found")
    assert "root:" not in answer.text
