"""Full text: what of an exchange can be searched, and how a searched text becomes words."""

from __future__ import annotations

import re
from typing import Any, Iterator, List

# Characters kept of an ask and of an answer: conversations repeat themselves from ask to ask, so the newest counts.
MOST_ASKED, MOST_ANSWERED = 8_000, 8_000
DEEPEST = 12

# Schemes of tools and their like are the same in every ask of an application; the rest are names and not words.
_SILENT = {"tools", "functions", "id", "object", "type", "role", "model", "created", "index", "logprobs", "usage"}
_SILENT |= {"tool_call_id", "tool_use_id", "call_id", "system_fingerprint", "signature", "stream_options", "sha256"}
_BLOB = re.compile(r"[!-~]{200,}")  # base64 and its like

# Scripts without spaces between words: each character is a word, and a word is a phrase of them.
_DENSE = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]|[\U00020000-\U0003ffff])")
_PIECE = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"\w", re.UNICODE)


def text_of(asked: Any, answered: Any, error: Any = None) -> str:
    """The words of an exchange, at most so many of each side; ``asked`` and ``answered`` are JSON values."""
    told = [_gathered(asked, MOST_ASKED, newest=True), _gathered(answered, MOST_ANSWERED, newest=False)]
    told.append(_gathered(error, MOST_ANSWERED, newest=False))
    return spaced("\n".join(part for part in told if part))


def spaced(text: str) -> str:
    """Text with each character of a script without spaces set apart."""
    return text if text.isascii() else " ".join(_DENSE.split(text))


def phrases(wanted: str) -> List[str]:
    """What must occur: each word, and each "quoted phrase" as one."""
    found = [quoted or word for quoted, word in _PIECE.findall(wanted)]
    return [" ".join(spaced(one).split()) for one in found if _WORD.search(one)]


def expression(wanted: str) -> str:
    """The same for SQLite's full text search; a last word may go on. Empty if there is nothing to look for."""
    said = []
    for phrase in phrases(wanted):
        goes_on = "" if _DENSE.search(phrase[-1]) or not _WORD.match(phrase[-1]) else " *"
        said.append('"' + phrase.replace('"', " ") + '"' + goes_on)
    return " AND ".join(said)


def found_in(wanted: str, text: str) -> bool:
    """Whether a text has all phrases; for where SQLite has no full text search."""
    within = " ".join(text.lower().split())
    looked_for = phrases(wanted)
    return bool(looked_for) and all(phrase.lower() in within for phrase in looked_for)


def _gathered(value: Any, most: int, newest: bool) -> str:
    kept: List[str] = []
    room = most
    for text in _strings(value, newest, 0):
        text = _BLOB.sub(" ", text[: most * 4])[:room]
        kept.append(text)
        room -= len(text) + 1
        if room <= 0:
            break
    return "\n".join(kept)


def _strings(value: Any, newest: bool, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < DEEPEST:
        for item in reversed(value) if newest else value:
            yield from _strings(item, newest, depth + 1)
    elif isinstance(value, dict) and depth < DEEPEST:
        for name, item in value.items():
            if name not in _SILENT:
                yield from _strings(item, newest, depth + 1)
