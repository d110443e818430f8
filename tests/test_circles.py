"""What an exchange has made goes with it: nothing holds itself in a circle until somebody looks for garbage.

A circle through a large body would keep it in memory for as long as nobody looks, which is seldom (leaving.py).
"""

from __future__ import annotations

import gc
import json
import warnings
from typing import Any, Dict, Tuple

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from config import load
from proxy import create_app

CHAT = {"model": "demo", "messages": [{"role": "user", "content": "Hi"}]}
ASKS: Dict[str, Tuple[str, str, Any]] = {
    "whole": ("POST", "/v1/chat/completions", CHAT),
    "stream": ("POST", "/v1/chat/completions", {**CHAT, "stream": True}),
    "translated": ("POST", "/v1/messages", {**CHAT, "max_tokens": 9, "stream": True}),
    "refused": ("POST", "/v1/chat/completions", {**CHAT, "model": "demo-429"}),
    "wrong": ("POST", "/v1/chat/completions", {"messages": 5}),
    "forwarded": ("GET", "/v1/models", None),
    "not there": ("POST", "/v1/files", {"a": "x" * 10_000}),
    "ours": ("GET", "/healthz", None),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The application in front of the embedded provider."""
    return create_app(load(["--url", "demo:", "--output_path", str(tmp_path_factory.mktemp("logs"))], {}))


@pytest.mark.parametrize("kind", ASKS)
def test_an_exchange_leaves_no_garbage(app, kind):
    method, path, body = ASKS[kind]

    def ask() -> str:
        environ = create_environ(path, method=method, data=None if body is None else json.dumps(body))
        blocks, status, _ = run_wsgi_app(app, environ, buffered=True)
        b"".join(blocks)
        return status

    first = ask()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what tests before this one have left
        gc.collect()
    gc.freeze()  # what is there already is not looked through again
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        again = ask()
        gc.collect()
        left = sorted({f"{type(one).__module__}.{type(one).__name__}" for one in gc.garbage})
    finally:
        gc.set_debug(0)
        gc.enable()
        gc.unfreeze()
        gc.garbage.clear()
    assert again == first
    assert not [name for name in left if name.startswith(("proxy.", "flask.", "werkzeug."))], left
