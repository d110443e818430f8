"""A whole answer: respelled and read like a chunk that says everything; and written in the form that is wanted."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from proxy.chat.ask import Ask
from proxy.chat.fold import Folding
from proxy.chat.reply import Call, Choice, Reply, kept
from proxy.chat.slots import call_id
from proxy.dialects.dashscope_chunks import PREFIX, Respelling
from proxy.dialects.dashscope_forms import MARK, PARTS, TEXT, mark_of, wanted_form
from proxy.dialects.dashscope_parts import write_part
from proxy.dialects.dashscope_usage import write_usage
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.failures import read_failure
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_chunks import Reading
from proxy.dialects.openai_deltas import write_call
from proxy.errors import ProxyError, failure

UNFINISHED = "null"  # the word, not the value
KEPT_BLANKS = ("reasoning_content", "tool_calls")


def read_reply(body: Wire, ask: Optional[Ask] = None) -> Reply:
    """Read a whole answer of either endpoint; raises ProxyError ``invalid_upstream_response`` for what is none."""
    output = body.get("output") if isinstance(body, dict) else None
    if not isinstance(output, dict):
        if isinstance(body, dict) and body.get("code"):
            raise ProxyError(read_failure(0, [], write_json(body)))
        raise failure("invalid_upstream_response", "The provider's answer has no output.")
    if output.get("task_status") == "FAILED":
        raise ProxyError(read_failure(0, [], write_json(body)))
    terms = Terms(repair=False)
    folding = Folding()
    for event in Reading(terms).read_whole(Respelling(terms, None, None, whole=True).chunk(body)):
        folding.add(event)
    return folding.reply()


def write_reply(reply: Reply, *, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None) -> Wire:
    """Spell the whole answer in the shape it came in, or else in the one that the ask wants (spec 4.11)."""
    mark = mark_of(reply.extra)
    shape = mark.get("shape") or wanted_form(ask).shape
    if shape == TEXT and len(reply.choices) == 1 and is_text(reply.choices[0]):
        output = write_plain(reply.choices[0])
    else:
        output = {"choices": [write_choice(choice, shape) for choice in reply.choices]}
    write_others(output, {**reply.extra, **own(mark, "output")})
    usage = reply.blank.get("usage", {}) if reply.usage is None else write_usage(reply.usage)
    body: Wire = {"output": output, "usage": usage, "request_id": write_id(reply.id, stamp)}
    return write_others(body, own(mark, "beside"))


def write_id(identity: str, stamp: Optional[Stamp]) -> str:
    """The id as this dialect has it; ours if the provider gave none, in the usual form of a UUID."""
    if stamp and stamp.request:
        return stamp.request
    if identity:
        return identity[len(PREFIX) :] if identity.startswith(PREFIX) else identity
    told = stamp.id if stamp else ""
    return "-".join((told[:8], told[8:12], told[12:16], told[16:20], told[20:])) if len(told) == 32 else told


def write_others(said: Wire, others: Mapping[str, Any]) -> Wire:
    """The same with further keys, none of which replaces what was said."""
    said.update((key, value) for key, value in others.items() if key not in said and key != MARK)
    return said


def own(mark: Mapping[str, Any], name: str) -> Wire:
    """Keys that travelled under the dialect's own."""
    said = mark.get(name)
    return said if isinstance(said, dict) else {}


def is_text(choice: Choice) -> bool:
    """Whether a choice can be told as a mere text."""
    more = choice.content, choice.reasoning, choice.calls, choice.audio, choice.logprobs, choice.note, choice.index
    return not any(more) and not choice.extra.keys() - {MARK} and not set(KEPT_BLANKS) & choice.blank.keys()


def write_plain(choice: Choice, reason: Optional[str] = None) -> Wire:
    """An output in text format."""
    return {"finish_reason": reason or write_reason(choice), "text": _text(choice)}


def write_choice(choice: Choice, shape: str) -> Wire:
    """One item of ``output.choices``."""
    mark = mark_of(choice.extra)
    said: Wire = {"finish_reason": write_reason(choice), "index": choice.index, "message": write_message(choice, shape)}
    if choice.logprobs is not None:
        said["logprobs"] = {name: value for name, value in choice.logprobs.items() if name != "refusal" or value}
    elif "logprobs" in choice.blank:
        said["logprobs"] = choice.blank["logprobs"]
    return write_others(said, {**choice.extra, **own(mark, "beside")})


def write_reason(choice: Choice) -> str:
    """Why the choice ended, in the provider's own word if it had to be mended."""
    reason = mark_of(choice.extra).get("finish_reason") or choice.reason or UNFINISHED
    return "tool_calls" if reason == "function_call" else str(reason)


def write_message(choice: Choice, shape: str, calls: Optional[List[Wire]] = None) -> Wire:
    """A message; role and content are always there. ``calls``: its calls if they are pieces of some."""
    message: Wire = {"role": choice.role, "content": _content(choice, shape)}
    message.update((name, choice.blank[name]) for name in KEPT_BLANKS if name in choice.blank)
    message.update(kept(choice.blank))
    reasoning = choice.reasoning.get("reasoning_content") or next(iter(choice.reasoning.values()), None)
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if calls is None:
        calls = [_call(call, place, choice.index) for place, call in enumerate(choice.calls)]
    if calls:
        message["tool_calls"] = calls
    return write_others(message, choice.note)


def _content(choice: Choice, shape: str) -> Any:
    if shape != PARTS and not isinstance(choice.content, list) and choice.audio is None:
        return choice.content if choice.content is not None else _text(choice)
    parts: List[Any] = list(map(write_part, choice.content)) if isinstance(choice.content, list) else []
    if _text(choice):
        parts.append({"text": _text(choice)})
    return parts if choice.audio is None else [*parts, {"audio": choice.audio}]


def _text(choice: Choice) -> str:
    """A refusal has no place of its own here, but it has to be read."""
    return (choice.text or "") + (choice.refusal or "")


def _call(call: Call, place: int, index: int) -> Wire:
    """A whole call; the deprecated one becomes a tool's."""
    if call.kind == "function_call":
        call = Call(call.id or call_id("", index, place), call.name, "function", call.arguments, call.extra, call.inner)
    said: Dict[str, Any] = {"index": place}
    return {**said, **write_call(call)}
