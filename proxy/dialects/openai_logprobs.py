"""Log probabilities in OpenAI's two forms: a chat's list of tokens, and the parallel lists of the older completions."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Dict, List, Optional

from proxy.chat.events import Extra

OWN = "completions:content"  # a chat's list in a completion (llama.cpp), which is told again as it came


def own_tokens(logprobs: Any) -> Any:
    """What a completion says, such that its own writer can tell it from what a chat said."""
    if not isinstance(logprobs, dict) or "content" not in logprobs:
        return logprobs
    return {OWN if name == "content" else name: value for name, value in logprobs.items()}


def read_tokens(logprobs: Optional[Extra]) -> List[Any]:
    """The tokens of either form, each as a chat has it; the bytes of one are known where its text is."""
    said = logprobs or {}
    for name in ("content", OWN):
        if isinstance(said.get(name), list):
            return list(said[name])
    lists = (_listed(said.get(name)) for name in ("tokens", "token_logprobs", "top_logprobs"))
    return [_token(*row) for row in zip_longest(*lists)] if _listed(said.get("tokens")) else []


def write_lists(logprobs: Extra, offset: int = 0) -> Extra:
    """The form of the older completions; ``offset``: characters of the answer before these tokens."""
    if OWN in logprobs:
        return {"content" if name == OWN else name: value for name, value in logprobs.items()}
    tokens = logprobs.get("content")
    if not isinstance(tokens, list):
        return logprobs
    named = [token for token in tokens if isinstance(token, dict)]
    texts = [str(token.get("token", "")) for token in named]
    tops = [_ranked(token.get("top_logprobs")) for token in named]
    return {
        "tokens": texts,
        "token_logprobs": [token.get("logprob") for token in named],
        "top_logprobs": tops if any(tops) else None,
        "text_offset": [offset + sum(map(len, texts[:place])) for place in range(len(texts))],
    }


def _token(text: Any, logprob: Any, tops: Any) -> Extra:
    ranked = [_named(one, value) for one, value in tops.items()] if isinstance(tops, dict) else []
    return {**_named(text, logprob), "top_logprobs": ranked}


def _named(text: Any, logprob: Any) -> Extra:
    return {"token": text, "logprob": logprob, "bytes": list(str(text).encode("utf-8", "replace"))}


def _ranked(tops: Any) -> Dict[str, Any]:
    return {str(one.get("token", "")): one.get("logprob") for one in _listed(tops) if isinstance(one, dict)}


def _listed(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []
