"""Ollama's other endpoints and OpenAI's twins of them: embeddings, the list of models, one model, the version.

``read_*`` makes OpenAI's shape of Ollama's, ``write_*`` the other way round (spec 5.4, 5.8, 5.9).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from struct import iter_unpack, pack
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from proxy.chat.slots import index_of, word
from proxy.dialects.dialect import Asked, Stamp, Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.ollama_times import SECOND, read_time, write_time
from proxy.dialects.openai_services import embedded, listed
from proxy.dialects.service import model_of, texts_of
from proxy.errors import failure

EMBED_PATH = "/api/embed"
DIGEST = "0" * 64
VERSION = "0.11.10"  # what of Ollama's protocol we speak; clients compare it
NO_DETAILS: Wire = {"format": "", "family": "", "families": None, "parameter_size": "", "quantization_level": ""}
CAPABILITIES = ["completion", "tools"]


def write_embed_ask(ask: Mapping[str, Any]) -> Asked:
    """OpenAI's ask for embeddings as one for /api/embed. Raises ProxyError 400 for tokens instead of text."""
    texts_of(ask, "input")
    if ask.get("encoding_format") not in (None, "float", "base64"):
        raise failure("invalid_value", "Invalid value for 'encoding_format': float or base64.", "encoding_format")
    same = ("model", "input", "dimensions", "truncate", "keep_alive", "options")
    body = {name: ask[name] for name in same if ask.get(name) is not None}
    dropped = [name for name in ask if name not in same and name != "encoding_format" and ask[name] is not None]
    return Asked(write_json(body), path=EMBED_PATH, dropped=tuple(dropped))


def read_embed_ask(ask: Mapping[str, Any]) -> Wire:
    """An ask for /api/embed, or for the older /api/embeddings, as OpenAI's; options have no twin."""
    name = "prompt" if "prompt" in ask and "input" not in ask else "input"
    body: Wire = {"model": model_of(ask), "input": texts_of(ask, name)}
    if ask.get("dimensions") is not None:
        body["dimensions"] = ask["dimensions"]
    return {**body, "encoding_format": "float"}


def unread_embed(ask: Mapping[str, Any]) -> Tuple[str, ...]:
    """The names of what an ask for embeddings says that OpenAI has no twin of."""
    known = ("model", "input", "prompt", "dimensions")
    idle = {"truncate": (True,), "options": ({},)}
    return tuple(name for name, value in ask.items() if name not in known and value not in (None, *idle.get(name, ())))


def read_embed_reply(reply: Mapping[str, Any], ask: Mapping[str, Any]) -> Wire:
    """Ollama's embeddings as OpenAI's, in base64 where the ``ask`` wants that; what else was told stays beside them."""
    vectors = reply.get("embeddings", [reply["embedding"]] if "embedding" in reply else None)
    if not isinstance(vectors, list):
        raise failure("invalid_upstream_response", "The provider's answer holds no embeddings.")
    base64 = ask.get("encoding_format") == "base64"
    count = reply.get("prompt_eval_count") or 0
    told = ("embeddings", "embedding", "model", "prompt_eval_count")
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _packed(vector) if base64 else vector}
            for place, vector in enumerate(vectors)
        ],
        "model": reply.get("model") or ask.get("model"),
        "usage": {"prompt_tokens": count, "total_tokens": count},
        **{key: value for key, value in reply.items() if key not in told},
    }


def write_embed_reply(reply: Mapping[str, Any], ask: Mapping[str, Any], stamp: Optional[Stamp] = None) -> Wire:
    """OpenAI's embeddings as those of /api/embed, or of /api/embeddings where the ``ask`` was a prompt."""
    data = sorted(embedded(reply), key=lambda item: index_of(item, 0))
    vectors = [_unpacked(item["embedding"]) for item in data]
    if "prompt" in ask and "input" not in ask:
        return {"embedding": vectors[0] if vectors else []}
    said: Wire = {"model": reply.get("model") or ask.get("model"), "embeddings": vectors}
    if stamp is not None:
        said.update({"total_duration": max(int(stamp.elapsed() * SECOND), 1), "load_duration": 0})
    return {**said, "prompt_eval_count": (reply.get("usage") or {}).get("prompt_tokens") or 0}


def read_tags(tags: Mapping[str, Any]) -> Wire:
    """/api/tags as OpenAI's list of models."""
    return {"object": "list", "data": [_read_tag(model) for model in tags.get("models") or []]}


def write_tags(models: Mapping[str, Any]) -> Wire:
    """OpenAI's list of models as /api/tags; what is not known is empty, the digest zeros."""
    return {"models": [_write_tag(model) for model in listed(models)]}


def with_names(tags: Mapping[str, Any], aliases: Sequence[str]) -> Wire:
    """/api/tags as the provider told it, and the operator's names for some of its models."""
    told = tags.get("models")
    known = told if isinstance(told, list) else []
    named = {model.get("name") for model in known if isinstance(model, dict)}
    return {**tags, "models": [*known, *(_write_tag({"id": alias}) for alias in aliases if alias not in named)]}


def read_show(shown: Mapping[str, Any], name: str) -> Wire:
    """/api/show as OpenAI's model ``name``, with what Ollama tells of it but for its long texts."""
    long = ("license", "modelfile", "template", "system", "messages", "tensors", "modified_at", "parameters")
    others = {key: value for key, value in shown.items() if key not in long}
    return {**others, **_model(name, shown.get("modified_at"))}


def write_show(model: Mapping[str, Any]) -> Wire:
    """OpenAI's model as /api/show: it can complete and call tools, as far as anybody knows."""
    own = ("id", "object", "created", "owned_by")
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": dict(NO_DETAILS),
        "model_info": {},
        "capabilities": list(CAPABILITIES),
        "modified_at": _modified(model),
        **{key: value for key, value in model.items() if key not in own},
    }


def shown_name(ask: Mapping[str, Any]) -> str:
    """The model an ask for /api/show is about; older clients call it ``name``. Raises ProxyError 400 without one."""
    name = word(ask, "model") or word(ask, "name")
    if not name:
        raise failure("missing_required_parameter", "Missing required parameter: 'model'.", "model")
    return name


def version() -> Wire:
    """The answer of /api/version."""
    return {"version": VERSION}


def _read_tag(model: Mapping[str, Any]) -> Wire:
    name = word(model, "model") or word(model, "name")
    others = {key: value for key, value in model.items() if key not in ("model", "name", "modified_at")}
    return {**others, **_model(name, model.get("modified_at"))}


def _model(name: str, modified_at: Any) -> Wire:
    owner = name.rpartition("/")[0] or "library"
    return {"id": name, "object": "model", "created": read_time(modified_at), "owned_by": owner}


def _write_tag(model: Mapping[str, Any]) -> Wire:
    name = word(model, "id")
    told = {"name": name, "model": name, "modified_at": _modified(model)}
    return {**told, "size": 0, "digest": DIGEST, "details": dict(NO_DETAILS)}


def _modified(model: Mapping[str, Any]) -> str:
    created = model.get("created")
    return write_time(int(created) * SECOND if isinstance(created, (int, float)) else 0)


def _packed(vector: List[float]) -> str:
    """Base64 of 32-bit floats, little-endian."""
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode()


def _unpacked(vector: Any) -> List[float]:
    if not isinstance(vector, str):
        return list(vector)
    return [number for (number,) in iter_unpack("<f", b64decode(vector))]
