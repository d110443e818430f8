"""An early answer is heard although the client has paused its upload; in a process of its own, with patched sockets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timed

ROOT = Path(__file__).resolve().parent.parent
CODE = """
from gevent import monkey; monkey.patch_all()
import sys, time, gevent
sys.path.insert(0, "tests")
from raw_server import RawServer
from config import Settings
from proxy.upstream.provider import Provider

REFUSAL = b"HTTP/1.1 413 No\\r\\nContent-Length: 3\\r\\n\\r\\nbig"
OK = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
interim = sys.argv[1] == "interim"

def play(peer):
    peer.head()
    peer.body(5)
    peer.say(b"HTTP/1.1 100 Continue\\r\\n\\r\\n", pause=0.05)
    if not interim:
        peer.say(REFUSAL)
    peer.wait(5) if not interim else (peer.body(5), peer.say(OK))

def body():
    yield b"begin"
    gevent.sleep(0.3 if interim else 30)
    yield b"--end"

server = RawServer(play)
door = Provider(Settings(url=server.url, timeout=40_000, transport=sys.argv[2]))
began = time.monotonic()
answer = door.send("POST", door.target("/v1/files", ""), [], body(), length=10)
print(answer.status, answer.read(9).decode(), time.monotonic() - began < 3)
door.close()
"""


@pytest.mark.parametrize(("kind", "told"), [("final", "413 big True"), ("interim", "200 ok True")])
def test_an_answer_ends_the_wait_for_the_client_and_an_interim_one_does_not(transport, kind, told):
    done = subprocess.run(
        [sys.executable, "-c", CODE, kind, transport], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == told + "\n", done.stderr
