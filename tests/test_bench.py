"""The benchmark sees what a cheap proxy may have done wrong: it runs its own lane on proxies that cheat."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from bench import load
from bench.bars import faults
from bench.lanes import Lane, chat
from bench.measure import Bench
from bench.run import summed
from bench.targets import Direct

ASK = chat("bench-p-6-60", True)
LANE = Lane("three short streams", ASK, ASK, 4, 4, "token", tokens=6)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not load.compiler(), reason="the benchmark's load is a C program for Linux"
)


class Cheat:
    """A relay of one connection at a time per thread, whose ``change`` makes of an answer's pieces what it sends."""

    def __init__(self, provider: int, change: Callable[[Iterator[bytes]], Iterator[bytes]]) -> None:
        self.provider = provider
        self.change = change
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self) -> None:
        """Take connections until the listener is shut."""
        with suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                self.threads.append(threading.Thread(target=self.relay, args=(client,), daemon=True))
                self.threads[-1].start()

    def relay(self, client: socket.socket) -> None:
        """Ask and answer, until the client leaves."""
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.provider), timeout=60) as provider:
            while True:
                asked = client.recv(65536)
                if not asked:
                    return
                provider.sendall(asked)
                for piece in self.change(pieces(provider)):
                    client.sendall(piece)

    def close(self) -> None:
        """Shut the listener, and wait for the threads: their clients have left."""
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(30)
        self.listener.close()


def pieces(provider: socket.socket) -> Iterator[bytes]:
    """One answer, as it comes."""
    last = b""
    while not last.endswith(b"0\r\n\r\n"):
        last = provider.recv(65536)
        if not last:
            return
        yield last


def at_the_end(answer: Iterator[bytes]) -> Iterator[bytes]:
    """Collects all of it first: cheap, and of no use."""
    yield b"".join(answer)


def another_word(answer: Iterator[bytes]) -> Iterator[bytes]:
    """As many bytes, but not the same."""
    return (piece.replace(b"fp_bench", b"fp_wrong") for piece in answer)


def one_token_twice(answer: Iterator[bytes]) -> Iterator[bytes]:
    """Says a token again instead of the next one."""
    return (piece.replace(b"#0003 ", b"#0002 ") for piece in answer)


@pytest.fixture()
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], list[str]]]:
    """``judged(change)``: what the benchmark says of a proxy that does this."""
    monkeypatch.setattr(load, "BUILT", tmp_path)
    provider = load.Provider()
    cheats: list[Cheat] = []

    def judge(change: Callable[[Iterator[bytes]], Iterator[bytes]]) -> list[str]:
        cheats.append(Cheat(provider.port, change))
        bench = Bench(tmp_path, False, 1)
        target = Direct(cheats[-1].port).start()
        target.name = "proxy"
        direct = bench.round(LANE, Direct(provider.port).start(), None)
        direct["delay"]["max"] = 0  # on a machine that stands still this one would excuse anything
        rounds = [bench.round(LANE, target, direct)]
        return faults({"b": {"proxy": {"rounds": rounds, **summed(rounds)}}})

    yield judge
    provider.stop()
    for one in cheats:
        one.close()


def test_a_stream_delivered_at_its_end_does_not_count(judged: Callable[[Any], list[str]]) -> None:
    said = judged(at_the_end)
    assert len(said) == 1
    assert "late tokens in every round: [" in said[0]


def test_other_bytes_do_not_count(judged: Callable[[Any], list[str]]) -> None:
    assert "lane b, proxy: other bytes than the provider's" in judged(another_word)


def test_a_token_in_the_place_of_another_does_not_count(judged: Callable[[Any], list[str]]) -> None:
    assert "lane b, proxy: 4 wrong" in judged(one_token_twice)


def test_the_very_bytes_as_they_come_are_not_blamed(judged: Callable[[Any], list[str]]) -> None:
    assert [one for one in judged(iter) if "late" not in one] == []  # lateness is the machine's to decide
