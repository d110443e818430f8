"""Whole answers as Ollama and what imitates it may send them, for laws; what is left out is named in EXCEPTIONS."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from wire_replies import texts, values, words

EXCEPTIONS = {
    "done: false": "a whole answer is done; the last line of a stream has to be",
    "message and response missing": "is no answer",
    "null bytes and top_logprobs: [] of a token": "are left out, as Ollama does",
    "usage, created in seconds": "are what the counts and created_at amount to",
    "ids of calls without one": "exist elsewhere only; Ollama's line is written without them again",
}
times = st.sampled_from(
    [
        "2026-08-21T18:00:00.123456789Z",
        "2024-05-24T21:02:00.76482Z",
        "2025-08-08T10:00:00+02:00",
        "2025-08-08T10:00:00Z",
    ]
    + ["yesterday", ""]
)
odd = st.one_of(values, st.just([{"function": None}]), st.just([1]))
counts = st.one_of(st.integers(0, 2**40), st.sampled_from([None, -1, "7", 1.5, True]))
KNOWN = ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "remote_model", "remote_host"]
KNOWN += ["context", "image", "usage", "id", "object", "choices", "ollama", "ollama_generate", "index", "type"]


@st.composite
def mappings(draw: Any, fields: dict[str, Any], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object in which any of ``fields`` may be missing but for ``needed``, beside keys that nobody knows."""
    names = st.one_of(words, st.sampled_from(KNOWN)).filter(lambda name: name not in {*fields, "message", "response"})
    others = draw(
        st.dictionaries(names.filter(lambda name: name not in {"error", "code", "detail"}), values, max_size=2)
    )
    present = [name for name in fields if name in needed or draw(st.integers(0, 9))]
    return {**others, **{name: draw(fields[name]) for name in present}}


arguments = st.one_of(st.dictionaries(words, values, max_size=3), st.sampled_from(["", '{"a": 1}', "no", [], None, 7]))
functions = mappings({"index": st.integers(0, 2), "name": texts, "arguments": arguments})
calls = mappings({"id": st.one_of(words, st.none()), "function": functions}, ("function",))
tokens = st.fixed_dictionaries(
    {"token": texts, "logprob": st.floats(-9, 0)},
    optional={"bytes": st.lists(st.integers(0, 255), max_size=2), "extra": values},
)
spoken = {
    "thinking": st.one_of(texts, odd),
    "tool_calls": st.one_of(st.lists(calls, min_size=1, max_size=3), odd),
}
shell = {
    "model": st.one_of(texts, odd),
    "created_at": st.one_of(times, odd),
    "done": st.just(True),
    "done_reason": st.one_of(st.sampled_from(["stop", "length", "load", "unload", "custom", "tool_calls"]), odd),
    "prompt_eval_count": counts,
    "eval_count": counts,
    "logprobs": st.one_of(st.lists(tokens, min_size=1, max_size=3), st.sampled_from([None, [], {}, 0])),
}
messages = mappings(
    {"role": st.sampled_from(["assistant", "tool", "", None]), "content": st.one_of(texts, odd), **spoken}
)
chat_replies = mappings({**shell, "message": messages}, ("message", "done"))
generate_replies = mappings({**shell, "response": st.one_of(texts, odd), **spoken}, ("response", "done"))
