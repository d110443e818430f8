"""OpenAI's older completions: the same envelope, streams and failures; a choice has text and no message (spec 1.9)."""

from __future__ import annotations

from functools import partial
from typing import Optional, Sequence, Tuple

from proxy.chat.ask import Ask
from proxy.dialects import openai_ask
from proxy.dialects.dialect import Asked, Wire
from proxy.dialects.openai import OPENAI, mend_reply, mend_stream
from proxy.dialects.openai_reply import write_reply
from proxy.dialects.openai_spoken import write_stream
from proxy.dialects.openai_stream import read_stream
from proxy.dialects.spelling import TEXT
from proxy.errors import failure

OWN = frozenset(("suffix", "echo", "best_of"))
OF_CHATS = frozenset(("messages", "system", "top_logprobs", "reasoning_effort", "response_format", "tools"))
NOTHING = (("echo", False), ("best_of", 1), ("suffix", ""))  # what asks for nothing
IDLE = (("reasoning_effort", "none"),)  # what happens anyway


def read_ask(body: bytes, headers: Sequence[Tuple[str, str]] = ()) -> Ask:
    """Read a completions ask; the prompt may have any form, or be missing, as some servers have others of their own."""
    return openai_ask.read_ask(body, openai_ask.COMPLETIONS)


def read_chat(ask: Ask) -> Wire:
    """The prompt as one user's message, for providers that know nothing but chats. Raises ProxyError for several."""
    prompted = read_prompt(ask)
    if prompted is None:
        raise failure("invalid_value", "This provider takes one prompt, as a string.", "prompt")
    prompt = prompted.pop("prompt")
    return {**prompted, "messages": [{"role": "user", "content": prompt}]}


def read_prompt(ask: Ask) -> Optional[Wire]:
    """The ask with its one prompt as a text, and with log probabilities asked for as a chat does; None for several."""
    prompt = ask.body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        return None
    said = {name: value for name, value in ask.body.items() if value is not None and (name, value) not in NOTHING}
    said["prompt"] = prompt
    count = said.get("logprobs")
    if isinstance(count, int) and not isinstance(count, bool):
        said.update({"logprobs": True, "top_logprobs": count} if count else {"logprobs": True})
    return said


def write_chat(chat: Wire, *, stream: bool, options: bool = True) -> Asked:
    """A bare prompt of another protocol's; what only chats have is named."""
    said = {name: value for name, value in chat.items() if name not in OF_CHATS}
    if said.pop("logprobs", None):
        said["logprobs"] = chat.get("top_logprobs") or 0
    lost = (name for name in chat if name in OF_CHATS - {"top_logprobs"} and (name, chat[name]) not in IDLE)
    return OPENAI.write_chat(said, stream=stream, options=options)._replace(dropped=tuple(lost))


COMPLETIONS = OPENAI._replace(
    name="completions",
    path="/completions",
    served=("/v1/completions", "/completions"),
    read_chat=read_chat,
    write_chat=write_chat,
    read_prompt=read_prompt,
    takes=OWN,
    own=OWN,
    read_ask=read_ask,
    write_reply=partial(write_reply, spelling=TEXT),
    read_stream=partial(read_stream, completions=True),
    write_stream=partial(write_stream, spelling=TEXT),
    mend_stream=partial(mend_stream, completions=True),
    mend_reply=partial(mend_reply, completions=True),
)
