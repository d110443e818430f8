"""The fault matrix: whatever goes wrong is told truthfully, put on record, and leaves nothing behind."""

from __future__ import annotations

import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from conftest import MODERN
from faults import asked, connecting, cut, framed, leaving, relayed, said, statuses
from faults.arena import HOOK, Arena, Stage, check
from faults.gate import Gate, certify, nobody, nowhere, showing
from proxy_process import ROOT, ProxyProcess, free_port

HASTY = {"timeout": 2500, "first_byte_timeout": 5000, "client_timeout": 3, "max_ask_bytes": 1_000_000}
BRIEF = {"connect_timeout": 1500, "timeout": 2500}
TABLES = [connecting, cut, framed, said, statuses, relayed, asked, leaving]
ROWS = [row for table in TABLES for row in table.rows()]
TITLES = [row.title for row in ROWS]
TRANSPORTS = ["requests", *(["fast"] if sys.version_info >= (3, 11) else [])]
ABREAST = 48  # rows at a time


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates by name, and a bundle of those that are trusted."""
    folder = tmp_path_factory.mktemp("certificates")
    here = "IP:127.0.0.1,DNS:localhost"
    made = {name: certify(folder, name, names) for name, names in
            [("good", here), ("untrusted", here), ("elsewhere", "DNS:elsewhere.example")]}
    bundle = folder / "bundle.pem"
    bundle.write_text(made["good"][0].read_text() + made["elsewhere"][0].read_text())
    return made, bundle


@pytest.fixture(scope="module")
def arenas(certificates, tmp_path_factory):
    """The proxies: one a transport and kind of provider."""
    shown, bundle = certificates
    contexts = {name: showing(one) for name, one in shown.items()}
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        refused, silent = stack.enter_context(nobody()), stack.enter_context(nowhere())

        def arena(transport, name):
            told = tmp_path_factory.mktemp("held") / "held"
            environ = {"PYTHONPATH": f"{HOOK}:{ROOT}", "FAULTS_TOLD": str(told)}
            stage = Gate(contexts) if name == "gate" else Stage()
            stack.callback(stage.close)
            if name == "tls":
                return Arena(secured(stage, transport, environ, shown["good"], tmp_path_factory.mktemp("tls")), stage, told, context=ssl._create_unverified_context())
            settings = {"hasty": HASTY, "patient": {}, "gate": {**BRIEF, "ca_bundle": bundle}}.get(name, BRIEF)
            urls = {"nobody": f"http://127.0.0.1:{refused}/v1", "nowhere": f"http://127.0.0.1:{silent}/v1", "unnamed": "http://nonexistent.invalid/v1"}
            folder = tmp_path_factory.mktemp("journal")
            running = ProxyProcess.app(urls.get(name, stage.url), folder, {**settings, "transport": transport}, environ)
            running.ready(not_port=stage.port)
            return Arena(running, stage, told, well=name not in urls)

        names = sorted({row.arena for row in ROWS})
        keys = [(transport, name) for transport in TRANSPORTS for name in names]
        made = dict(zip(keys, pool.map(lambda key: arena(*key), keys)))
        yield made
        for one in made.values():
            one.running.terminate()
        assert not any(one.running.stop(clean=False) for one in made.values()), "an exit code after SIGTERM"
        noise = [one.running.stderr + one.running.log() for one in made.values()]
        assert not [text for text in noise if "Traceback" in text], "\n".join(noise)


def secured(stage, transport, environ, certificate, folder):
    """A proxy whose clients speak TLS: plain gunicorn with a certificate."""
    port = free_port()
    environ = {**environ, "FORWARD_URL": stage.url, "FORWARD_EXPOSE_HOST": "127.0.0.1", "FORWARD_EXPOSE_PORT": str(port), "FORWARD_OUTPUT_PATH": str(folder), "FORWARD_TRANSPORT": transport}
    words = [sys.executable, "-m", "gunicorn", "--certfile", str(certificate[0]), "--keyfile", str(certificate[1]), "wsgi:app"]
    running = ProxyProcess(words, folder, environ, port)
    context = ssl._create_unverified_context()

    def answers():
        from raw_client import Call

        try:
            return Call(port, method="GET", target="/healthz", context=context).rest().status == 200
        except (OSError, AssertionError):
            return False

    running.until(answers, 40, "no worker answers")
    return running


@pytest.fixture(scope="module")
def seen(request, arenas):
    """What came of every row on every transport: an exception where it could not even be played."""

    def play(transport, row):
        try:
            return arenas[transport, row.arena].play(row)
        except Exception as failed:
            return failed

    chosen = {item.callspec.params["title"] for item in request.session.items if "title" in getattr(item, "fixturenames", ())}
    rows = [row for row in ROWS if row.title in chosen]
    with ThreadPoolExecutor(ABREAST) as pool:
        played = {(transport, row.title): pool.submit(play, transport, row) for row in rows for transport in TRANSPORTS}
        return {key: future.result() for key, future in played.items()}


def test_every_row_has_a_name_of_its_own():
    assert sorted(set(TITLES)) == sorted(TITLES)


@pytest.mark.parametrize("transport", ["requests", pytest.param("fast", marks=MODERN)])
@pytest.mark.parametrize("title", TITLES)
def test_a_fault_is_told_recorded_and_survived(seen, transport, title):
    found = seen[transport, title]
    if isinstance(found, Exception):
        raise found
    check(found)
