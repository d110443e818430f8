"""Where rows are played: a proxy, a provider that knows each row by its token, and what was seen of each row."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from matrix_providers import PROVIDERS
from matrix_stories import TEXT as STORY
from provider import Provider, Script
from proxy_process import Pair, ProxyProcess, family
from raw_client import Call
from stories import HELLO, TEXT, tells, whole
from witness import sound

from faults import spoken
from faults.row import ANY, MODES, HalfClose, Heard, Leave, Nap, Rest, Row, Till, Want, spelled, wanted
from faults.rules import check_mended, check_rules

HOOK = Path(__file__).parent / "hook"
PATIENCE = 30.0  # seconds until something that must happen has not happened
CONTROL = re.compile("[^\t\r\n -~\x80-\xff]")
CHAT = "/v1/chat/completions"
NATIVE = ("anthropic", "ollama", "dashscope")  # providers of protocols of their own
LISTED = b'{"object":"list","data":[]}'


class Stage(Provider):
    """A provider whose scripts are chosen by ``?row=``; an ask without one is answered soundly."""

    def __init__(self, *args: Any, speaks: str = "openai") -> None:
        self.scripts: dict[str, Script] = {}
        self.by_row: dict[str, list[Any]] = {}
        self.greeting = ""
        super().__init__(*args)
        sound = PROVIDERS[speaks].tells(STORY) if speaks in NATIVE else tells(TEXT)
        self.chooses(lambda heard: sound(heard) if heard.method == "POST" else [whole(LISTED)])

    def note(self, heard: Any) -> Script:
        """Choose as soon as the head is there: a script may say how the body is to be read."""
        row = heard.target.partition("row=")[2]
        with self.lock:
            self.heard.append(heard)
            self.by_row.setdefault(row, []).append(heard)
        return self.scripts.get(row, [])

    def hang_up(self) -> None:
        """End all connections, so that the next request comes on one of its own."""
        for one in self.connections:
            with suppress(OSError):
                socket.socket.shutdown(one.sock, socket.SHUT_RDWR)
        until(lambda: not self.open, "connections do not end")

    @property
    def open(self) -> int:
        """How many connections have not ended."""
        with self.lock:
            return sum(one.sock.fileno() >= 0 for one in self.connections)


class Seen(NamedTuple):
    """What came of a row: the client's side, the requests the provider heard, both records, the exchange after it."""

    row: Row
    token: str
    call: Call
    heard: list[Any]
    pair: Pair | None
    after: Call
    sound: str  # what the after of a well provider is


class Arena:
    """One running proxy and its provider. ``told`` is where its processes write what they hold."""

    def __init__(
        self,
        running: ProxyProcess,
        stage: Stage,
        told: Path,
        *,
        context: Any = None,
        well: bool = True,
    ) -> None:
        self.running = running
        self.stage = stage
        self.context = context  # of clients who speak TLS
        self.well = well  # whether there is a provider that can answer soundly
        self.sound = ""
        self.one = threading.Lock()  # rows with a greeting come one after the other
        self.told = told
        self.tokens = itertools.count(1)
        self.lock = threading.Lock()
        self.journal: dict[str, dict[str, list[Any]]] = {"client": {}, "server": {}}
        self.counted = {"client": 0, "server": 0}

    def play(self, row: Row) -> Seen:
        """Let one row happen, and a sound exchange after it."""
        token = str(next(self.tokens))
        self.stage.scripts[token] = row.play
        with self.one if row.arena == "gate" else nullcontext():
            if row.greet:
                self.stage.hang_up()
            self.stage.greeting = row.greet
            call = self.act(row, token)
            self.stage.greeting = ""
            after = self.call(asked({}), target=f"{CHAT}?row={token}.after").rest(PATIENCE)
        return Seen(row, token, call, self.stage.by_row.get(token, []), self.pair(token), after, self.sound)

    def call(self, body: bytes, **more: Any) -> Call:
        """A request on a connection of its own."""
        return Call(self.running.port, body, context=self.context, **more)

    def act(self, row: Row, token: str) -> Call:
        """The client's side of a row."""
        headers = [("X-Forward-Mode", MODES[row.way]), *row.headers]
        mark = "&" if "?" in row.target else "?"
        body = asked({**({"stream": True} if row.streams else {}), **row.more}) if row.body is None else row.body
        body = b"" if row.method == "GET" else body
        call = self.call(body, method=row.method, target=f"{row.target}{mark}row={token}", headers=headers)
        for act in row.acts:
            self.step(call, act, token)
        return call

    def step(self, call: Call, act: Any, token: str) -> None:
        """One act of the client's."""
        if isinstance(act, bytes):
            with suppress(ConnectionError):
                call.send(act)
        elif isinstance(act, Till):
            call.until(act.mark, PATIENCE)
        elif isinstance(act, Heard):
            until(lambda: self.stage.by_row.get(token), "the provider heard nothing")
        elif isinstance(act, Leave):
            call.leave(reset=act.reset)
        elif isinstance(act, HalfClose):
            call.sock.shutdown(1)
        elif isinstance(act, Nap):
            time.sleep(act.seconds)
        elif isinstance(act, Rest):
            call.rest(PATIENCE)

    def pair(self, token: str) -> Pair | None:
        """Both records of a row."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.records(token)
            if all(found):
                assert [len(one) for one in found] == [1, 1], f"more than one record: {found}"
                return Pair(found[0][0], found[1][0])
            time.sleep(0.01)
        return None

    def records(self, token: str) -> list[list[dict[str, Any]]]:
        """The lines of both journals about ``token``; one thread at a time reads what is new."""
        with self.lock:
            for name, by_row in self.journal.items():
                for line in self.running.lines(name)[self.counted[name] :]:
                    self.counted[name] += 1
                    by_row.setdefault(line["path"].rpartition("row=")[2], []).append(line)
            return [list(by_row.get(token, [])) for by_row in self.journal.values()]

    def warm(self) -> None:
        """Sound exchanges of each kind, after which everything is there that is made on first use."""
        if self.well:
            sound = self.call(asked({}), target=f"{CHAT}?row=warm").rest(PATIENCE)
            assert (
                sound.json["choices"][0]["message"]["content"]
                == json.loads(TEXT.whole)["choices"][0]["message"]["content"]
            )
            self.sound = spelled(sound.content)
        if not self.well:
            self.call(asked({}), target=f"{CHAT}?row=warm").rest(PATIENCE)
        for _ in range(2 if self.well else 0):
            for more in ({}, {"stream": True}, {"user": "x" * 100_000}):
                self.call(asked(more), target=f"{CHAT}?row=warm").rest(PATIENCE)
            self.call(b"", method="GET", target="/v1/models?row=warm").rest(PATIENCE)

    def holds(self) -> dict[str, int]:
        """What the worker holds at the moment."""
        (worker,) = family(self.running.process.pid)[1:]
        path = Path(f"{self.told}.{worker}")
        with suppress(FileNotFoundError):
            path.unlink()
        os.kill(worker, signal.SIGPROF)
        until(path.exists, "the worker does not tell what it holds")
        held: dict[str, int] = json.loads(path.read_text())
        return {**held, "connections": self.stage.open}


def asked(more: dict[str, Any]) -> bytes:
    """A sound ask."""
    return json.dumps({"model": "m", "messages": HELLO, **more}).encode()


def until(true: Any, otherwise: str, seconds: float = PATIENCE) -> Any:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.005)
    return true()


def check(seen: Seen) -> None:
    """Everything that must be true of a row."""
    row, want, call, pair = seen.row, wanted(seen.row), seen.call, seen.pair
    assert pair is not None, f"no two records; the client got {call.got!r}"
    error = pair.client["error"]
    code = None if error is None else error.get("code") or ""
    assert want is not None, "@@@" + json.dumps(
        [row.title, [call.status, pair.client["outcome"], code, pair.client["upstream_status"], spelled(call.content)]]
    )
    check_rules(row, call, pair.client, pair.server)
    if row.group == spoken.GROUP:
        spoken.check_meaning(row, call, pair.client)
    if row.way == "stream" and row.target == CHAT and pair.client["outcome"] == "complete":
        check_mended(call, b"".join(piece for _, piece in seen.heard[0].sent), pair.client)
    if any(isinstance(act, Rest) for act in row.acts):
        check_client(want, call)
    assert code == want.code or code in want.several, f"on record: {error}"
    upstream = pair.client["upstream_status"] if want.upstream == ANY else want.upstream
    sound(pair, outcome=want.outcome, status=want.status, upstream_status=upstream)
    assert bool(seen.heard) == want.asked, f"the provider heard {seen.heard}"
    assert len(seen.heard) < 2, "asked twice"
    assert want.kept or all(let_go(one) for one in seen.heard), "the provider's connection is still open"
    healthy = (200, seen.sound) if seen.sound else (want.status, spelled(seen.after.content))
    assert (seen.after.status, spelled(seen.after.content)) == healthy, seen.after.got


def let_go(heard: Any) -> bool:
    """Whether a connection to the provider has ended, by either side."""
    return heard.connection.sock.fileno() < 0 or bool(heard.left_within(10))


def check_client(want: Want, call: Call) -> None:
    """What the client got."""
    told = (call.status, call.content)
    assert call.status == want.status, told
    assert not CONTROL.search(call.head), call.head
    assert len(call.all("content-length")) + len(call.all("transfer-encoding")) <= 1, call.head
    if want.text is not None:
        assert spelled(call.content) == want.text, told
    elif want.broken:
        assert call.content == want.content and not call.complete, told
    elif want.code is None or want.upstream == want.status >= 400:
        assert call.content == want.content, told
    elif want.content is None:
        assert call.error["code"] in (want.code, *want.several), told
        assert set(call.json) == {"error"} and call.header("content-type") == "application/json"
    else:
        check_broken_stream(want, call)


def check_broken_stream(want: Any, call: Call) -> None:
    """A stream up to an error frame, which is told once, and one [DONE] after it."""
    before, frame, rest = call.content.rpartition(b'data: {"error"')
    assert before == want.content and frame, (call.status, call.content)
    told, done, end = (frame + rest).partition(b"\n\ndata: [DONE]\n\n")
    assert done and not end, (call.status, call.content)
    error = json.loads(told[6:])["error"]
    assert {"message", "type", "param", "code"} <= set(error) and error["message"], error
    assert error["code"] in (want.code, *want.several), error
