"""A proxy in a process of its own, started as an operator starts it: what it prints, answers and writes down."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Sequence

ROOT = Path(__file__).resolve().parent.parent
START = 40  # seconds until a start that says nothing has failed
PORTS = itertools.cycle(random.sample(range(10_000, 32_000), 2_000))  # of this run: another begins elsewhere
LISTENS = re.compile(r"http://127\.0\.0\.1:(\d+)")
NEEDED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")


class Pair(NamedTuple):
    """The two records of one exchange."""

    client: dict[str, Any]
    server: dict[str, Any]


def flags_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as the command line has them: True is a bare flag, False its ``--no-`` form, a list is repeated."""
    words: list[str] = []
    for name, value in settings.items():
        if value is True:
            words.append(f"--{name}")
        elif value is False:
            words.append(f"--no-{name}")
        else:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                words += [f"--{name}", str(item)]
    return words


def bare_environment(**extra: str) -> dict[str, str]:
    """An environment without this machine's proxies, netrc files and settings."""
    kept = {name: os.environ[name] for name in NEEDED if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **extra}


def free_port() -> int:
    """A port for hosts that cannot say which one they took: below those that the kernel gives to whoever asks."""
    while True:
        port = next(PORTS)
        with suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


class ProxyProcess:
    """One running host of the proxy; ``command`` is the whole command line, ``folder`` holds the journal."""

    def __init__(
        self, command: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None, port: int = 0
    ) -> None:
        self.folder = folder
        self.port = port
        self.asked_to_end = False
        self.out: list[str] = []
        self.err: list[str] = []
        self.seen: dict[str, list[dict[str, Any]]] = {}
        self.offsets: dict[str, int] = {}
        self.process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env={**bare_environment(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.threads = [
            threading.Thread(target=self.listen, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for thread in self.threads:
            thread.start()

    @classmethod
    def app(cls, url: str, folder: Path, settings: Mapping[str, Any], environ: Mapping[str, str]) -> ProxyProcess:
        """``python app.py`` on a free port, as the contract starts it."""
        fixed = {"output_path": folder, "expose_host": "127.0.0.1", "expose_port": 0, "url": url}
        return cls([sys.executable, "app.py", *flags_of({**fixed, **settings})], folder, environ)

    @staticmethod
    def listen(stream: Any, lines: list[str]) -> None:
        """Collect what the process prints, line by line."""
        with stream:
            lines.extend(iter(stream.readline, ""))

    @property
    def origin(self) -> str:
        """Scheme, host and port for clients."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI SDK is given."""
        return f"{self.origin}/v1"

    @property
    def stderr(self) -> str:
        """All that it complained about so far."""
        return "".join(self.err)

    def ready(self, not_port: int = 0) -> ProxyProcess:
        """Wait until it listens (``not_port`` is the provider's, which is printed too)."""
        self.until(lambda: self.listening(not_port), START, "no line says where it listens")
        return self

    def listening(self, not_port: int) -> bool:
        """Whether the port is known, from what was printed or given, and a worker answers."""
        if not self.port:
            ports = [int(port) for line in list(self.out) for port in LISTENS.findall(line)]
            self.port = next((port for port in ports if port != not_port), 0)
        if not self.port:
            return False
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")  # until a worker is there
            return sock.recv(15).startswith(b"HTTP/1.1 200")
        return False

    def until(self, true: Callable[[], Any], seconds: float, otherwise: str) -> Any:
        """Wait for something to become true; fails with what the process printed."""
        end = time.monotonic() + seconds
        while True:
            found = true()
            if found:
                return found
            alive = self.process.poll() is None
            assert alive and time.monotonic() < end, (
                f"{otherwise} (exit code {self.process.poll()})\n{''.join(self.out)}{self.stderr}"
            )
            time.sleep(0.005)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The records of one journal file, ``client`` or ``server``; a last line still being written is left out."""
        seen = self.seen.setdefault(name, [])
        path = self.folder / f"{name}_interaction.jsonl"
        if path.exists():
            with path.open("rb") as file:
                file.seek(self.offsets.get(name, 0))
                whole = file.read().rpartition(b"\n")[:2]
            self.offsets[name] = self.offsets.get(name, 0) + sum(map(len, whole))
            seen += [json.loads(line) for line in b"".join(whole).splitlines()]
        return list(seen)

    def records(self, count: int = 1, **fields: Any) -> list[Pair]:
        """Wait until both files have ``count`` records with these fields; exactly as many, joined by logging_id."""

        def found() -> list[Pair] | None:
            matching = [
                [line for line in self.lines(name) if all(line.get(key) == value for key, value in fields.items())]
                for name in ("client", "server")
            ]
            if min(map(len, matching)) < count:
                return None
            by_id = {line["logging_id"]: line for line in matching[1]}
            assert len(by_id) == len(matching[1]) == len(matching[0]) == count, f"{count} records wanted: {matching}"
            return [Pair(line, by_id[line["logging_id"]]) for line in matching[0]]

        return self.until(found, 10, f"not {count} records in each file with {fields}")  # type: ignore[no-any-return]

    def record(self, **fields: Any) -> Pair:
        """The only exchange with these fields."""
        return self.records(1, **fields)[0]

    def log(self) -> str:
        """The text of log.log."""
        path = self.folder / "log.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def resident(self) -> int:
        """Resident memory of the process and its children, in bytes, from /proc."""
        return sum(resident(pid) for pid in family(self.process.pid))

    def terminate(self) -> None:
        """SIGTERM, once."""
        if self.process.poll() is None and not self.asked_to_end:
            self.asked_to_end = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self, *, clean: bool = True) -> int:
        """SIGTERM and wait; ``clean``: it must end with 0 and have complained about nothing."""
        self.terminate()
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            code = -1
        self.kill()
        if clean:
            assert code == 0, f"exit code {code} after SIGTERM\n{self.stderr}"
            assert "Traceback" not in self.stderr + self.log(), self.stderr + self.log()
        return code

    def kill(self) -> None:
        """Make sure that nothing of it survives."""
        kill(self.process)
        self.process.wait(5)
        for thread in self.threads:
            thread.join(5)


def told_by(process: Any, stream: str = "stdout", seconds: float = 60) -> Any:
    """The next line that a process prints; one that says nothing for so long is killed, and the line is empty."""
    timer = threading.Timer(seconds, kill, (process,))
    timer.daemon = True
    timer.start()
    try:
        return getattr(process, stream).readline()
    finally:
        timer.cancel()


def kill(process: Any) -> None:
    """End a process and whatever workers a session of its own has left: they would hold its pipes open."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def killed(process: Any) -> Any:
    """What a process had still to say when it was killed."""
    kill(process)
    return process.communicate(timeout=20)


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: list[int] = []
    with suppress(OSError):  # it has ended
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(one for child in children for one in family(child))]


def resident(pid: int) -> int:
    """Resident memory of one process, in bytes; 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found.group(1)) * 1024 if found else 0
