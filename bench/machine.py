"""The kind of machine a run was made on, in general terms, and the versions of what took part."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from typing import Any, Dict

from bench.load import wrk_version
from bench.targets import LiteLLM, OpenaiForward, Proxy, nginx, version

ASKED = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


def _package(kind: Any, name: str) -> str:
    return version([kind.python, "-c", ASKED, name]) if kind.python and os.path.isfile(kind.python) else ""


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found.group(1).strip() if found else platform.machine()


def describe(kinds: Dict[str, Any], with_wrk: bool, rounds: int) -> Dict[str, Any]:
    """What a reader must know to compare; no names of hosts or folders."""
    versions = {
        "Python": version([Proxy.python, "--version"]),
        **{
            name: _package(Proxy, name)
            for name in ("gunicorn", "gevent", "flask", "requests", "geventhttpclient", "gunicorn_h1c")
        },
        "nginx": version([str(nginx()), "-v"]) if "nginx" in kinds else "",
        "openai-forward": _package(OpenaiForward, "openai-forward") if "openai-forward" in kinds else "",
        "LiteLLM": _package(LiteLLM, "litellm") if "litellm" in kinds else "",
    }
    by = f"wrk {wrk_version()}" if with_wrk else "bench/load.c too, as wrk is not installed"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"Linux {platform.release().split('-')[0]}",
        "load": list(os.getloadavg()),
        "versions": versions,
        "whole_by": by,
        "rounds": rounds,
    }
