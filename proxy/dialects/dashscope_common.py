"""The common frame of a stream: a text, the end that has not come, and what it cost so far.

One that follows such a frame brings nothing else that is new, so that it need not be respelled to be understood.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional

import msgspec
from msgspec import Struct

from proxy.chat.events import Event
from proxy.dialects.dashscope_chunks import Respelling
from proxy.dialects.openai_chunks import Reading
from proxy.dialects.openai_sound import UNREADABLE
from proxy.framing import Frame

NAMES = ("", "result")


class _Message(Struct, forbid_unknown_fields=True, gc=False):
    content: str
    role: str


class _Choice(Struct, forbid_unknown_fields=True, gc=False):
    message: _Message
    finish_reason: Optional[Literal["null"]]
    index: int = 0


class _Output(Struct, forbid_unknown_fields=True, gc=False):
    choices: List[_Choice]


class _Said(Struct, forbid_unknown_fields=True, gc=False):
    output: _Output
    usage: Optional[Dict[str, Any]] = None
    request_id: str = ""


_decode = msgspec.json.Decoder(_Said).decode


class Common:
    """One stream, in which ``respelling`` and ``reading`` understand whatever is not common."""

    def __init__(self, respelling: Respelling, reading: Reading) -> None:
        self._respelling = respelling
        self._reading = reading
        self._before: Optional[str] = None  # the id in the last frame, if it was of this kind

    def read(self, frame: Frame) -> Optional[List[Event]]:
        """The events of a common frame after another one; None for any that has to be understood in full."""
        before, self._before = self._before, None
        try:
            said = _decode(frame.data)
        except UNREADABLE:
            return None
        if frame.event not in NAMES or len(said.output.choices) != 1:
            return None
        self._before = said.request_id
        return self._news(said) if before == said.request_id else None

    def _news(self, said: _Said) -> Optional[List[Event]]:
        choice = said.output.choices[0]
        if not (self._reading.has_talked(choice.index) and self._respelling.knows(choice.index, choice.message.role)):
            return None
        text = self._respelling.text(choice.index, choice.message.content)
        return self._reading.read_common(text, choice.index, self._respelling.cost(said.usage, choice.index))
