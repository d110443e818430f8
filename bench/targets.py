"""What is measured: the provider itself, nginx, the proxy, and its peers; how each is started on the same provider."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bench.processes import family

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
KEY = "sk-bench"  # what every client shows; LiteLLM does not start without one
START = 90  # seconds; LiteLLM takes its time
JOURNALS = ("client_interaction.jsonl", "server_interaction.jsonl")
NGINX = """
daemon off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error.log;
events { worker_connections 12000; }
http {
  access_log off; client_max_body_size 0; keepalive_requests 1000000;
  client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/proxy; fastcgi_temp_path %(folder)s/fastcgi;
  uwsgi_temp_path %(folder)s/uwsgi; scgi_temp_path %(folder)s/scgi;
  upstream provider { server 127.0.0.1:%(provider)d; keepalive 256; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:%(port)d;
    location / {
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 1h;
    }
  }
}
"""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Target(ABC):
    """One running party; ``port`` is where clients ask it, ``pid`` the process all of whose family is measured."""

    name = "provider"
    health: Optional[str] = None
    address = "/v1"  # what the URL of a provider ends in

    def __init__(self, provider_port: int, flags: Sequence[str] = (), suffix: str = "") -> None:
        self.provider_port = provider_port
        self.flags = list(flags)
        self.port = 0
        self.process: Optional[subprocess.Popen[str]] = None
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.took = 0.0
        self.label = self.name

    @abstractmethod
    def command(self) -> Tuple[List[str], Dict[str, str]]:
        """The command line and what it needs in its environment."""

    def start(self) -> Target:
        """Start it and wait until it answers; ``took`` says how long that was, in seconds."""
        self.port = free_port()
        words, environ = self.command()
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        begun = time.monotonic()
        with (self.folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                words,
                cwd=self.folder,
                env={**kept, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        prefer(self.process.pid)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > begun + START:
                said = (self.folder / "output").read_text()[-2000:]
                self.stop()
                raise RuntimeError(f"{self.name} did not start: {said}")
            time.sleep(0.002)
        self.took = time.monotonic() - begun
        return self

    def answers(self) -> bool:
        """Whether it says 200 to a question after its health, or takes connections if it has no such page."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            if self.health is None:
                return True
            sock.sendall(f"GET {self.health} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return sock.recv(15).startswith(b"HTTP/1.1 200")
        return False

    @property
    def pid(self) -> int:
        """The process at the head of the family; 0 for the provider asked directly, which costs nothing in between."""
        return self.process.pid if self.process else 0

    def journaled(self) -> Optional[List[int]]:
        """How many lines each journal has; None for who keeps none."""
        return None

    def stop(self) -> None:
        """End it with all its descendants."""
        if self.process:
            everyone = family(self.process.pid)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
            for pid in [self.process.pid, *everyone]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(5)
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


class Direct(Target):
    """No one in between."""

    name = "direct"

    def command(self) -> Tuple[List[str], Dict[str, str]]:
        """Nothing to run."""
        return [], {}

    def start(self) -> Target:
        """The provider runs already."""
        self.port = self.provider_port
        return self


class Nginx(Target):
    """nginx as a plain reverse proxy: what is physically possible."""

    name = "nginx"

    def command(self) -> Tuple[List[str], Dict[str, str]]:
        """A configuration of its own, one worker."""
        path = self.folder / "nginx.conf"
        path.write_text(NGINX % {"folder": self.folder, "port": self.port, "provider": self.provider_port})
        return [str(nginx()), "-p", str(self.folder), "-c", str(path)], {}


class Proxy(Target):
    """This project, as `python app.py` starts it, with both journals; ``flags`` come after the needed ones."""

    name = "proxy"
    health = "/healthz"
    root = ROOT
    python = ""

    def command(self) -> Tuple[List[str], Dict[str, str]]:
        """The quick start's own command line."""
        words = [
            self.python,
            str(self.root / "app.py"),
            "--url",
            f"http://127.0.0.1:{self.provider_port}{self.address}",
        ]
        words += ["--output_path", str(self.folder), "--expose_host", "127.0.0.1", "--expose_port", str(self.port)]
        return [*words, *self.flags], {}

    def journaled(self) -> Optional[List[int]]:
        """Both journals."""
        return [_lines(self.folder / name) for name in JOURNALS]


class OpenaiForward(Target):
    """openai-forward as its README runs it, chat log on."""

    name = "openai-forward"
    health = "/healthz"
    python = ""

    def command(self) -> Tuple[List[str], Dict[str, str]]:
        """Its settings are its environment."""
        where = [{"base_url": f"http://127.0.0.1:{self.provider_port}", "route": "/", "type": "openai"}]
        environ = {"FORWARD_CONFIG": json.dumps(where), "LOG_OPENAI": "true", "TIMEOUT": "600"}
        return [self.python, "-m", "openai_forward", "run", f"--port={self.port}", "--workers=1"], environ


class LiteLLM(Target):
    """LiteLLM's proxy without a database."""

    name = "litellm"
    health = "/health/liveliness"
    python = ""
    models = ("bench-b-5-0", "bench-b-20-0", "bench-b-100-0", "bench-p-100-30", "bench-p-10-20", "bench-i-1-0")

    def command(self) -> Tuple[List[str], Dict[str, str]]:
        """Its models one by one: wildcards cost it more."""
        there = {"api_base": f"http://127.0.0.1:{self.provider_port}/v1", "api_key": "sk-bench"}
        models = [{"model_name": one, "litellm_params": {"model": f"openai/{one}", **there}} for one in self.models]
        path = self.folder / "config.yaml"  # JSON is YAML
        # without the last one it turns Anthropic's asks into OpenAI's Responses, which is another lane
        quiet = {"num_retries": 0, "telemetry": False, "use_chat_completions_url_for_anthropic_messages": True}
        settings = {"litellm_settings": quiet, "general_settings": {"master_key": KEY}}
        path.write_text(json.dumps({"model_list": models, **settings}))
        words = [str(Path(self.python).parent / "litellm"), "--config", str(path), "--host", "127.0.0.1"]
        return [*words, "--port", str(self.port)], {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def prefer(pid: int) -> None:
    """Give a session the niceness of this process: the kernel weighs whole sessions against each other."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(os.getpriority(os.PRIO_PROCESS, 0)))


def nginx() -> Optional[str]:
    """Where nginx is; Debian's is not in everybody's PATH."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))


def version(words: Sequence[str], pattern: str = r"\d+(\.\d+)+") -> str:
    """The version that a program tells of itself."""
    try:
        done = subprocess.run(list(words), capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    found = re.search(pattern, "" if "Traceback" in done.stderr else done.stdout + done.stderr)
    return found.group(0) if found else ""


def other_checkout(name: str, folder: str, python: str) -> Any:
    """The proxy of another checkout, to be measured in the same run."""
    return type("Other", (Proxy,), {"name": name, "root": Path(folder).resolve(), "python": python})
