"""Refusals of the mode: what a provider says when it will not be asked this way, and what to change (spec 3.7).

Only an explicit refusal counts, for the ask is sent once more: a status that promises that nothing was generated, and
words about the mode that are the provider's own and not quoted from the user. A further kind of change is a further
row; the rows that name ``incremental_output``, ``result_format`` or another path belong to dialects that have them.
"""

from __future__ import annotations

import re
from typing import List, Match, NamedTuple, Optional, Pattern

from msgspec import Struct

from proxy.chat.events import Failed

# Bad request and unprocessable. A 404 or 5xx may mean anything, and trying again after one is C05: not by default.
STATUSES = frozenset((400, 422))
# A refusal is a sentence or two; what is longer is about something else.
LONGEST = 1200


class Change(Struct, frozen=True):
    """What to do about a refusal: ask for a ``stream``, ask for the ``whole``, or ``drop_stream_options``.

    ``remember``: it holds for every ask to this model. ``names``: the refusal in a few words, for the journal.
    """

    kind: str
    remember: bool
    names: str


class Row(NamedTuple):
    """One way to refuse: the change that helps, the mode refused (None: either), whether to remember, and the words."""

    kind: str
    streamed: Optional[bool]
    remember: bool
    names: str
    words: Pattern[str]


def _row(kind: str, streamed: Optional[bool], remember: bool, names: str, *words: str) -> Row:
    return Row(kind, streamed, remember, names, re.compile("|".join(words), re.IGNORECASE))


TICK = r"['\"`]?"
IS_TRUE = rf"{TICK}\s?[:=]\s?{TICK}true"
REFUSED = (
    r"(?:unknown|unrecogni[sz]ed|unsupported|unexpected|undefined|extra (?:inputs?|fields?|parameters?)|additional)"
)
NOT_TAKEN = (
    r"(?:not (?:be )?(?:supported|permitted|allowed|recogni[sz]ed|valid|available)|(?:does not|doesn't) support)"
)
OPTIONS = r"\bstream_options\b(?!\.(?!include_usage\b))"

ROWS: List[Row] = [
    # Native providers: what their dialect then changes in the ask is its own business (``Dialect.amend``).
    _row(
        "incremental_output",
        None,
        True,
        "incremental_output required",
        r"\bincremental_output parameter (?:must be ['\"]?true\b|of this model cannot be set to false\b)",
    ),
    _row("result_format", None, True, "result_format required", r"\bresult_format parameter must be ['\"]?message\b"),
    _row("other_path", None, True, "the model's other path", r"\burl error,? please check url\b"),
    _row(
        "drop_stream_options",
        None,
        # It was the mode that made them wrong: in a stream they are welcome.
        False,
        "stream_options without stream",
        rf"{OPTIONS}.{{0,40}}\bonly\b.{{0,40}}\bwhen\b.{{0,20}}\bstream\b",
        r"\bstream options can only be\b.{0,40}\bwhen\b",
    ),
    _row(
        "drop_stream_options",
        None,
        True,
        "stream_options refused",
        rf"\b{REFUSED}\b.{{0,80}}{OPTIONS}",
        rf"{OPTIONS}.{{0,80}}\b(?:{REFUSED}|{NOT_TAKEN})\b",
        rf"\b{NOT_TAKEN}\b.{{0,40}}{OPTIONS}",
    ),
    _row(
        "stream",
        False,
        # The size of this ask made it need a stream, not the model (C04).
        False,
        "this ask needs stream",
        rf"\bmust have {TICK}stream{IS_TRUE}\b",
        r"\bstreaming is (?:strongly )?required for\b",
    ),
    _row(
        "stream",
        False,
        True,
        "thinking needs stream",
        r"\benable_thinking must be set to false for non-?stream",
        r"\benable_thinking only supports? stream",
        r"enable_thinking\s*必须设置为\s*false\s*才能进行非流式",
        rf"\benable[_ ]thinking can ?not be support(?:ed)? when {TICK}stream{TICK}\s?[:=]\s?false",
    ),
    _row(
        "stream",
        False,
        True,
        "audio needs stream",
        rf"\baudio{TICK} output (?:only supports? with|requires) {TICK}stream{IS_TRUE}\b",
    ),
    _row(
        "stream",
        False,
        True,
        "needs stream",
        r"\bonly supports? stream(?:ing)? (?:mode|output|responses?|calls?|requests?)\b",
        r"\bonly supports? streaming(?=\s*[.!]|\s*$)",
        rf"\bstream{TICK} must be (?:set to )?{TICK}true\b(?! or\b)",
        rf"\bmust set {TICK}stream{IS_TRUE}\b",
        r"\bplease (?:enable|set|use) (?:the )?stream(?:ing)?(?: parameter| mode|\s?=\s?true)\b",
        r"\bdoes not support http call\b",
        r"\b(?:does not|doesn't) support non-?stream",
        r"\bnon-?stream(?:ing)?(?: mode| calls?| requests?| responses?| output)? (?:is|are) (?:not |un)supported\b",
        r"(?:仅|只)支持\s*(?:流式|stream)|不支持非流式",
    ),
    _row(
        "whole",
        True,
        # A value of another parameter stands in the way, not the model.
        False,
        "this ask cannot stream",
        rf"\bdoes not support .{{1,40}} when {TICK}stream{IS_TRUE}\b",
    ),
    _row(
        "whole",
        True,
        True,
        "stream refused",
        r"'stream' does not support true\b",
        r"\bmust be verified to stream\b",
        r"\b(?:does not|doesn't|do not|cannot) support stream(?:ing)?\b",
        r"\b(?:does not|doesn't) support .{1,40}\b(?:in|with|while|when) stream(?:ing)?\b",
        rf"(?<![\w-])stream(?:ing)?{TICK}(?: mode)? is (?:not (?:yet )?|un)(?:supported|available|allowed)\b",
        r"\b(?:not |un)supported (?:for|in|with) streaming\b",
        rf"\bstream{TICK} must be (?:set to )?{TICK}false\b(?! or\b)",
        r"\bonly supports? non-?stream",
        r"不支持\s*(?:流式|stream)",
    ),
]

# A refusal that is about what the user wrote is no refusal of the mode, whatever words it quotes.
ABOUT_CONTENT = re.compile(r"(?:body\.)?(?:messages|input|prompt|contents|system|instructions|tools?[.\[])")
QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
LINK = re.compile(r"https?://\S+")
# Parameters other than ``stream``: a refusal that names one is about this ask, not about the model.
OTHER_PARAMETER = re.compile(
    r"\b(?:tools?|functions?|audio|images?|json|logprobs|thinking|reasoning|modalit\w+|[a-z]+_[a-z_]+)\b|\bn\s?[=>]",
    re.IGNORECASE,
)


def read_refusal(failed: Failed, *, streamed: bool) -> Optional[Change]:
    """What to change if this failure refuses the mode in use; None for every other failure.

    ``streamed``: the provider had been asked for a stream. "Needs the whole" is remembered only where nothing but
    ``stream`` is named (C03).
    """
    if failed.status not in STATUSES or ABOUT_CONTENT.match(failed.param or ""):
        return None
    words = _own_words(failed.message)
    row = next((row for row in ROWS if row.streamed in (None, streamed) and row.words.search(words)), None)
    if row is None:
        return _named_options(failed)
    remember = row.remember and (row.kind != "whole" or not _names_another(failed.param, words))
    return Change(row.kind, remember, row.names)


def _named_options(failed: Failed) -> Optional[Change]:
    """The refusal of ``stream_options`` that is told by param and code alone."""
    if failed.param == "stream_options" and failed.code in ("unknown_parameter", "unsupported_parameter"):
        return Change("drop_stream_options", True, "stream_options refused")
    return None


def _own_words(message: str) -> str:
    """The message without what it quotes, which may be the user's; empty if it is too long to be a refusal."""
    words = QUOTED.sub(_short, LINK.sub(" ", message[: 8 * LONGEST]))
    if words.count('"') % 2:
        words = words[: words.rindex('"')]
    return words if len(words) <= LONGEST else ""


def _short(quoted: Match[str]) -> str:
    """A quoted word or value stays; a quoted sentence goes."""
    text = quoted.group()
    return text if len(text) <= 24 or " " not in text else " "


def _names_another(param: Optional[str], words: str) -> bool:
    return param not in (None, "stream") or OTHER_PARAMETER.search(words) is not None
