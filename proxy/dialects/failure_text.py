"""The words of a failure: what a person can read of pages, plain text and bytes, never long and never empty."""

from __future__ import annotations

import html
import re
from http import HTTPStatus

from proxy.dialects.failure_tables import EDGES

MESSAGE_LIMIT = 8000
PLAIN_LIMIT = 1000
PAGE_LIMIT = 300
# A page is looked at as far as this many characters, which bounds what its reading can cost.
PAGE_SEEN = 16_384

PAGE = re.compile(r"<(?:!doctype|!--|\?xml|[a-z])", re.IGNORECASE)
PAGE_INSIDE = re.compile(r"<(?:!doctype html|html\b)", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")
BLANKS = re.compile(r"\s+")
SAYS_NOTHING = frozenset(("", "error", "document", "untitled"))


def is_page(text: str) -> bool:
    """Is this HTML or XML rather than something a person should read?"""
    return PAGE.match(text) is not None


def read_page(text: str) -> str:
    """The title of a page, else its heading or message, else its words: at most 300 characters (C40)."""
    text = text[:PAGE_SEEN]
    lower = text.lower()
    for name in ("title", "h1", "message"):
        words = _words(_inside(text, lower, name))
        if words.lower() not in SAYS_NOTHING:
            return words
    return _words(text)


def _inside(text: str, lower: str, name: str) -> str:
    """What the first element of that name holds; plain searches, for a pattern would cost squares on hostile pages."""
    begin = lower.find("<" + name)
    begin = lower.find(">", begin) if begin >= 0 else -1
    end = lower.find("</" + name, begin) if begin >= 0 else -1
    return text[begin + 1 : end] if end >= 0 else ""


def _words(markup: str) -> str:
    return BLANKS.sub(" ", html.unescape(TAG.sub(" ", markup))).strip()[:PAGE_LIMIT].rstrip()


def writable(text: str) -> str:
    """The text as it can be encoded: JSON may hold half a surrogate pair, UTF-8 may not."""
    return text.encode("utf-8", "replace").decode()


def readable(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """The message as it may be shown: no page inside it, no binary rubbish, at most ``limit`` characters."""
    message = writable(message[: 2 * limit + PAGE_SEEN])
    page = PAGE_INSIDE.search(message)
    if page:
        message = (message[: page.start()] + read_page(message[page.start() :])).strip()
    sample = message[:200]
    if not message.strip() or "\x00" in sample or sample.count("\ufffd") * 4 > len(sample):
        return ""
    return message[:limit]


def phrase(status: int) -> str:
    """The reason phrase of an HTTP status, for a body that says nothing."""
    if status in EDGES:
        return EDGES[status][1]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"
