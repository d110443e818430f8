"""What differs between OpenAI's chat endpoint and its older completions."""

from __future__ import annotations

from typing import NamedTuple


class Spelling(NamedTuple):
    """Object names of a whole answer and of a chunk, whether a choice has a message or just text, how an id begins."""

    whole: str
    chunk: str
    messages: bool
    prefix: str


CHAT = Spelling("chat.completion", "chat.completion.chunk", True, "chatcmpl-")
TEXT = Spelling("text_completion", "text_completion", False, "cmpl-")
