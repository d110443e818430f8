"""How the tests talk to the demo provider: through requests, as the proxy does, and fifty times as fast."""

from __future__ import annotations

from typing import Any, Iterator

import requests
from msgspec import json

from proxy.upstream.demo import DemoAdapter

URL = "demo:/v1/chat/completions"


def session(speed: float = 50.0) -> requests.Session:
    """A session whose ``demo:`` URLs are answered by the demo provider."""
    mounted = requests.Session()
    mounted.mount("demo:", DemoAdapter(speed))
    return mounted


def ask(question: Any = "What is a proxy?", **more: Any) -> dict[str, Any]:
    """A chat ask of one message."""
    return {"model": "demo", "messages": [{"role": "user", "content": question}], **more}


def post(body: Any, url: str = URL, speed: float = 50.0, timeout: Any = None) -> requests.Response:
    """Post ``body`` (bytes, or what becomes JSON); the answer's body is not read yet."""
    data = body if isinstance(body, bytes) else json.encode(body)
    return session(speed).post(url, data=data, stream=True, timeout=timeout)


def pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as the proxy reads it: what is there, as soon as it is there."""
    yield from iter(lambda: response.raw.read1(65536, decode_content=True), b"")


def frames(response: requests.Response) -> list[bytes]:
    """The data of every record of a streamed answer."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    records = b"".join(pieces(response)).split(b"\n\n")
    assert records.pop() == b""
    assert all(record.startswith(b"data: ") for record in records)
    return [record[len(b"data: ") :] for record in records]


def chunks(body: dict[str, Any], url: str = URL) -> list[dict[str, Any]]:
    """The chunks of a streamed answer that ends as it should."""
    *said, done = frames(post({**body, "stream": True}, url))
    assert done == b"[DONE]"
    return [json.decode(one) for one in said]


def whole(body: dict[str, Any], url: str = URL) -> dict[str, Any]:
    """The whole answer to an ask."""
    response = post(body, url)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    reply: dict[str, Any] = json.decode(b"".join(pieces(response)))
    return reply


def error(response: requests.Response, status: int) -> dict[str, Any]:
    """The error object of a refusal."""
    assert response.status_code == status, response.text
    (key, failed), *rest = response.json().items()
    assert (key, rest) == ("error", [])
    assert set(failed) == {"message", "type", "param", "code"}
    return dict(failed)
