"""One small story under every host that serves the app, and how the recommended one starts, drains and stops."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from provider import Sleep, Stall, Until
from proxy_process import ROOT, Pair, ProxyProcess, bare_environment, free_port
from raw_client import Call, events
from stories import CLOSING, DONE, END, OPENING, STREAM_HEAD, TEXT, chunk, tells, token, whole
from witness import ask, sound

TAIL = [chunk(CLOSING), chunk(DONE), END]
PYTHON = sys.executable
HOSTS = {
    "gunicorn gevent": [PYTHON, "-m", "gunicorn", "-k", "gevent", "wsgi:app"],
    "gunicorn gthread": [PYTHON, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "wsgi:application"],
    "flask run": [PYTHON, "-m", "flask", "--app", "proxy", "run", "--host", "127.0.0.1", "--port", "PORT"],
}


@pytest.fixture(scope="module")
def hosts(_provider, tmp_path_factory):
    """All hosts, started together."""
    running = {}
    for name, command in HOSTS.items():
        port = free_port()
        folder = tmp_path_factory.mktemp("hosts")
        environ = {
            "FORWARD_URL": _provider.url,
            "FORWARD_EXPOSE_HOST": "127.0.0.1",
            "FORWARD_EXPOSE_PORT": str(port),
            "FORWARD_OUTPUT_PATH": str(folder),
        }
        words = [str(port) if word == "PORT" else word for word in command]
        running[name] = ProxyProcess(words, folder, environ, port)
    yield running
    for one in running.values():
        one.stop(clean=False)


@pytest.fixture(params=HOSTS)
def host(request, hosts):
    """One host after the other."""
    return hosts[request.param].ready()


@pytest.mark.timed
@pytest.mark.parametrize("streams", [False, True], ids=["waits", "streams"])
@pytest.mark.parametrize("header", ["off", "stream", "non_stream"])
def test_the_same_story_is_told_under_every_host(host, provider, sdk, model, streams, header):
    provider.chooses(tells(TEXT))
    answer = sdk(host).chat.completions.create(
        model=model, stream=streams, extra_headers={"X-Forward-Mode": header}, **TEXT.ask
    )
    texts = [part.choices[0].delta.content or "" for part in answer if part.choices] if streams else []
    assert ("".join(texts) if streams else answer.choices[0].message.content) == "Grüß Gott 😀"
    sound(host.record(model=model), outcome="complete", return_mode="stream" if streams else "non_stream")


@pytest.mark.timed
def test_tokens_are_prompt_under_every_host(host, provider, model):
    words = [b"word%d" % number for number in range(4)]
    steps = [step for word in words for step in (Sleep(0.1), chunk(token(word)))]
    provider.plays([STREAM_HEAD, chunk(OPENING), *steps, chunk(CLOSING), chunk(DONE), END])
    with Call(host.port, ask(model, True)) as call:
        arrived = [call.until(word) for word in words]
        call.rest()
    sent = {piece: at for at, piece in provider.heard[0].sent}
    late = [at - sent[chunk(token(word))] for at, word in zip(arrived, words)]
    assert max(late) < 0.030, late
    sound(host.record(model=model), outcome="complete")


def test_the_next_token_never_has_to_push_the_one_before_under_any_host(host, provider, model):
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Until("got one"), chunk(token(b"two")), END])
    with Call(host.port, ask(model, True)) as call:
        call.until(b"one")
        provider.tell("got one")
        call.rest()
    assert events(call)[-1]["error"]["code"] == "stream_truncated"
    sound(host.record(model=model), outcome="truncated")


def test_errors_health_and_raw_paths_are_the_same_under_every_host(host, provider):
    assert Call(host.port, b"{").rest().error["code"] == "invalid_json"
    assert Call(host.port, method="GET", target="/healthz").rest().status == 200
    provider.plays([whole(b"{}")])
    call = Call(host.port, method="GET", target="/v1/models/a%2Fb:c?x[]=1&y=%20").rest()
    assert call.status == 200
    assert provider.heard[0].target.replace("%5B", "[").replace("%5D", "]") == "/v1/models/a%2Fb:c?x[]=1&y=%20"


@pytest.mark.timed
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_uploads_work_under_every_host(host, provider, framing):
    provider.plays([whole(b"{}")])
    body = bytes(range(256)) * 4000
    sent = chunk(body) + END if framing == "chunked" else body
    headers = [("Transfer-Encoding", "chunked")] if framing == "chunked" else []
    assert Call(host.port, sent, target="/v1/files", headers=headers).rest().status == 200
    assert (provider.heard[0].framing, provider.heard[0].body) == (framing, body)


def test_a_client_that_leaves_mid_stream_ends_the_providers_work_at_the_next_write(host, provider, model):
    steps = [step for _ in range(40) for step in (chunk(token(b"x" * 1000)), Sleep(0.05))]
    provider.plays([STREAM_HEAD, chunk(OPENING), *steps, Stall()])
    call = Call(host.port, ask(model, True))
    call.until(b"xxx")
    call.leave()
    assert provider.heard[0].left_within(1.5)
    sound(host.record(model=model), outcome="client_abort")


def test_it_says_where_it_listens_where_it_sends_and_how_to_try_it(proxy, provider):
    running = proxy()
    said = "".join(running.out)
    assert running.origin in said and provider.origin in said and str(running.folder) in said
    assert "curl" in said and "off" in said and running.stderr == ""


def test_sigterm_lets_running_streams_end_and_refuses_new_ones(proxy, provider, model):
    running = proxy(fresh=True, drain=5)
    provider.plays(
        [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Until("go on"), chunk(CLOSING), chunk(DONE), END]
    )
    with Call(running.port, ask(model, True)) as call:
        call.until(b"one")
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert running.process.poll() is None, "it did not wait for its stream"
        provider.tell("go on")
        call.rest()
    assert call.data[-1] == b"[DONE]" and running.process.wait(10) == 0
    sound(running_after(running, model), outcome="complete")


@pytest.mark.timed
def test_what_is_left_at_the_end_of_the_drain_is_ended_honestly(proxy, provider, model):
    running = proxy(fresh=True, drain=0.5)
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()])
    with Call(running.port, ask(model, True)) as call:
        call.until(b"one")
        running.process.send_signal(signal.SIGTERM)
        call.rest()
    error = events(call)[-1]["error"]
    assert error["code"] == "shutting_down" and provider.heard[0].left_within(1)
    assert running.process.wait(10) == 0
    pair = sound(running_after(running, model), outcome="shutdown")
    assert pair.client["output"]["choices"][0]["message"]["content"] == "one"


def running_after(running, model):
    """The record of a process that has ended."""
    pairs = [[line for line in running.lines(name) if line["model"] == model] for name in ("client", "server")]
    assert [len(lines) for lines in pairs] == [1, 1]
    return Pair(pairs[0][0], pairs[1][0])


@pytest.mark.timed
def test_it_makes_its_folder_and_sigterm_at_rest_is_quick_and_clean_and_frees_the_port(provider, model, tmp_path):
    folder = tmp_path / "deep" / "logs"
    running = ProxyProcess.app(provider.url, folder, {}, {}).ready(provider.port)
    provider.plays([whole(TEXT.whole)])
    assert Call(running.port, ask(model)).rest().status == 200
    sound(running.record(model=model), outcome="complete")
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 4 and running.stderr == ""
    with pytest.raises(OSError, match="refused"):
        Call(running.port, ask(model))


@pytest.mark.parametrize(
    "words, needle",
    [
        ([], "--url"),
        (["--url", "http://127.0.0.1:9/v1", "--output_path", "/dev/null/x"], "/dev/null/x"),
    ],
)
def test_a_wrong_start_is_one_clear_line_and_exit_2(words, needle, tmp_path):
    common = ["--expose_host", "127.0.0.1", "--expose_port", "0"]
    common += [] if "--output_path" in words else ["--output_path", str(tmp_path)]
    done = subprocess.run(
        [PYTHON, "app.py", *common, *words],
        cwd=ROOT,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 2 and needle in done.stderr and "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr


def test_ctrl_c_drains_and_a_second_one_stops_at_once(proxy, provider, model):
    running = proxy(fresh=True, drain=20)
    provider.plays([STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), Stall()])
    with Call(running.port, ask(model, True)) as call:
        call.until(b"one")
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        running.process.wait(10)
    assert "Traceback" not in running.stderr
