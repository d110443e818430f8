"""Chunks that differ from the one before in a single text, as most of a stream's do: told by their bytes alone.

Understanding a chunk costs twenty times as much as seeing that all of it but its text was understood before.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Optional

from proxy.dialects.json_text import read_json

# A text that is spelled as it reads: without a quote, an escape, or what JSON does not allow inside of one.
PLAIN = re.compile(rb"[^\"\\\x00-\x1f]+")
OTHER = "other text"
PATIENCE = 4  # patterns that fit nothing, until this stream is one whose chunks are never alike


class Alike:
    """The pattern of one stream's chunks around the text under a ``key``.

    ``replaced`` gives a chunk with another text in that place, or None where the chunk has no such place.
    """

    def __init__(self, key: str, replaced: Callable[[Any, str], Any]) -> None:
        self._opening = re.compile(rb'"%b":\s*"' % key.encode())
        self._replaced = replaced
        self._before = self._after = b""
        self._patience = PATIENCE
        self.choice = 0

    def text_of(self, data: bytes) -> Optional[str]:
        """The text of a chunk that is like the one learned in everything else; None if it is not, or says nothing."""
        before, after = self._before, self._after
        if not before or not (data.startswith(before) and data.endswith(after)):
            return None
        text = data[len(before) : len(data) - len(after)]
        if not PLAIN.fullmatch(text):
            return None
        self._patience = PATIENCE
        try:
            return text.decode()
        except UnicodeDecodeError:
            return None

    def learn(self, data: bytes, chunk: Any, choice: int = 0) -> None:
        """Take a chunk that was understood as a text of this ``choice``, and no more, for the pattern of others."""
        if not self._patience:
            return
        self._patience -= 1
        self._before = b""
        found = self._opening.search(data)
        plain = PLAIN.match(data, found.end()) if found else None
        if found and plain and data[plain.end() : plain.end() + 1] == b'"':
            before, after = data[: found.end()], data[plain.end() :]
            if self._is_pattern(before, after, chunk):
                self._before, self._after, self.choice = before, after, choice

    def _is_pattern(self, before: bytes, after: bytes, chunk: Any) -> bool:
        """Whether what stands between is the text and nothing but the text."""
        expected = self._replaced(chunk, OTHER)
        try:
            return expected is not None and bool(read_json(before + OTHER.encode() + after) == expected)
        except ValueError:
            return False


def only_delta(chunk: Dict[str, Any], text: str) -> Any:
    """An OpenAI chunk of one choice with another content."""
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    delta = choice.get("delta") if isinstance(choice, dict) else None
    if not isinstance(delta, dict) or "content" not in delta:
        return None
    return {**chunk, "choices": [{**choice, "delta": {**delta, "content": text}}]}  # type: ignore[dict-item]
