"""Is an answer sound as it came? One typed look and a few comparisons; whatever this cannot tell, it calls odd.

It knows the common chunk of a stream that is under way: text for choices that have spoken before, nothing else in it;
and the common whole reply: one choice that says text and why it ended.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Container, Dict, Generic, List, Literal, Optional, Tuple, Type, TypeVar

import msgspec
from msgspec import Struct

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class Head(Struct):
    """What every chunk of a stream says alike; empty as long as it is not known."""

    object: str
    id: str = ""
    created: int = 0
    model: str = ""


class _Delta(Struct, forbid_unknown_fields=True, gc=False):
    """A delta that only says text; a role, a call or a key not named here is somebody else's business."""

    content: Optional[str] = None
    refusal: Optional[str] = None
    reasoning: Optional[str] = None
    reasoning_content: Optional[str] = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None


class _Choice(Struct, gc=False):
    """``finish_reason`` has to be there and to be null (C54); unknown keys are welcome and not looked at."""

    index: int
    delta: _Delta
    finish_reason: None


class _TextChoice(Struct, gc=False):
    """The same for legacy completions."""

    index: int
    text: str
    finish_reason: None


ChoiceType = TypeVar("ChoiceType", _Choice, _TextChoice)


class _Chunk(Struct, Generic[ChoiceType], gc=False):
    id: str
    object: str
    created: int
    model: str
    choices: List[ChoiceType]
    error: None = None


class _UnaskedChunk(_Chunk[ChoiceType], Generic[ChoiceType], gc=False):
    """Where any ``usage`` has to be taken out, it makes a chunk odd."""

    usage: Literal["none that occurs"] = "none that occurs"


class _Message(Struct, gc=False):
    """Calls of either kind are somebody else's business."""

    role: str
    content: Optional[str]
    tool_calls: None = None
    function_call: None = None


class _SaidChoice(Struct, gc=False):
    """The only choice of a reply; its reason is one of OpenAI's own that nothing can contradict."""

    index: int
    message: _Message
    finish_reason: Literal["stop", "length", "content_filter"]


class _Reply(Struct, gc=False):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: List[_SaidChoice]


def is_sound_reply(reply: Dict[str, Any]) -> bool:
    """Whether a decoded whole reply is one that strict clients take as it is."""
    try:
        said = msgspec.convert(reply, _Reply)
    except (msgspec.ValidationError, UnicodeEncodeError):  # a lone surrogate is no text to msgspec
        return False
    named = said.id and said.model and 0 < said.created < 1e15
    return bool(named and [choice.index for choice in said.choices] == [0] and said.choices[0].message.role)


TYPES: Dict[Tuple[bool, bool], Type[Any]] = {
    (False, False): _Chunk[_Choice],
    (False, True): _UnaskedChunk[_Choice],
    (True, False): _Chunk[_TextChoice],
    (True, True): _UnaskedChunk[_TextChoice],
}


@lru_cache(maxsize=None)
def soundness(*, completions: bool, unasked: bool) -> Callable[[bytes, Head, Container[int]], bool]:
    """The check for one kind of stream; ``unasked``: the ``usage`` in it is there only because we asked.

    The check takes a frame's data, the stream's head and the choices that are talking; False means "look closer".
    """
    decode = msgspec.json.Decoder(TYPES[completions, unasked]).decode

    def is_sound(data: bytes, head: Head, talking: Container[int]) -> bool:
        """Whether a frame is as strict clients want it."""
        try:
            chunk = decode(data)
        except UNREADABLE:
            return False
        if chunk.id != head.id or chunk.created != head.created or chunk.model != head.model:
            return False
        for choice in chunk.choices:
            if choice.index not in talking:
                return False
        return chunk.object == head.object and bool(chunk.choices)

    return is_sound
