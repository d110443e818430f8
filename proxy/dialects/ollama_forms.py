"""Ollama's two forms of an answer's line, and what of a line has to be remembered to write it again as it was.

What our writer would say differently (a missing role, ``thinking: null``, a foreign ``done_reason``) becomes a mark:
``{"set": {...}, "without": [...]}`` under a key named after the dialect, at the level it belongs to. Lines that look as
Ollama writes them today need none.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, Mapping, NamedTuple

Wire = Dict[str, Any]

CHAT_NAME, GENERATE_NAME = "ollama", "ollama_generate"
# Keys that the vocabulary models, or that mean something else there: they never travel as unknown ones.
NAMESPACES = frozenset((CHAT_NAME, GENERATE_NAME))
REPLY_KEYS = NAMESPACES | {"id", "object", "created", "model", "choices", "usage", "error"}
LINE_KEYS = REPLY_KEYS | {"message", "done", "done_reason", "prompt_eval_count", "eval_count", "logprobs"}
FLAT_KEYS = frozenset(("response", "thinking", "tool_calls"))
MESSAGE_KEYS = NAMESPACES | {"role", "content", "thinking", "tool_calls", "function_call", "refusal", "audio"}
MESSAGE_KEYS |= {"reasoning", "reasoning_content"}
CALL_KEYS = NAMESPACES | {"id", "index", "type", "function", "custom"}
FUNCTION_KEYS = frozenset(("index", "name", "arguments", "input"))


class Form(NamedTuple):
    """How a line tells its text: ``name`` of the dialect, the ``text`` key, and whether it stands in a message."""

    name: str
    text: str
    nested: bool

    @property
    def keys(self) -> FrozenSet[str]:
        """What of a line is understood, or has a name of the vocabulary."""
        return LINE_KEYS if self.nested else LINE_KEYS | FLAT_KEYS


CHAT = Form(CHAT_NAME, "content", nested=True)
GENERATE = Form(GENERATE_NAME, "response", nested=False)


def among(said: Mapping[str, Any], keys: Iterable[str]) -> Wire:
    """The part of ``said`` under these ``keys``."""
    return {key: value for key, value in said.items() if key in keys}


def besides(said: Mapping[str, Any], keys: Iterable[str]) -> Wire:
    """The part of ``said`` under other ``keys``."""
    return {key: value for key, value in said.items() if key not in keys}


def difference(told: Mapping[str, Any], said: Mapping[str, Any]) -> Wire:
    """The mark that makes of what we would tell what was said; empty if they are the same."""
    mark: Wire = {}
    others = {key: value for key, value in said.items() if key not in told or not _same(told[key], value)}
    missing = [key for key in told if key not in said]
    if others:
        mark["set"] = others
    if missing:
        mark["without"] = missing
    return mark


def patched(told: Wire, mark: Any) -> Wire:
    """What was said, of what we would tell and its mark; a mark of another shape is nobody's."""
    if not isinstance(mark, dict):
        return told
    others, missing = mark.get("set"), mark.get("without")
    said = {**told, **others} if isinstance(others, dict) else told
    return besides(said, missing) if isinstance(missing, list) else said


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
