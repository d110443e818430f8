"""The endpoints of the demo provider: which path and method is answered by what, in one table."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Callable, NamedTuple
from urllib.parse import unquote

from proxy.upstream.demo import models
from proxy.upstream.demo.asked import Asked
from proxy.upstream.demo.chat import chat, read_chat
from proxy.upstream.demo.completions import completions, read_completions
from proxy.upstream.demo.play import Model, Play, perform
from proxy.upstream.demo.said import Answered, Refused, answered_json, refusal
from proxy.upstream.demo.vectors import embeddings, moderations

# Whatever stands before the OpenAI path is some base; a model's id may contain slashes.
ENDPOINT = re.compile(
    r"(?:^|/)(?P<name>chat/completions|completions|embeddings|moderations|models)(?:/(?P<id>.+?))?/?$"
)


def answer(method: str, url: str, body: bytes) -> Answered:
    """Answer one ask; nothing is raised and nothing but the arguments matters."""
    answered = _answered(method, url, body)
    identity = ("x-request-id", f"req_{sha256(f'{method} {url} '.encode('utf-8', 'replace') + body).hexdigest()[:24]}")
    steps = [] if method == "HEAD" else answered.steps
    return answered._replace(headers=[*answered.headers, identity], steps=steps)


def _answered(method: str, url: str, body: bytes) -> Answered:
    path = url.partition(":")[2].partition("#")[0].partition("?")[0]
    found = ENDPOINT.search(path)
    endpoint = TABLE.get(f"{found['name']}/" if found and found["id"] else found["name"] if found else "")
    if not found or not endpoint:
        return refusal(404, f"Invalid URL ({method} {path})")
    if method != endpoint.method and (method, endpoint.method) != ("HEAD", "GET"):
        message = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
        return refusal(405, message, code="method_not_supported", headers=[("Allow", endpoint.method)])
    try:
        return endpoint.serve(unquote(found["id"] or ""), body)
    except Refused as refused:
        return refused.answered


class Endpoint(NamedTuple):
    """One path: the method it takes, and what answers (from the id in the path, and the body)."""

    method: str
    serve: Callable[[str, bytes], Answered]


def _generating(read: Callable[[bytes], Asked], speak: Callable[[Asked, Model], Play]) -> Endpoint:
    """An endpoint that generates text, streamed or whole."""

    def serve(_: str, body: bytes) -> Answered:
        asked = read(body)
        model = models.find(asked.model)
        options = ["options"] if "stream_options" in asked.body else []
        models.check(model, "streamed" if asked.stream else "whole", *options)
        return perform(speak(asked, model), model, asked.stream)

    return Endpoint("POST", serve)


def _model(name: str, _: bytes) -> Answered:
    if name not in models.MODELS:
        return models.unknown(name)
    return answered_json(200, models.listed(models.MODELS[name]))


TABLE: dict[str, Endpoint] = {
    "chat/completions": _generating(read_chat, chat),
    "completions": _generating(read_completions, completions),
    "embeddings": Endpoint("POST", embeddings),
    "moderations": Endpoint("POST", moderations),
    "models": Endpoint("GET", lambda *_: answered_json(200, models.listing())),
    "models/": Endpoint("GET", _model),
}
