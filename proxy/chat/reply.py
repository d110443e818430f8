"""A whole answer, in values that any dialect can read and write."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from msgspec import Struct, field

from proxy.chat.events import Extra
from proxy.chat.slots import call_id


class Call(Struct):
    """One tool call; ``arguments`` is text (JSON for functions). ``kind``: function, custom, function_call."""

    id: str = ""
    name: str = ""
    kind: str = "function"
    arguments: str = ""
    extra: Extra = field(default_factory=dict)
    inner: Extra = field(default_factory=dict)


class Choice(Struct):
    """One of the answers. ``content`` is content that is no string (a list of parts, or a JSON value).

    ``blank`` holds modelled fields that were present and said nothing; ``note`` unknown keys of the message, ``extra``
    those of the choice.
    """

    index: int = 0
    role: str = "assistant"
    text: Optional[str] = None
    content: Any = None
    reasoning: Dict[str, str] = field(default_factory=dict)
    refusal: Optional[str] = None
    calls: List[Call] = field(default_factory=list)
    audio: Optional[Extra] = None
    logprobs: Optional[Extra] = None
    reason: Optional[str] = None
    blank: Extra = field(default_factory=dict)
    note: Extra = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)


class Reply(Struct):
    """The whole answer; ``usage`` is OpenAI's mapping or None, ``blank`` as in a choice, ``extra`` its unknown keys."""

    id: str = ""
    model: str = ""
    created: float = 0
    choices: List[Choice] = field(default_factory=list)
    usage: Optional[Extra] = None
    blank: Extra = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)


MODELLED = frozenset(
    ("content", "refusal", "audio", "tool_calls", "function_call", "logprobs", "finish_reason", "role")
)
MODELLED |= {"reasoning_content", "reasoning", "thinking", "usage"}


def kept(blank: Extra) -> Extra:
    """What of a choice's blanks its provider wants back with the next question (signed thinking): no modelled field."""
    return {name: value for name, value in blank.items() if name not in MODELLED and value}


def is_plain(reply: Reply) -> bool:
    """Whether it is one text by a named model and what that cost: there is one way only to say it in a stream."""
    named = reply.id and reply.model and reply.created and reply.usage is not None
    if not named or len(reply.choices) != 1:
        return False
    (choice,) = reply.choices
    said = isinstance(choice.text, str) and choice.content is None and choice.reason is not None
    return said and not choice.calls and choice.audio is None and choice.index == 0


def name_calls(reply: Reply) -> None:
    """Give an id to each call that came without one: its result could not be told from another's (C20)."""
    for choice in reply.choices:
        for place, call in enumerate(choice.calls):
            call.id = call.id or call_id(reply.id, choice.index, place)
