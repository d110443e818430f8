"""What OpenAI offers besides answering, and one list of models that clients of other protocols can read too."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, List, Sequence
from urllib.parse import quote

from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.service import Desk, Errand, Offer, Said, Service, name_only, same
from proxy.errors import failure

MILLISECONDS = 1e11  # seconds until the year 5138


def listed(models: Said) -> List[Wire]:
    """The models of a list. Raises ProxyError ``invalid_upstream_response`` for what is none."""
    data = models.get("data") or []
    if not isinstance(data, list):
        raise failure("invalid_upstream_response", "The provider's list of models is no list.")
    return [model for model in data if isinstance(model, dict)]


def embedded(reply: Said) -> List[Wire]:
    """The items of an answer with embeddings. Raises ProxyError ``invalid_upstream_response`` for any other."""
    data = reply.get("data")
    items = [item for item in data if isinstance(item, dict) and "embedding" in item] if isinstance(data, list) else []
    if not isinstance(data, list) or len(items) < len(data):
        raise failure("invalid_upstream_response", "The provider's answer holds no embeddings.")
    return items


def with_aliases(models: Said, aliases: Sequence[str]) -> Wire:
    """The list of models and the operator's names for some of them."""
    known = listed(models)
    named = {model.get("id") for model in known}
    added = [
        {"id": alias, "object": "model", "created": 0, "owned_by": "alias"} for alias in aliases if alias not in named
    ]
    return {**models, "data": [*known, *added]}


def write_models(models: Said, ask: Said, stamp: Stamp) -> Wire:
    """A list that the SDKs of OpenAI and of Anthropic's protocol both read."""
    data = [merged(model) for model in listed(models)]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", **models, "has_more": False, **ends, "data": data}  # it is all there is


def write_model(model: Said, ask: Said, stamp: Stamp) -> Wire:
    """One model, in that form."""
    return merged(model)


def merged(model: Said) -> Wire:
    """One model with the keys of both protocols; what it says itself stays."""
    created: Any = model.get("created")
    at = model.get("created_at")
    if not isinstance(created, (int, float)) or isinstance(created, bool):
        created = _seconds(at)
    if not isinstance(at, str):
        at = _moment(created)
    name = model.get("id")
    common = {"object": "model", "owned_by": "", "type": "model", "display_name": model.get("display_name") or name}
    return {"id": name, **common, **model, "created": created, "created_at": at}


def _moment(created: float) -> str:
    """Unix seconds (some gateways send milliseconds) as Anthropic has times; the epoch for what is no time."""
    try:
        at = datetime.fromtimestamp(created / 1000 if created > MILLISECONDS else created, timezone.utc)
    except (ValueError, OverflowError, OSError):
        at = datetime.fromtimestamp(0, timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(at: Any) -> int:
    try:
        return int(datetime.strptime(str(at)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return 0


def _embeddings(ask: Said) -> List[Errand]:
    return [Errand("POST", "/embeddings", write_json(dict(ask)))]


def _models(ask: Said) -> List[Errand]:
    return [Errand("GET", "/models")]


def _model(ask: Said) -> List[Errand]:
    return [Errand("GET", "/models/" + quote(str(ask["id"]), safe="/:@%"))]


def first(answers: List[Said], ask: Said) -> Wire:
    """The one answer as it is."""
    return dict(answers[0])


def as_it_is(answer: Said, ask: Said, stamp: Stamp) -> Wire:
    """OpenAI's answer for OpenAI's client."""
    return dict(answer)


DESK = Desk(
    (
        Service("embeddings", "POST", "/v1/embeddings", same, as_it_is),
        Service("embeddings", "POST", "/embeddings", same, as_it_is),
        Service("models", "GET", "/v1/models", name_only, write_models, add=with_aliases),
        Service("models", "GET", "/models", name_only, write_models, add=with_aliases),
        Service("model", "GET", "/v1/models/*", name_only, write_model),
    ),
    {"embeddings": Offer(_embeddings, first), "models": Offer(_models, first), "model": Offer(_model, first)},
)
