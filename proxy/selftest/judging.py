"""What an answer is worth: sound, to be mended by the proxy, honestly refused, or wrong."""

from __future__ import annotations

import json
from typing import Any, Callable, List, NamedTuple, Optional

from proxy.chat.reply import Choice
from proxy.dialects.json_text import read_json
from proxy.dialects.mode_refusals import read_refusal
from proxy.errors import FAILURES
from proxy.selftest.asking import Heard

SOUND, MENDED, REFUSED, ABSENT, UNSOUND = "sound", "mended", "refused", "absent", "unsound"
GOOD = (SOUND, REFUSED, ABSENT)


class Verdict(NamedTuple):
    """One of the five words, what was seen, and the names of the repairs that the proxy would make."""

    state: str
    told: str = ""
    repairs: List[str] = []


Judge = Callable[[Heard], Verdict]


def answered(judge: Callable[[Heard, List[Choice]], Optional[str]], *, optional: bool = False) -> Judge:
    """A judge of an answer that should be there: ``judge`` says what is missing. ``optional``: may be refused."""

    def verdict(heard: Heard) -> Verdict:
        if heard.dropped:
            return Verdict(ABSENT, f"this protocol has no {', '.join(heard.dropped)}")
        if heard.failed is not None or heard.reply is None:
            return _failed(heard, optional)
        wrong = judge(heard, heard.reply.choices)
        if wrong:
            return Verdict(UNSOUND, wrong)
        if heard.streamed != heard.question.streams:
            told = "a stream though a whole answer was asked for" if heard.streamed else "one whole, though streamed"
            return Verdict(MENDED, told, [*heard.repairs, "mode"])
        state = MENDED if heard.repairs else SOUND
        return Verdict(state, _numbers(heard), list(heard.repairs))

    return verdict


def _failed(heard: Heard, optional: bool) -> Verdict:
    error = heard.failed.failed if heard.failed is not None else None
    told = f"{heard.status or ''} {error.code or error.type}: {error.message}".strip() if error else "no answer"
    change = read_refusal(error, streamed=heard.question.streams) if error else None
    if change is not None and heard.status is not None:
        return Verdict(MENDED, told, [f"fallback ({change.kind})"])
    honest = heard.status is not None and 400 <= heard.status < 500
    return Verdict(REFUSED if honest and optional else UNSOUND, told)


def _numbers(heard: Heard) -> str:
    frames = f"{heard.frames} frames, " if heard.streamed else ""
    return f"{frames}{heard.ms:.0f} ms"


def says_something(heard: Heard, choices: List[Choice]) -> Optional[str]:
    """A text and a finish reason."""
    if not any(choice.text or choice.content or choice.reasoning for choice in choices):
        return "nothing is said"
    return None if all(choice.reason for choice in choices) else "no finish reason"


def tells_usage(heard: Heard, choices: List[Choice]) -> Optional[str]:
    """Tokens, counted."""
    usage: Any = heard.reply.usage if heard.reply else None
    if not usage:
        return "no usage"
    prompt, completion, total = (usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if not prompt or completion is None:
        return f"usage without tokens: {usage}"
    wrong = total is not None and total < prompt + completion
    return f"total_tokens {total} is less than {prompt} + {completion}" if wrong else None


def calls_tools(heard: Heard, choices: List[Choice]) -> Optional[str]:
    """A tool call whose arguments are an object."""
    calls = [call for choice in choices for call in choice.calls]
    if not calls:
        return "no tool is called"
    for call in calls:
        try:
            sound = isinstance(json.loads(call.arguments), dict) and call.name
        except ValueError:
            sound = False
        if not sound:
            return f"the arguments of {call.name!r} are no JSON object"
    return None if choices[0].reason == "tool_calls" else f"finish reason {choices[0].reason!r}, not 'tool_calls'"


def gives_two(heard: Heard, choices: List[Choice]) -> Optional[str]:
    """Two choices, each with its own number."""
    numbers = [choice.index for choice in choices]
    return None if numbers == [0, 1] else f"choices {numbers}, not [0, 1]"


def tells_logprobs(heard: Heard, choices: List[Choice]) -> Optional[str]:
    """Log probabilities of the tokens."""
    told = choices[0].logprobs if choices else None
    return None if told and told.get("content") else "no log probabilities"


def is_cut(heard: Heard, choices: List[Choice]) -> Optional[str]:
    """An answer that max_tokens cut."""
    reason = choices[0].reason if choices else None
    return None if reason == "length" else f"finish reason {reason!r}, not 'length'"


def refuses(*statuses: int, lenient: bool = True) -> Judge:
    """A judge of an ask that must be refused, in a form that SDKs understand; ``lenient``: or else answered."""

    def verdict(heard: Heard) -> Verdict:
        if heard.status is None:
            return _failed(heard, optional=False)
        error = heard.failed.failed if heard.failed is not None else None
        if heard.status < 300:
            if error is not None and error.code not in FAILURES:
                return Verdict(MENDED, f"{heard.status} with an error in it: {error.message}", ["status"])
            return Verdict(ABSENT if lenient else UNSOUND, f"{heard.status}: it is not refused")
        if error is not None and read_refusal(error, streamed=heard.question.streams):
            return Verdict(ABSENT, "refused for its mode already")
        wrong = heard.status not in statuses
        if wrong:
            return Verdict(MENDED if heard.status >= 500 else UNSOUND, f"status {heard.status}, not {statuses[0]}")
        if not _is_object(heard.body):
            return Verdict(MENDED, f"{heard.status} with a body that is no JSON", ["error form"])
        return Verdict(SOUND, f"{heard.status} {error.code or error.type if error else ''}".strip())

    return verdict


def reads_alike(heard: Heard) -> Verdict:
    """Two readers of the same bytes find the same events."""
    if not heard.streamed:
        return Verdict(ABSENT, "no event stream to read")
    return Verdict(UNSOUND, heard.unlike) if heard.unlike else Verdict(SOUND, f"{heard.frames} events")


def ends(heard: Heard) -> Verdict:
    """The stream says its end."""
    if not heard.streamed:
        return Verdict(ABSENT, "no stream")
    if heard.failed is not None:
        return _failed(heard, optional=False)
    return Verdict(MENDED, "the end is not said", ["done"]) if "done" in heard.repairs else Verdict(SOUND)


def was_left(heard: Heard) -> Verdict:
    """Somebody hung up after the first bytes."""
    if heard.status is None or heard.status >= 300:
        return _failed(heard, optional=False)
    return Verdict(SOUND, f"left after {len(heard.body)} bytes")


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(read_json(body), dict)
    except ValueError:
        return False
