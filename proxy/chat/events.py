"""What can happen while an answer is given: a closed set of events, each saying exactly one thing.

Every dialect reads its stream into these events and writes its stream from them. ``extra`` mappings hold what this
vocabulary has no name for, so that nothing of the wire is lost; they never hold a key that an event models.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

from msgspec import Struct

Extra = Dict[str, Any]


class Started(Struct, frozen=True, gc=False):
    """The answer began. ``created`` is in Unix seconds; ``extra`` holds unknown keys of the whole reply.

    A later one fills in what the first did not know.
    """

    id: str = ""
    model: str = ""
    created: float = 0
    extra: Extra = {}


class Opened(Struct, frozen=True, gc=False):
    """A choice began; choices are opened in ascending order."""

    choice: int = 0
    role: str = "assistant"


class Noted(Struct, frozen=True, gc=False):
    """Something this vocabulary has no name for: at ``level`` ``reply``, ``choice`` or ``message``."""

    level: str
    extra: Extra
    choice: int = 0


class Blank(Struct, frozen=True, gc=False):
    """A modelled field is present and says nothing: ``null``, ``""``, ``[]``, or a value of a shape nobody understands.

    ``field`` is its name on OpenAI's wire: ``content``, ``refusal``, ``audio``, ``tool_calls``, ``logprobs`` ...
    """

    field: str
    value: Any = None
    choice: int = 0


class Text(Struct, frozen=True, gc=False):
    """A piece of the visible answer."""

    text: str
    choice: int = 0


class Part(Struct, frozen=True, gc=False):
    """A piece of an answer whose content is no string: a list of one or more parts, or one JSON value, as spelled."""

    part: Any
    choice: int = 0


class Reasoning(Struct, frozen=True, gc=False):
    """A piece of the reasoning; ``name`` is the field it came under (two names are in use, sometimes both at once)."""

    text: str
    choice: int = 0
    name: str = "reasoning_content"


class Refusal(Struct, frozen=True, gc=False):
    """A piece of the model's refusal."""

    text: str
    choice: int = 0


class ToolCall(Struct, frozen=True, gc=False):
    """The head of a tool call; ``slot`` numbers the calls of a choice from 0.

    ``kind``: function, custom, or the deprecated function_call, which is not numbered: its slot is -1. A later
    head for the same slot adds what the first did not have: an id, more of the name, further keys (``inner``: of the
    object with name and arguments).
    """

    slot: int
    id: str
    name: str
    kind: str = "function"
    choice: int = 0
    extra: Extra = {}
    inner: Extra = {}


class ToolArguments(Struct, frozen=True, gc=False):
    """A piece of a tool call's argument text."""

    slot: int
    text: str
    choice: int = 0


class Audio(Struct, frozen=True, gc=False):
    """A piece of spoken answer: base64 ``data``, ``transcript`` text, or what identifies it."""

    id: Optional[str] = None
    data: Optional[str] = None
    transcript: Optional[str] = None
    expires_at: Optional[int] = None
    choice: int = 0
    extra: Extra = {}


class Logprobs(Struct, frozen=True, gc=False):
    """Log probabilities for a piece of the answer: lists by name, extended in order."""

    logprobs: Extra
    choice: int = 0


class Finished(Struct, frozen=True, gc=False):
    """A choice ended, and why, in the provider's OpenAI-style word."""

    reason: str
    choice: int = 0


class Usage(Struct, frozen=True, gc=False):
    """What it cost: OpenAI's usage mapping, open to further keys. The last one counts; never a sum."""

    counts: Extra


class Failed(Struct, frozen=True, gc=False):
    """The answer failed: an HTTP status, OpenAI's error fields, and the journal's word for the outcome.

    ``extra`` holds further keys of the error object (``request_id``, ``upstream_code``, ...).
    """

    status: int
    code: Optional[str]
    message: str
    type: str = "upstream_error"
    param: Optional[str] = None
    outcome: str = "upstream_error"
    extra: Extra = {}


Event = Union[
    Started,
    Opened,
    Noted,
    Blank,
    Text,
    Part,
    Reasoning,
    Refusal,
    ToolCall,
    ToolArguments,
    Audio,
    Logprobs,
    Finished,
    Usage,
    Failed,
]
