"""Whole answers as providers may send them, for laws: all kinds of messages, fields null, empty, missing, unknown.

What no stream can say differently is left out of these answers, and named here: EXCEPTIONS.
"""

from __future__ import annotations

from base64 import b64encode
from operator import itemgetter
from typing import Any

from hypothesis import strategies as st

EXCEPTIONS = {
    "obfuscation, p": "padding against eavesdroppers is dropped",
    "id, object, created, model, index, role, finish_reason": "always written: missing ones become empty, 0 or null",
    "id, type, name and arguments of a call": "always written, as text",
    "calls of one id": "are one call (C15)",
    "index of a whole answer's call": "a stream numbers every call itself",
    "usage: null": "a stream tells usage or does not",
    "delta beside message": "a whole answer's idle delta is dropped",
    "null inside audio": "says nothing",
    "usage in a choice, x_groq or timings": "is told at the usual place too, if nothing is told there",
}
MODELLED = {
    "reply": {"id", "object", "created", "model", "choices", "usage"},
    "choice": {"index", "message", "delta", "text", "logprobs", "finish_reason"},
    "message": {"role", "content", "refusal", "reasoning_content", "reasoning", "thinking", "tool_calls"}
    | {"function_call", "audio"},
    "call": {"index", "id", "type", "function", "custom"},
    "inner": {"name", "arguments", "input"},
    "audio": {"id", "data", "transcript", "expires_at"},
}
PADDING = {"obfuscation", "p"}

texts = st.one_of(
    st.text(max_size=6), st.sampled_from(["Hello ", "data: x\n\n", "[DONE]", '{"a":1}', "😀", "\u2028", "\x85"])
)
words = st.sampled_from(
    ["a", "b", "c1", "x_y", "übel", "😀", "delta2", "role", "content", "usage", "index2", "kind", "0"]
)
# Sampled, not built: building nested values is what makes a law slow.
values = st.sampled_from(
    [None, True, False, 0, -7, 2**53, 1.5, -0.001, 1e22, "", "text", "ü😀", "null", [], [1, [None, "x"]], [{}], {}]
    + [{"k": {"l": [1, "x"], "id": ""}}, {"type": "t", "text": "x", "index": 0}, [{"type": "t", "text": "x"}] * 2]
)
KNOWN_KEYS = {
    "reply": ["service_tier", "system_fingerprint", "prompt_filter_results", "citations", "timings", "x_groq"],
    "choice": ["stop_reason", "content_filter_results", "token_ids", "matched_stop"],
    "message": ["annotations", "reasoning_details", "provider_metadata", "channel", "signature", "name"],
    "call": ["extra_content", "signature"],
    "inner": ["strict"],
    "audio": ["format"],
}


def unknown(level: str) -> st.SearchStrategy[dict[str, Any]]:
    """Keys that the vocabulary has no name for, some of them famous."""
    names = st.one_of(words, st.sampled_from(KNOWN_KEYS[level]))
    allowed = names.filter(lambda name: name not in MODELLED[level] | PADDING | {"error", "detail", "code"})
    return st.dictionaries(allowed, values, max_size=3)


@st.composite
def mappings(draw: Any, level: str, fields: dict[str, Any], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object of that level: ``fields`` are there or not but for the ``needed`` ones, beside unknown keys."""
    present = [name for name in fields if name in needed or draw(st.booleans())]
    return {**draw(unknown(level)), **{name: draw(fields[name]) for name in present}}


parts = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": st.lists(st.just({"type": "text", "text": "hm"}))}),
    st.dictionaries(words, values, max_size=2),
)
contents = st.one_of(st.none(), texts, st.lists(parts, max_size=3), st.dictionaries(words, values, max_size=2))
nothing = st.sampled_from([None, ""])
logprobs = st.one_of(
    st.sampled_from([None, {}]),
    st.dictionaries(
        st.sampled_from(["content", "refusal", "tokens", "text_offset"]),
        st.one_of(st.none(), st.lists(values, max_size=3)),
        min_size=1,
    ),
)
audios = st.one_of(
    st.sampled_from([None, {}]),
    mappings(
        "audio",
        {
            "id": words,
            "data": st.binary(min_size=1, max_size=9).map(lambda raw: b64encode(raw).decode()),
            "transcript": texts,
            "expires_at": st.integers(1, 2**40),
        },
        ("id",),
    ),
)


def inner(argument: str) -> st.SearchStrategy[dict[str, Any]]:
    return mappings("inner", {"name": texts, argument: texts}, ("name", argument))


calls = st.one_of(
    mappings(
        "call", {"id": words, "type": st.just("function"), "function": inner("arguments")}, ("id", "type", "function")
    ),
    mappings("call", {"id": words, "type": st.just("custom"), "custom": inner("input")}, ("id", "type", "custom")),
)
messages = mappings(
    "message",
    {
        "role": st.sampled_from(["assistant", "tool"]),
        "content": contents,
        "refusal": st.one_of(nothing, texts),
        "reasoning_content": st.one_of(nothing, texts),
        "reasoning": st.one_of(nothing, texts),
        "tool_calls": st.one_of(st.sampled_from([None, []]), st.lists(calls, max_size=3, unique_by=itemgetter("id"))),
        "function_call": st.one_of(st.none(), st.just({}), inner("arguments")),
        "audio": audios,
    },
    ("role",),
)
reasons = st.sampled_from([None, "", "null", "stop", "length", "tool_calls", "content_filter", "eos_token", "x"])
usages = st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "details"]), values, min_size=1)


def _numbered(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**choice, "index": index} for index, choice in enumerate(choices)]


@st.composite
def replies(draw: Any, name: str, choice: Any) -> dict[str, Any]:
    """A whole answer whose choices are like ``choice``."""
    head = {"id": draw(texts), "object": name, "created": draw(st.integers(0, 2**40)), "model": draw(texts)}
    choices = _numbered(draw(st.lists(choice, min_size=1, max_size=3)))
    usage = {"usage": draw(usages)} if draw(st.booleans()) else {}
    return {**draw(unknown("reply")), **head, "choices": choices, **usage}


ends = {"logprobs": logprobs, "finish_reason": reasons}
chat_replies = replies(
    "chat.completion",
    mappings("choice", {"message": messages, **ends}, ("message", "finish_reason")),
)
text_replies = replies(
    "text_completion",
    mappings("choice", {"text": texts, **ends}, ("text", "finish_reason")),
)
