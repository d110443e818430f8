"""Embeddings, both ways: OpenAI's ``/embeddings`` and DashScope's own endpoint (spec 4.10)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from struct import error as StructError  # noqa: N812
from struct import pack, unpack
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from proxy.dialects.dashscope_usage import number
from proxy.dialects.dialect import Asked, Wire
from proxy.dialects.failures import read_failure
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_services import embedded
from proxy.dialects.service import model_of
from proxy.errors import ProxyError, blame, failure

PATH = "/services/embeddings/text-embedding/text-embedding"
MOST_TEXTS, MOST_OLD_TEXTS = 10, 25  # of one ask
OLD_MODEL = re.compile(r"text-embedding-(?:async-)?v[12]\b")
OPENAI_KEYS = frozenset(("model", "input", "dimensions", "encoding_format", "user"))
PARAMETERS = {"dimension": "dimensions"}
ENCODINGS = ("float", "base64")


class Translated(NamedTuple):
    """An OpenAI embeddings body, and the names of the parameters that have no twin there."""

    body: Wire
    dropped: Tuple[str, ...]


def write_asks(body: Mapping[str, Any]) -> List[Asked]:
    """One ask or several for an OpenAI body, since an ask holds few texts. Raises ProxyError 400 for token arrays."""
    texts = _texts(body.get("input"))
    encoding = body.get("encoding_format")
    if encoding not in (None, *ENCODINGS):
        raise failure("invalid_value", "Invalid value for 'encoding_format': float or base64.", "encoding_format")
    model = body.get("model")
    parameters = {key: value for key, value in body.items() if key not in OPENAI_KEYS}
    if body.get("dimensions") is not None:
        parameters["dimension"] = body["dimensions"]
    most = MOST_OLD_TEXTS if OLD_MODEL.search(str(model)) else MOST_TEXTS
    dropped = ("user",) if body.get("user") else ()
    batches = [texts[start : start + most] for start in range(0, len(texts), most)]
    asks = [{"model": model, "input": {"texts": batch}, "parameters": parameters} for batch in batches]
    return [Asked(write_json(ask), (), PATH, dropped) for ask in asks]


def read_answers(answers: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> Wire:
    """The answers to ``write_asks(body)``, in its order, as OpenAI's one. Raises ProxyError for one that failed."""
    data: List[Wire] = []
    for answer in answers:
        with blame("invalid_upstream_response", "The provider's embeddings"):
            items = sorted(_items(answer), key=lambda item: number(item.get("text_index")))
            data += [_datum(item, place, body) for place, item in enumerate(items, len(data))]
    tokens = sum(number((answer.get("usage") or {}).get("total_tokens")) for answer in answers)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def read_native(ask: Mapping[str, Any]) -> Translated:
    """A DashScope client's ask as OpenAI's body. Raises ProxyError 400 for one without texts."""
    said = ask.get("input")
    texts = said.get("texts") if isinstance(said, dict) else None
    if not isinstance(texts, (list, str)):
        raise failure("missing_required_parameter", "Missing required parameter: 'input.texts'.", "input")
    body: Wire = {"model": model_of(ask), "input": texts, "encoding_format": "float"}
    parameters = ask.get("parameters")
    told = parameters if isinstance(parameters, dict) else {}
    body.update((PARAMETERS[key], value) for key, value in told.items() if key in PARAMETERS)
    return Translated(body, tuple(key for key in told if key not in PARAMETERS))


def write_native(reply: Mapping[str, Any], request_id: str) -> Wire:
    """OpenAI's answer as a DashScope client's. Raises ProxyError ``invalid_upstream_response`` for what is none."""
    with blame("invalid_upstream_response", "The provider's embeddings"):
        items = [
            {"text_index": item.get("index", place), "embedding": _floats(item["embedding"])}
            for place, item in enumerate(embedded(reply))
        ]
        tokens = number((reply.get("usage") or {}).get("total_tokens"))
    return {"output": {"embeddings": items}, "usage": {"total_tokens": tokens}, "request_id": request_id}


def _texts(said: Any) -> List[str]:
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not texts:
        raise failure("invalid_type", "Invalid type for 'input': expected a string or an array of strings.", "input")
    if not all(isinstance(text, str) for text in texts):
        raise failure("unsupported_value", "Invalid value for 'input': this provider takes texts, no tokens.", "input")
    return texts


def _items(answer: Mapping[str, Any]) -> List[Wire]:
    output = answer.get("output")
    if not isinstance(output, dict) and answer.get("code"):
        raise ProxyError(read_failure(0, [], write_json(answer)))
    items = output.get("embeddings") if isinstance(output, dict) else None
    if not isinstance(items, list):
        raise failure("invalid_upstream_response", "The provider's answer holds no embeddings.")
    return items


def _datum(item: Wire, place: int, body: Mapping[str, Any]) -> Wire:
    """One vector; keys that OpenAI does not know, such as sparse ones, stay."""
    datum: Dict[str, Any] = {"object": "embedding", "index": place}
    if "embedding" in item:
        base64 = body.get("encoding_format") == "base64"
        datum["embedding"] = _base64(item["embedding"]) if base64 else item["embedding"]
    datum.update((key, value) for key, value in item.items() if key not in ("text_index", "embedding"))
    return datum


def _base64(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats, as OpenAI's SDK wants them unless told otherwise."""
    try:
        return b64encode(pack(f"<{len(vector)}f", *vector)).decode()
    except (StructError, OverflowError) as exc:
        raise ValueError(str(exc)) from None


def _floats(said: Any) -> List[float]:
    if isinstance(said, list):
        return said
    raw = b64decode(said)
    return list(unpack(f"<{len(raw) // 4}f", raw[: len(raw) // 4 * 4]))
