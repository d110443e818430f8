"""OpenAI's older completions: the same envelope, streams and failures; a choice has text and no message (spec 1.9)."""

from __future__ import annotations

from functools import partial

from proxy.chat.ask import Ask
from proxy.dialects import openai_ask
from proxy.dialects.openai import OPENAI, mend_reply, mend_stream
from proxy.dialects.openai_reply import write_reply
from proxy.dialects.openai_spoken import write_stream
from proxy.dialects.spelling import TEXT


def read_ask(body: bytes) -> Ask:
    """Read a completions ask; the prompt may have any form, or be missing, as some servers have others of their own."""
    return openai_ask.read_ask(body, openai_ask.COMPLETIONS)


COMPLETIONS = OPENAI._replace(
    name="completions",
    path="/completions",
    read_ask=read_ask,
    write_reply=partial(write_reply, spelling=TEXT),
    write_stream=partial(write_stream, spelling=TEXT),
    mend_stream=partial(mend_stream, completions=True),
    mend_reply=partial(mend_reply, completions=True),
)
