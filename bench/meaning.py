"""Whether a converted answer says what the provider said: read by means that are not the proxy's own."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any, Iterator, List

from bench.lanes import MESSAGES, Ask

TOKENS = re.compile(r"@\d{16}#(\d{4}) ")


def ask_once(port: int, ask: Ask) -> bytes:
    """One answer's body; anything but 200 raises."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = None if ask.body is None else json.dumps(ask.body).encode()
    headers = dict(line.split(": ", 1) for line in ask.headers)
    connection.request(ask.method, ask.path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{ask.path} answered {answer.status}: {said[:500]!r}")
    return said


def _frames(body: bytes) -> Iterator[Any]:
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].lstrip(" ") for line in block.split("\n") if line.startswith("data:"))
        if data and data != "[DONE]":
            yield json.loads(data)


def text_of(ask: Ask, body: bytes) -> str:
    """The text that a client of this protocol takes out of its answer; an answer that is not complete raises."""
    if ask.path == MESSAGES:
        events = list(_frames(body))
        assert events[-1]["type"] == "message_stop", events[-1]
        return "".join(one["delta"].get("text", "") for one in events if one["type"] == "content_block_delta")
    if not ask.body.get("stream"):
        return str(json.loads(body)["choices"][0]["message"]["content"])
    assert body.rstrip().endswith(b"data: [DONE]"), body[-200:]
    choices = [one["choices"][0] for one in _frames(body) if one["choices"]]
    assert choices[-1]["finish_reason"] == "stop", choices[-1]
    return "".join(one["delta"].get("content") or "" for one in choices)


def faults(port: int, ask: Ask, tokens: int) -> List[str]:
    """What is wrong with one answer: nothing, or one line."""
    try:
        text = text_of(ask, ask_once(port, ask))
    except (AssertionError, RuntimeError, ValueError, LookupError, OSError) as wrong:
        return [f"not understood: {wrong!r}"[:300]]
    said = [int(number) for number in TOKENS.findall(text)]
    if TOKENS.sub("", text) or said != list(range(tokens)):
        return [f"another text: {text[:100]!r}"]
    return []
