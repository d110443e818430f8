"""A whole answer: one chunk that says everything, read like any other; and written back key by key."""

from __future__ import annotations

from typing import List, Optional

from proxy.chat.ask import Ask
from proxy.chat.fold import Folding
from proxy.chat.reply import Call, Choice, Reply
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_chunks import Reading
from proxy.dialects.openai_deltas import write_call
from proxy.dialects.openai_logprobs import write_lists
from proxy.dialects.spelling import CHAT, Spelling
from proxy.errors import failure

CHOICE_FIELDS = ("logprobs", "finish_reason")


def read_reply(body: Wire, ask: Optional[Ask] = None) -> Reply:
    """Read a ``chat.completion`` or ``text_completion``; raises ProxyError ``invalid_upstream_response``."""
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        raise failure("invalid_upstream_response", "The provider's answer has no list of choices.")
    folding = Folding()
    for event in Reading(Terms(repair=False)).read_whole(body):
        folding.add(event)
    return folding.reply()


def write_reply(
    reply: Reply, spelling: Spelling = CHAT, *, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None
) -> Wire:
    """Spell the whole answer; the envelope, ``index`` and ``finish_reason`` are always there (C54)."""
    body: Wire = {
        "id": f"{spelling.prefix}{stamp.id}" if stamp and reply.id in ("", stamp.id) else reply.id,
        "object": spelling.whole,
        "created": reply.created,
        "model": reply.model,
        "choices": [_choice(choice, spelling) for choice in reply.choices],
    }
    if reply.usage is not None:
        body["usage"] = reply.usage
    return with_others(body, {**reply.blank, **reply.extra})


def with_others(said: Wire, others: Wire) -> Wire:
    """The same with further keys, none of which replaces what was said."""
    said.update((key, value) for key, value in others.items() if key not in said)
    return said


def _choice(choice: Choice, spelling: Spelling) -> Wire:
    said: Wire = {"index": choice.index}
    if spelling.messages:
        said["message"] = _message(choice)
    else:
        said["text"] = choice.blank.get("content", choice.text or "")
    said.update((name, choice.blank[name]) for name in CHOICE_FIELDS if name in choice.blank)
    if choice.logprobs is not None:
        said["logprobs"] = choice.logprobs if spelling.messages else write_lists(choice.logprobs)
    if choice.reason is not None or "finish_reason" not in said:
        said["finish_reason"] = choice.reason
    return with_others(said, choice.extra)


def _message(choice: Choice) -> Wire:
    message: Wire = {"role": choice.role}
    message.update((name, value) for name, value in choice.blank.items() if name not in CHOICE_FIELDS)
    if choice.content is not None or choice.text is not None:
        message["content"] = choice.content if choice.content is not None else choice.text
    message.update(choice.reasoning)
    if choice.refusal is not None:
        message["refusal"] = choice.refusal
    if choice.audio is not None:
        message["audio"] = choice.audio
    message.update(_calls(choice.calls))
    return with_others(message, choice.note)


def _calls(calls: List[Call]) -> Wire:
    """``tool_calls`` and the deprecated ``function_call``, each only if there is one."""
    said: Wire = {}
    tools = [write_call(call) for call in calls if call.kind != "function_call"]
    if tools:
        said["tool_calls"] = tools
    for call in calls:
        if call.kind == "function_call":
            said["function_call"] = {"name": call.name, "arguments": call.arguments, **call.inner}
    return said
