"""Names of tools, where one side allows other names than the other: the same name always becomes the same."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Dict, Iterator, Mapping, Optional

from proxy.chat.ask import Ask
from proxy.chat.slots import word

# OpenAI takes 64 characters (reference 1.9), Anthropic 128 (1.13); both of the same few kinds.
SHORT, LONG = 64, 128
SPOILT = re.compile(r"[^A-Za-z0-9_-]")


def short_name(name: str) -> str:
    """A tool's name for OpenAI."""
    return _fitted(name, name, SHORT)


def clean_name(name: str) -> str:
    """A tool's name for Anthropic."""
    clean = SPOILT.sub("_", name)
    return _fitted(name, clean, LONG) if len(clean) > LONG else clean or "tool"


def _fitted(name: str, text: str, most: int) -> str:
    """The name, or its begin with a digest of it."""
    if len(text) <= most:
        return text
    return f"{text[: most - 9]}_{sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def given_names(ask: Optional[Ask]) -> Dict[str, str]:
    """The names that the client gave, by what they became on their way to the provider; only those that changed."""
    names: Dict[str, str] = {}
    for name in _names(ask.body) if ask else ():
        for spelled in (short_name(name), clean_name(name)):
            if spelled != name:
                names.setdefault(spelled, name)
    return names


def _names(body: Mapping[str, Any]) -> Iterator[str]:
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        inner = tool.get("function") or tool.get("custom") or tool if isinstance(tool, dict) else {}
        name = word(inner, "name") if isinstance(inner, dict) else ""
        if name:
            yield name
