"""The one place where credentials are taken out of what is written: exact values everywhere, and values under names.

Exact credentials of eight characters and more are replaced wherever they occur, also escaped, quoted for a URL or in
base64. Of the shorter ones those that are no words (``abc-12``; four characters at least) are replaced wherever they
stand alone. The rest (``test``, ``local``, ``a``) are ordinary words too: they are replaced where a whole string equals
them, with or without a scheme, and where the text itself says that a key follows (``key provided: abc``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import lru_cache
from typing import Any, Callable, Iterable, Iterator, Pattern, Set
from urllib.parse import quote, quote_plus

import msgspec

from proxy.journal.credentials import HEADER_NAMES, QUERY_NAMES, SCHEMES, bare

REDACTED = "[redacted]"
SHORTEST = 8

_DONE = re.compile(r"(?:\[key:[\da-f]{6}\]|\[redacted\])(?::(?:\[key:[\da-f]{6}\]|\[redacted\]))?")
_NO_WORD = re.compile(r"(?=.*[^A-Za-z]).{4,}")
_SAYS_KEY = (
    rf"""(?:(?:key|token|provided|password|authorization)["'\\]*(?:\s*[:=]\s*["'\\]*|\s+["'\\`]+)|\b{SCHEMES}\s+)"""
)
# What JSON's writers may escape besides control characters: only a credential without it is the same in all spellings.
_MAY_BE_ESCAPED = re.compile(r"[&'<=>]|[^\x20-\x7e]")

_IN_URLS = [
    re.compile(r"(\w://)([^/?#\s\"'<>]*)(?=@)"),
    re.compile(rf"([?&;](?:{QUERY_NAMES})=)([^&#\s\"'<>]+)", re.IGNORECASE),
]
# "name: value", "name=value", and how Python shows a pair in a mapping or a list, of text or of bytes.
_IS = r"(?:[\"']?\s*[:=]|[\"']\s*,)\s*(?:b(?=[\"']))?[\"']?"
_IN_HEADERS = [
    re.compile(rf"(\b(?:set-)?cookie{_IS})([^\"'\r\n]+)", re.IGNORECASE),
    re.compile(
        rf"((?<![?&;\w-]){HEADER_NAMES}{_IS})((?:{SCHEMES}\s+)?(?:\[[^\]\s]*\]|[^\s\"',;)}}\]&]+))", re.IGNORECASE
    ),
    re.compile(rf"(\b{SCHEMES}\s+)((?=\S*\d|\S{{20}})[\w.~+/=-]{{4,}})", re.IGNORECASE),
    # The form of well-known providers' keys, for those that nobody told us of.
    re.compile(r"(\b)((?:sk|gsk|xai|nvapi|hf)[-_][\w-]{8,}|AIza[\w-]{20,})"),
]


def fingerprint(secret: str) -> str:
    """Name a credential without telling it: the first six hex digits of its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def hide_in_urls(text: str) -> str:
    """Replace userinfo and the values of known query names in every URL of a path, a form, or an error's text."""
    return _replaced(text, _IN_URLS) if "=" in text or "@" in text else text


def hide(text: str, known: Callable[[str], str] = str) -> str:
    """Replace what ``hide_in_urls`` does, what stands under known header names, and what has the form of a key.

    For log lines; never for what people and models say. ``known`` replaces exact credentials in what was found. It must
    not see the text first: somebody's credential may be a word, ``Bearer``, by which others' credentials are found.
    """
    return _replaced(text, _IN_URLS + _IN_HEADERS, known)


def _replaced(text: str, patterns: list[Pattern[str]], known: Callable[[str], str] = str) -> str:
    for pattern in patterns:
        text = pattern.sub(lambda found: found.group(1) + _masked(known(found.group(2))), text)
    return text


def _masked(value: str) -> str:
    # A credential that was replaced by its exact value stays so, as the fingerprint tells more.
    return value if _DONE.fullmatch(bare(value)) else REDACTED


class Needles:
    """The spellings of some credentials, looked for in a whole encoded line first, as they are seldom there."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        plain = {bare(secret) for secret in secrets} - {""}
        self.long = sorted(_spellings(s for s in plain if len(s) >= SHORTEST), key=lambda pair: -len(pair[0]))
        self.short = {secret for secret in plain if len(secret) < SHORTEST}
        self.plain = not any(map(_MAY_BE_ESCAPED.search, plain))
        self._encoded = [form for spelling, _ in self.long for form in _raw(spelling)]
        self._words = [form for secret in self.short for form in _raw(secret)]
        words = sorted(self.short, key=len, reverse=True)
        self._said = re.compile(rf"((?i:{_SAYS_KEY}))(?:{_either(words)})(?![\w-])")
        self._seen = re.compile(
            rb"(?:^|[^\w-]|%[\da-fA-F]{2}|\\[bfnrt]|\\u[\da-fA-F]{4})(?:" + _either_of(self._words) + rb")(?![\w-])"
        )
        self._alone = re.compile(
            rf"(?:(?<![\w-])|(?<=%[\da-fA-F]{{2}}))(?:{_either(filter(_NO_WORD.fullmatch, words))})(?![\w-])"
        )

    def found_in(self, data: bytes) -> bool:
        """Say whether encoded JSON may hold one of the credentials; a false alarm costs time only."""
        for needle in self._encoded:
            if needle in data:
                return True
        return any(word in data for word in self._words) and self._seen.search(data) is not None

    def clean_json(self, data: bytes, words: bool = True) -> bytes:
        """Replace the credentials in each string of encoded JSON, whose nesting is bounded; see ``clean``."""
        return msgspec.json.encode(self._clean_value(msgspec.json.decode(data), words))

    def _clean_value(self, value: Any, words: bool) -> Any:
        if isinstance(value, str):
            return self.clean(value, words)
        if isinstance(value, list):
            return [self._clean_value(item, words) for item in value]
        if isinstance(value, dict):
            return {self.clean(key, words=False): self._clean_value(item, words) for key, item in value.items()}
        return value

    def clean(self, text: str, words: bool = True) -> str:
        """Replace the credentials in text; the short ones only if ``words``."""
        for spelling, mark in self.long:
            if spelling in text:
                text = text.replace(spelling, mark)
        if not words or not any(secret in text for secret in self.short):
            return text
        if bare(text) in self.short:
            return REDACTED
        return self._alone.sub(REDACTED, self._said.sub(rf"\1{REDACTED}", text))


@lru_cache(maxsize=1024)
def needles(secrets: tuple[str, ...]) -> Needles:
    """Make the needles of some credentials, or find them made: a client sends the same ones again and again."""
    return Needles(secrets)


def _either(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words)) or "(?!)"  # none of them matches nowhere


def _either_of(words: Iterable[bytes]) -> bytes:
    return b"|".join(map(re.escape, words))


def _raw(text: str) -> Set[bytes]:
    """How text stands in encoded JSON; some writers put a backslash in front of a slash."""
    form = msgspec.json.encode(text.encode("utf-8", "replace").decode())[1:-1]
    return {form, form.replace(b"/", b"\\/")}


def _spellings(secrets: Iterator[str]) -> Iterator[tuple[str, str]]:
    for secret in secrets:
        mark = f"[key:{fingerprint(secret)}]"
        for spelling in _ways_to_spell(secret):
            yield spelling, mark


def _ways_to_spell(secret: str) -> set[str]:
    """The credential itself, as JSON inside a string has it, quoted for a URL, and in base64 (a Basic credential)."""
    octets = secret.encode("utf-8", "replace")
    ways = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    ways |= {way.replace("/", "\\/") for way in ways}
    for quoted in (quote(octets, safe=""), quote(octets), quote_plus(octets)):
        ways |= {quoted, re.sub("%..", lambda found: found.group().lower(), quoted)}
    for start in range(3):  # as whatever stands in front shifts it: "Bearer " or "user:"
        ways |= _in_base64(octets, start)
    return ways


def _in_base64(octets: bytes, start: int) -> Set[str]:
    """The characters of base64 that neither what comes before nor what follows can change, in both alphabets."""
    whole = base64.b64encode(b"\0" * start + octets + b"\0\0")
    certain = whole[-(-start * 4 // 3) : (start + len(octets)) * 4 // 3]
    return {certain.decode(), certain.translate(bytes.maketrans(b"+/", b"-_")).decode()}
