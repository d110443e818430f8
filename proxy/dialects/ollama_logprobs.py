"""Log probabilities: OpenAI's tokens have all their keys, Ollama's only those that say something (spec 5.8)."""

from __future__ import annotations

from typing import Any, List, Optional

from proxy.dialects.dialect import Wire


def read_logprobs(tokens: List[Any]) -> Wire:
    """OpenAI's mapping of Ollama's list."""
    return {"content": [_weight(token) for token in tokens]}


def write_logprobs(tokens: Optional[List[Any]]) -> Wire:
    """The part of a line that tells these tokens; empty if there are none."""
    return {"logprobs": [_lighter(token) for token in tokens]} if tokens else {}


def _weight(token: Any) -> Any:
    if not isinstance(token, dict):
        return token
    others = token.get("top_logprobs")
    return _bytes_too({**token, "top_logprobs": list(map(_bytes_too, others)) if isinstance(others, list) else []})


def _bytes_too(token: Any) -> Any:
    return {**token, "bytes": token.get("bytes")} if isinstance(token, dict) else token


def _lighter(token: Any) -> Any:
    if not isinstance(token, dict):
        return token
    said = {key: value for key, value in token.items() if not (key == "bytes" and value is None)}
    others = said.pop("top_logprobs", None)
    if isinstance(others, list) and others:
        said["top_logprobs"] = list(map(_lighter, others))
    return said
