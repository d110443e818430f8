"""A reply into a stream of events that says it: ``fold(unfold(reply)) == reply``."""

from __future__ import annotations

from typing import Dict, Iterator

from proxy.chat import events as ev
from proxy.chat.reply import Call, Choice, Reply
from proxy.chat.slots import UNNUMBERED

EVERYWHERE = ("system_fingerprint", "service_tier")
AUDIO_FIELDS: Dict[str, type] = {"id": str, "transcript": str, "data": str, "expires_at": int}


def unfold(reply: Reply) -> Iterator[ev.Event]:
    """Say ``reply`` as a stream, in the order of spec 1.7: choice by choice, reasoning before text before calls.

    Unknown keys of the whole come first if they are about the prompt, else with the end of the last choice.
    """
    early = {key: value for key, value in reply.extra.items() if key in EVERYWHERE or key.startswith("prompt")}
    late = {key: value for key, value in reply.extra.items() if key not in early}
    yield ev.Started(reply.id, reply.model, reply.created, early)
    for name, value in reply.blank.items():
        yield ev.Blank(name, value)
    for choice in reply.choices:
        yield from _answer(choice)
        if late and choice is reply.choices[-1]:
            yield ev.Noted("reply", late)
        yield from _end(choice)
    if late and not reply.choices:
        yield ev.Noted("reply", late)
    if reply.usage is not None:
        yield ev.Usage(reply.usage)


def _answer(choice: Choice) -> Iterator[ev.Event]:
    index = choice.index
    yield ev.Opened(index, choice.role)
    if choice.text:
        yield ev.Blank("content", "", index)  # What OpenAI begins a text with; the text replaces it.
    for name, value in choice.blank.items():
        yield ev.Blank(name, value, index)
    for name, text in choice.reasoning.items():
        yield ev.Reasoning(text, index, name)
    if choice.logprobs is not None:
        yield ev.Logprobs(choice.logprobs, index)
    if choice.content is not None:
        yield ev.Part(choice.content, index)
    elif choice.text is not None:
        yield ev.Text(choice.text, index)
    if choice.refusal is not None:
        yield ev.Refusal(choice.refusal, index)
    for place, call in enumerate(choice.calls):
        yield from _call(call, UNNUMBERED if call.kind == "function_call" else place, index)
    if choice.audio is not None:
        yield from _audio(choice.audio, index)
    if choice.note:
        yield ev.Noted("message", choice.note, index)


def _end(choice: Choice) -> Iterator[ev.Event]:
    if choice.extra:
        yield ev.Noted("choice", choice.extra, choice.index)
    if choice.reason is not None:
        yield ev.Finished(choice.reason, choice.index)


def _call(call: Call, slot: int, index: int) -> Iterator[ev.Event]:
    yield ev.ToolCall(slot, call.id, call.name, call.kind, index, call.extra, call.inner)
    if call.arguments:
        yield ev.ToolArguments(slot, call.arguments, index)


def _audio(audio: ev.Extra, index: int) -> Iterator[ev.Event]:
    fields = [name for name, kind in AUDIO_FIELDS.items() if isinstance(audio.get(name), kind)]
    for name in fields:
        yield ev.Audio(choice=index, **{name: audio[name]})
    extra = {
        name: said
        for name, said in audio.items()
        if name not in fields and (said is not None or name not in AUDIO_FIELDS)
    }
    if extra or not fields:
        yield ev.Audio(choice=index, extra=extra)
