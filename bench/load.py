"""The load: compiles and runs the C client and provider, and wrk where it exists."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

from bench.targets import ROOT, version

HERE = ROOT / "bench"
BUILT = ROOT / ".venvs" / "bench-programs"


def compiler() -> Optional[str]:
    """A C compiler."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def built(name: str) -> Path:
    """``bench/NAME.c`` compiled; again only if it changed."""
    source, program = HERE / f"{name}.c", BUILT / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        found = compiler()
        if not found:
            raise SystemExit("The benchmark needs a C compiler (gcc): its load and its provider are not Python.")
        BUILT.mkdir(parents=True, exist_ok=True)
        fresh = BUILT / f"{name}.{os.getpid()}"
        subprocess.run([found, "-O2", "-o", str(fresh), str(source)], check=True)
        fresh.replace(program)
    return program


class Provider:
    """The mock provider in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([str(built("mock")), "0"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def words(port: int, **options: Any) -> List[str]:
    """The command line of the C client; True is a bare flag, lists are repeated."""
    line = [str(built("load")), "--port", str(port)]
    for name, value in options.items():
        if value is True:
            line.append(f"--{name}")
        elif value is not None and value is not False:
            for one in value if isinstance(value, list) else [value]:
                line += [f"--{name}", str(one)]
    return line


def ask(port: int, **options: Any) -> Dict[str, Any]:
    """Run the C client to its end; what it says about every answer."""
    done = subprocess.run(words(port, **options), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def wrk(
    port: int, path: str, body: Path, want: Optional[Path], count: int, conns: int, timeout: float
) -> Dict[str, Any]:
    """The same with wrk, for whole answers."""
    line = ["wrk", "-t1", f"-c{conns}", f"-d{int(timeout)}s", "--timeout", "60s", "-s", str(HERE / "whole.lua")]
    environ = {**os.environ, "COUNT": str(count), "BODY": str(body)}
    if want:
        environ["WANT"] = str(want)
    process = subprocess.Popen(
        [*line, f"http://127.0.0.1:{port}{path}"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        if process.stderr.readline() == "ENDED\n":
            process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    found = re.search(r"^JSON (.*)$", said, re.M)
    if not found:
        raise RuntimeError(f"wrk failed: {said}")
    return json.loads(found.group(1))  # type: ignore[no-any-return]


def wrk_version() -> str:
    """wrk's version; empty where it is not installed."""
    if not shutil.which("wrk"):
        return ""
    return version(["wrk", "-v"])
