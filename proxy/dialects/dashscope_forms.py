"""In which form an answer is told: text, a message, or a message made of parts; all so far in each frame, or news only.

Much of it follows from the ask (spec 4.3, 4.11), and some of it only the provider's answer shows. That travels under
one key named after the dialect: ``shape`` of the answer, ``output`` and ``beside`` for keys that mean something else to
others, and a choice's own ``finish_reason`` where it had to be mended.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping, NamedTuple, Optional

from proxy.chat.ask import Ask
from proxy.dialects.openai_chunks import CUMULATIVE_MODELS

Wire = Dict[str, Any]

MARK = "dashscope"
TEXT, MESSAGE, PARTS = "text", "message", "parts"
INCREMENTAL, CUMULATIVE, UNKNOWN = "incremental", "cumulative", "unknown"
TEXT_PATH = "/services/aigc/text-generation/generation"
MULTIMODAL_PATH = "/services/aigc/multimodal-generation/generation"

# Models that only the multimodal endpoint knows (spec 4.6, product.md); a wrong guess is corrected on "url error".
MULTIMODAL_MODEL = re.compile(r"-vl|vl-|qvq|omni|-audio|audio-|-ocr|-asr|captioner|qwen3\.[56]", re.IGNORECASE)
# Models that answer with a message where no format was asked for (spec 4.3).
MESSAGE_MODEL = re.compile(r"qwen3|qwq|qvq", re.IGNORECASE)


class Form(NamedTuple):
    """The ``shape`` of an answer, and whether each frame of it tells only what is new."""

    shape: str
    incremental: bool


def wanted_form(ask: Optional[Ask]) -> Form:
    """What a client of this dialect expects; without its ask, a message, and what the protocol does by default."""
    if ask is None or not is_native(ask):
        return Form(MESSAGE, False)
    parameters = parameters_of(ask.body)
    return Form(_shape(ask, parameters), parameters.get("incremental_output") is True)


def heard_manner(ask: Optional[Ask]) -> str:
    """How the provider tells its stream, as far as that is known before its second frame."""
    if ask is None:
        return UNKNOWN
    if ask.model.startswith(CUMULATIVE_MODELS):
        return CUMULATIVE
    if not (is_native(ask) and ask.stream):
        return INCREMENTAL  # Then it was us who asked, for news only.
    said = parameters_of(ask.body).get("incremental_output")
    return INCREMENTAL if said is True else CUMULATIVE if said is False else UNKNOWN


def is_native(ask: Ask) -> bool:
    """Whether this ask is spelled in this dialect."""
    return isinstance(ask.body.get("input"), dict) and "messages" not in ask.body


def parameters_of(body: Mapping[str, Any]) -> Wire:
    """The parameters of an ask in this dialect."""
    said = body.get("parameters")
    return said if isinstance(said, dict) else {}


def asks_for_parts(body: Mapping[str, Any]) -> bool:
    """Whether an ask in this dialect is one for the multimodal endpoint: its contents are lists of one-key parts."""
    said = body.get("input")
    if not isinstance(said, dict):
        return False
    messages = said.get("messages")
    if not isinstance(messages, list):
        return "prompt" not in said and bool(said)  # speech is asked for with a text and a voice
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(isinstance(part, dict) and "type" not in part for part in parts)


def mark_of(extra: Mapping[str, Any]) -> Wire:
    """What travelled under the dialect's own key."""
    said = extra.get(MARK)
    return said if isinstance(said, dict) else {}


def _shape(ask: Ask, parameters: Wire) -> str:
    if asks_for_parts(ask.body):
        return PARTS
    said = parameters.get("result_format")
    if said in (TEXT, MESSAGE):
        return str(said)
    return MESSAGE if parameters.get("tools") or MESSAGE_MODEL.search(ask.model) else TEXT
