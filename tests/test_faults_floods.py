"""Too many clients and too slow ones: memory stays flat, nothing stays behind, and the next exchange is sound."""

from __future__ import annotations

import socket
import time

import pytest
from conftest import MODERN
from faults.arena import HOOK, PATIENCE, Arena, Stage
from proxy_process import ROOT, ProxyProcess
from raw_client import Call
from stories import CLOSING, DONE, END, OPENING, TEXT, chunk, token
from stories import STREAM_HEAD as HEAD
from witness import ask, sound

MIB = 1 << 20
WORDS = b"".join(chunk(token(b"x" * 1000)) for _ in range(1000))  # over 1 MB


@pytest.fixture(scope="module", params=["requests", pytest.param("fast", marks=MODERN)])
def arena(request, tmp_path_factory):
    """A proxy of its own on each transport, warm."""
    stage, told = Stage(), tmp_path_factory.mktemp("held") / "held"
    environ = {"PYTHONPATH": f"{HOOK}:{ROOT}", "FAULTS_TOLD": str(told)}
    settings = {"transport": request.param, "max_aggregate_bytes": 4 * MIB}
    running = ProxyProcess.app(stage.url, tmp_path_factory.mktemp("journal"), settings, environ)
    one = Arena(running.ready(not_port=stage.port), stage, told)
    one.warm()
    yield one
    stage.close()
    assert running.stop(clean=False) == 0
    assert "Traceback" not in running.stderr + running.log()


def settled(arena, was):
    """Wait until the proxy holds no more than it did."""
    end = time.monotonic() + PATIENCE
    while True:
        now = arena.holds()
        extra = now["descriptors"] - now["connections"] - was["descriptors"] + was["connections"]
        if now["greenlets"] <= was["greenlets"] and extra <= 0:
            return now
        assert time.monotonic() < end, f"it holds {now} and held {was}"
        time.sleep(0.05)


def test_10000_connections_opened_and_closed_leave_nothing(arena):
    was, memory = arena.holds(), arena.running.resident()
    for number in range(10_000):
        with socket.create_connection(("127.0.0.1", arena.running.port), timeout=PATIENCE) as sock:
            if number % 4 == 0:
                sock.sendall(b"GET /healthz HTTP/1.1\r\n" if number % 8 else b"\r\n")
    now = settled(arena, was)
    assert now["blocks"] - was["blocks"] < 10_000, "each of them left something"
    assert arena.running.resident() - memory < 30 * MIB
    assert arena.call(ask("m")).rest().content == TEXT.whole


def test_a_client_that_hardly_reads_costs_no_memory_and_holds_the_provider_back(arena):
    arena.stage.scripts["slow"] = [HEAD, chunk(OPENING), *[WORDS] * 100, chunk(CLOSING), chunk(DONE), END]
    memory = arena.running.resident()
    call = Call(arena.running.port, ask("m", True), target="/v1/chat/completions?row=slow")
    call.sock.settimeout(PATIENCE)
    for _ in range(60):  # a byte at a time, and only those
        assert call.sock.recv(1)
        time.sleep(0.02)
    (heard,) = arena.stage.by_row["slow"]
    said = sum(len(piece) for _, piece in heard.sent)
    assert said < 60 * MIB, "the provider could say everything although nobody reads"
    assert arena.running.resident() - memory < 40 * MIB
    call.leave(reset=True)
    assert heard.left_within(10), "the provider goes on for nobody"
    pair = arena.pair("slow")
    sound(pair, outcome="client_abort", status=200, upstream_status=200)
    assert arena.call(ask("m")).rest().content == TEXT.whole
