"""The verbatim lane: frames pass as they came; the end is a finish reason of every choice, and comes with no sign."""

from __future__ import annotations

import re
from typing import Set

from proxy.chat.ask import Ask
from proxy.chat.slots import index_of
from proxy.dialects.dashscope_chunks import choices_of
from proxy.dialects.dashscope_forms import parameters_of
from proxy.dialects.dialect import Mender, Stamp
from proxy.dialects.json_text import read_object
from proxy.dialects.openai_reasons import said_reason
from proxy.dialects.verbatim import Watch
from proxy.framing import Frame

# Quotes inside a JSON string are escaped, so that these never match what a model said.
ENDS = re.compile(rb'"finish_reason"\s*:\s*"(?!null"|")')
ANSWER_ENDS = re.compile(rb'"phase"\s*:\s*"answer"')
PHASE_ENDS = re.compile(rb'"status"\s*:\s*"finished"')
SAYS = re.compile(
    rb'"(?:content|text|reasoning_content)"\s*:\s*"(?!")|"content"\s*:\s*\[\s*\{|"tool_calls"\s*:\s*\[\s*\{'
)


def is_end(frame: Frame) -> bool:
    """Whether a choice ends with this frame."""
    data = frame.data
    return bool(ENDS.search(data) or (PHASE_ENDS.search(data) and ANSWER_ENDS.search(data)))


def says(frame: Frame) -> bool:
    """Whether a frame says something."""
    return bool(SAYS.search(frame.data)) or is_end(frame)


class _Watched(Watch):
    """A stream of several choices, each of which ends by itself; it is read until its connection ends."""

    def __init__(self, choices: int) -> None:
        super().__init__(lambda frame: False, says)
        self._choices = choices
        self._ended: Set[int] = set()

    def mend(self, frame: Frame) -> bytes:
        """The frame as it came. Raises ProxyError for one that is a failure."""
        raw = super().mend(frame)
        if not self.finished and is_end(frame):
            self._ended |= {0} if self._choices == 1 else _ended(frame)
            self.finished = len(self._ended) >= self._choices
        return raw


def mend_stream(ask: Ask, stamp: Stamp, *, repair: bool, show_usage: bool, asked_usage: bool) -> Mender:
    """Begin to watch one stream."""
    count = parameters_of(ask.body).get("n")
    return _Watched(count if isinstance(count, int) and count > 1 else 1)


def _ended(frame: Frame) -> Set[int]:
    output = (read_object(frame.data) or {}).get("output")
    choices = choices_of(output) if isinstance(output, dict) else []
    return {index_of(one, place) for place, one in enumerate(choices) if said_reason(one.get("finish_reason"))}
