"""Whole answers as Anthropic may send them, for laws; what no stream can say differently is named: EXCEPTIONS."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from wire_replies import texts, values, words

EXCEPTIONS = {
    "stop_sequence": "always written, null where an old answer has none",
    "usage, its input_tokens and output_tokens": "always written, for clients need them: an estimate if none was told",
    "an id that begins with chatcmpl- or cmpl-, an empty id": "becomes one that begins with msg_",
    "role": "a message's begin always says assistant",
    "citations that are no list": "only a list of them can grow",
    "partial_json of an input": "spelled compactly, the value is the same",
}

KNOWN = {"id", "type", "role", "model", "content", "usage", "stop_reason", "stop_sequence", "input", "index", "delta"}
unknown = st.dictionaries(words.filter(lambda name: name not in KNOWN), values, max_size=2)
inputs = st.dictionaries(words, values, max_size=3)
ids = st.text("abcXYZ019_-.:", min_size=1, max_size=5)
told = st.text(min_size=1, max_size=5)
signed = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts}, optional={"signature": texts})
redacted = st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": texts})
plain = st.fixed_dictionaries({"type": st.just("text"), "text": texts})
citation = st.fixed_dictionaries({"type": st.just("char_location")}, optional={"url": words, "title": words})
cited = st.fixed_dictionaries(
    {"type": st.just("text"), "text": texts, "citations": st.one_of(st.none(), st.lists(citation, max_size=2))}
)
call = st.fixed_dictionaries(
    {"type": st.just("tool_use"), "id": ids, "name": told, "input": inputs}, optional={"caller": values}
)
served = st.fixed_dictionaries({"type": st.just("server_tool_use"), "id": ids, "name": told, "input": inputs})
result = st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "tool_use_id": ids, "content": values})
strange = st.builds(lambda extra: {**extra, "type": "novelty"}, unknown)


@st.composite
def plain_contents(draw: Any) -> list[Any]:
    """Thinking, one text, calls: the order that needs no help."""
    text = draw(st.lists(plain.filter(lambda block: block["text"] != ""), max_size=1))
    calls = draw(st.lists(call, max_size=3, unique_by=lambda block: block["id"]))
    return [*draw(st.lists(st.one_of(signed, redacted), max_size=2)), *text, *calls]


contents = st.one_of(
    plain_contents(),
    st.lists(st.one_of(signed, redacted, plain, cited, call, served, result, strange), max_size=5),
)
counts = st.integers(0, 2**40)
usages = st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts},
    optional={
        "cache_read_input_tokens": st.one_of(st.none(), counts),
        "cache_creation_input_tokens": st.one_of(st.none(), counts),
        "cache_creation": st.dictionaries(words, counts, max_size=2),
        "output_tokens_details": st.dictionaries(st.just("thinking_tokens"), counts),
        "server_tool_use": st.sampled_from([None, {"web_search_requests": 1}]),
        "service_tier": words,
    },
)
ends = st.one_of(
    st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal", "pause_turn", "compaction", "novel"]).map(
        lambda reason: {"stop_reason": reason, "stop_sequence": None}
    ),
    texts.map(lambda stop: {"stop_reason": "stop_sequence", "stop_sequence": stop}),
)


@st.composite
def anthropic_replies(draw: Any) -> dict[str, Any]:
    """A message."""
    head = {"id": "msg_" + draw(ids), "type": "message", "role": "assistant", "model": draw(told)}
    body = {**head, "content": draw(contents), **draw(ends), "usage": draw(usages)}
    details = {"stop_details": None} if draw(st.booleans()) else {}
    extra = {name: value for name, value in draw(unknown).items() if name not in body}
    return {**extra, **body, **details}
