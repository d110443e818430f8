"""The fault matrix: whatever goes wrong is told truthfully, put on record, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from conftest import MODERN
from faults import asked, connecting, cut, framed, hosted, leaving, relayed, said, spoken, statuses
from faults.arena import CHAT, HOOK, PATIENCE, Arena, Stage, check
from faults.arena import asked as asked_soundly
from faults.gate import Gate, certify, nobody, nowhere, showing
from faults.table import DOCS, README, every, show, shown, summary
from proxy_process import ROOT, ProxyProcess, free_port
from raw_client import Call
from stories import TEXT

HASTY = {"timeout": 4000, "first_byte_timeout": 8000, "client_timeout": 4, "max_ask_bytes": 1_000_000}
BRIEF = {"connect_timeout": 5000, "timeout": 5000}
TABLES = [connecting, cut, framed, said, statuses, relayed, spoken, asked, leaving]
ROWS = [row for table in TABLES for row in table.rows()]
TITLES = [row.title for row in ROWS]
TRANSPORTS = ["requests", *(["fast"] if sys.version_info >= (3, 11) else [])]
LOST = ("nobody", "nowhere", "unnamed")  # where there is no provider
LEAST = 1000  # rows that there are; fewer mean that some were lost
ABREAST = 48  # rows at a time
pytestmark = pytest.mark.timeout(300)  # the first waits until all rows have been played


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates by name, and a bundle of those that are trusted."""
    folder = tmp_path_factory.mktemp("certificates")
    here = "IP:127.0.0.1,DNS:localhost"
    made = {
        name: certify(folder, name, names)
        for name, names in [("good", here), ("untrusted", here), ("elsewhere", "DNS:elsewhere.example")]
    }
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
            stage = Gate(contexts) if name == "gate" else Stage(speaks=name)
            stack.callback(stage.close)
            if name == "tls":
                return Arena(
                    secured(stage, transport, environ, shown["good"], tmp_path_factory.mktemp("tls")),
                    stage,
                    told,
                    context=ssl._create_unverified_context(),
                )
            settings = {"hasty": HASTY, "patient": {}, "gate": {**BRIEF, "ca_bundle": bundle}}.get(name, BRIEF)
            urls = {
                "nobody": f"http://127.0.0.1:{refused}/v1",
                "nowhere": f"http://127.0.0.1:{silent}/v1",
                "unnamed": "http://nonexistent.invalid/v1",
                **{one: stage.origin + speaker.path for one, speaker in spoken.SPEAKERS.items()},
            }
            folder = tmp_path_factory.mktemp("journal")
            running = ProxyProcess.app(urls.get(name, stage.url), folder, {**settings, "transport": transport}, environ)
            running.ready(not_port=stage.port)
            return Arena(running, stage, told, well=name not in LOST)

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
    environ = {
        **environ,
        "FORWARD_URL": stage.url,
        "FORWARD_EXPOSE_HOST": "127.0.0.1",
        "FORWARD_EXPOSE_PORT": str(port),
        "FORWARD_OUTPUT_PATH": str(folder),
        "FORWARD_TRANSPORT": transport,
    }
    words = [
        sys.executable,
        "-m",
        "gunicorn",
        "--certfile",
        str(certificate[0]),
        "--keyfile",
        str(certificate[1]),
        "wsgi:app",
    ]
    running = ProxyProcess(words, folder, environ, port)
    context = ssl._create_unverified_context()

    def answers():
        try:
            return Call(port, method="GET", target="/healthz", context=context).rest().status == 200
        except (OSError, AssertionError):
            return False

    running.until(answers, 40, "no worker answers")
    return running


@pytest.fixture(scope="module")
def before(arenas):
    """What each proxy held when it had answered soundly."""
    with ThreadPoolExecutor(len(arenas)) as pool:
        list(pool.map(Arena.warm, arenas.values()))
    return {arena: arena.holds() for arena in arenas.values()}


@pytest.fixture(scope="module")
def seen(request, arenas, before):
    """What came of every row on every transport: an exception where it could not even be played."""

    def play(transport, row):
        try:
            return arenas[transport, row.arena].play(row)
        except Exception as failed:
            return failed

    chosen = {
        item.callspec.params["title"] for item in request.session.items if "title" in getattr(item, "fixturenames", ())
    }
    rows = [row for row in ROWS if row.title in chosen]
    rows.sort(key=lambda row: row.arena != "hasty")  # the longest waits begin first
    with ThreadPoolExecutor(ABREAST) as many, ThreadPoolExecutor(len(TRANSPORTS)) as few:
        pools = {"gate": few}  # these come one after the other
        played = {
            (transport, row.title): pools.get(row.arena, many).submit(play, transport, row)
            for row in rows
            for transport in TRANSPORTS
        }
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


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the gunicorn for this Python refuses less")
@pytest.mark.parametrize("refusal", hosted.REFUSALS, ids=[one.name for one in hosted.REFUSALS])
def test_what_the_host_refuses_reaches_nobody(arenas, refusal):
    arena = arenas[TRANSPORTS[-1], "hasty"]
    with socket.create_connection(("127.0.0.1", arena.running.port), timeout=30) as sock:
        sock.sendall(refusal.said)
        got = b"".join(iter(lambda: sock.recv(65536), b""))
    assert int((got.split(b" ")[1:2] or [b"0"])[0]) == refusal.status, got
    assert got.count(b"HTTP/1.1 ") == bool(refusal.status), got
    assert arena.call(asked_soundly({}), target=f"{CHAT}?row=after").rest().content == TEXT.whole
    assert not [line["path"] for line in arena.running.lines("client") if "row=" not in line["path"]]
    assert not [heard for heard in arena.stage.heard if "row=" not in heard.target]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_greenlet_and_no_descriptor_is_left_behind(seen, arenas, before, transport):
    for (kind, name), arena in arenas.items():
        if kind == transport:
            must_settle(arena, before[arena], name)


def must_settle(arena, was, name):
    """Wait until a proxy holds no more than it did."""
    end = time.monotonic() + PATIENCE
    while any(now > then for now, then in zip(own(arena.holds()), own(was))):
        assert time.monotonic() < end, f"{name} holds {arena.holds()} and held {was}"
        time.sleep(0.05)


def own(held):
    """Greenlets, and descriptors but for the connections that the provider has, too."""
    return held["greenlets"], held["descriptors"] - held["connections"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_memory_does_not_grow_with_faults(seen, arenas, before, transport):
    arena = arenas[transport, "patient"]
    light = [row for row in ROWS if row.arena == "patient" and not row.heavy][::6]
    with ThreadPoolExecutor(16) as pool:

        def played():
            list(pool.map(arena.play, light))
            must_settle(arena, before[arena], "it")
            return min(arena.holds()["blocks"] for _ in range(3)), arena.running.resident()

        warm = [played() for _ in range(6)][-1]  # until the caches are full
        held = [played() for _ in range(5)]
    # Anything kept of an exchange is several blocks, in every round. What is kept for use again (connections, walkers,
    # understood header lines) grows in one round and shrinks in another: by thousands, not in most, or not for good.
    steps = sorted(after[0] - earlier[0] for earlier, after in zip([warm, *held], held))
    grown = min(blocks for blocks, _ in held[2:]) - warm[0]
    assert steps[2] < len(light) or grown < 2 * len(light), (warm, held)
    assert held[-1][1] - warm[1] < 4 << 20, (warm, held)


def survived(found):
    """Whether all is as it must be."""
    try:
        check(found)
    except Exception:
        return False
    return True


@pytest.mark.skipif(len(TRANSPORTS) < 2, reason="the table is about both transports")
def test_the_tables_tell_what_this_run_counted(seen):
    if len(seen) < len(ROWS) * len(TRANSPORTS):
        pytest.skip("only some rows were played")
    counts = {title: sum(survived(seen[transport, title]) for transport in TRANSPORTS) for title in TITLES}
    assert len(ROWS) >= LEAST and sum(counts.values()) >= LEAST * 2
    for path, text in [(README, summary(ROWS, counts, len(TRANSPORTS))), (DOCS, every(ROWS))]:
        if os.environ.get("FAULTS_WRITE"):
            show(path, text)
        assert shown(path) == text, f"{path.name} tells something else: make faults"
