"""OpenAI's older completions: the same envelope, streams and failures; a choice has text and no message (spec 1.9)."""

from __future__ import annotations

from functools import partial
from typing import Sequence, Tuple

from proxy.chat.ask import Ask
from proxy.dialects import openai_ask
from proxy.dialects.dialect import Wire
from proxy.dialects.openai import OPENAI, mend_reply, mend_stream
from proxy.dialects.openai_reply import write_reply
from proxy.dialects.openai_spoken import write_stream
from proxy.dialects.openai_stream import read_stream
from proxy.dialects.spelling import TEXT
from proxy.errors import failure


def read_ask(body: bytes, headers: Sequence[Tuple[str, str]] = ()) -> Ask:
    """Read a completions ask; the prompt may have any form, or be missing, as some servers have others of their own."""
    return openai_ask.read_ask(body, openai_ask.COMPLETIONS)


def read_chat(ask: Ask) -> Wire:
    """The prompt as one user's message, for providers that know nothing but chats. Raises ProxyError for several."""
    chat = {name: value for name, value in ask.body.items() if name != "prompt"}
    prompt = ask.body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise failure("invalid_value", "This provider takes one prompt, as a string.", "prompt")
    return {**chat, "messages": [{"role": "user", "content": prompt}]}


COMPLETIONS = OPENAI._replace(
    name="completions",
    path="/completions",
    served=("/v1/completions", "/completions"),
    read_chat=read_chat,
    own=frozenset(("suffix", "echo", "best_of")),
    read_ask=read_ask,
    write_reply=partial(write_reply, spelling=TEXT),
    read_stream=partial(read_stream, completions=True),
    write_stream=partial(write_stream, spelling=TEXT),
    mend_stream=partial(mend_stream, completions=True),
    mend_reply=partial(mend_reply, completions=True),
)
