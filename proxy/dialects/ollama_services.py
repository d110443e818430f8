"""What Ollama offers besides answering, in terms of OpenAI's: embed, tags, show; and its version, which is ours."""

from __future__ import annotations

from typing import List

from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.ollama_models import (
    read_embed_ask,
    read_embed_reply,
    read_show,
    read_tags,
    shown_name,
    unread_embed,
    version,
    with_names,
    write_embed_ask,
    write_embed_reply,
    write_show,
    write_tags,
)
from proxy.dialects.service import Desk, Errand, Offer, Said, Service, name_only


def _embed(ask: Said, name: str) -> Wire:
    return read_embed_ask(ask)


def _shown(ask: Said, name: str) -> Wire:
    return {"id": shown_name(ask)}


def _tags(models: Said, ask: Said, stamp: Stamp) -> Wire:
    return write_tags(models)


def _show(model: Said, ask: Said, stamp: Stamp) -> Wire:
    return write_show(model)


def _version(answer: Said, ask: Said, stamp: Stamp) -> Wire:
    return dict(answer)


def _embed_errand(ask: Said) -> List[Errand]:
    asked = write_embed_ask(ask)
    return [Errand("POST", asked.path, asked.body, asked.dropped)]


def _tags_errand(ask: Said) -> List[Errand]:
    return [Errand("GET", "/api/tags")]


def _show_errand(ask: Said) -> List[Errand]:
    return [Errand("POST", "/api/show", write_json({"model": ask["id"]}))]


DESK = Desk(
    (
        Service("embeddings", "POST", "/api/embed", _embed, write_embed_reply, unread=unread_embed),
        Service("embeddings", "POST", "/api/embeddings", _embed, write_embed_reply, unread=unread_embed),
        Service("models", "GET", "/api/tags", name_only, _tags, add=with_names),
        Service("model", "POST", "/api/show", _shown, _show),
        Service("version", "GET", "/api/version", name_only, _version, local=lambda ask: version()),
    ),
    {
        "embeddings": Offer(_embed_errand, lambda answers, ask: read_embed_reply(answers[0], ask)),
        "models": Offer(_tags_errand, lambda answers, ask: read_tags(answers[0])),
        "model": Offer(_show_errand, lambda answers, ask: read_show(answers[0], str(ask["id"]))),
    },
)
