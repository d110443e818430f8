"""Whole answers as DashScope may send them, for laws: every shape, and keys that nobody knows at every level."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from hypothesis import strategies as st

EXCEPTIONS = {
    "index of a choice and of a call": "always written, by place",
    "role, content": "always written; a content of null is an empty one",
    "finish_reason": "a whole answer has one: a stream without is truncated",
    "input_tokens, output_tokens, total_tokens": "always written where usage is told; the total is the sum if missing",
    "usage: null, absent, or all zeros": "say nothing: usage is {} then",
    "adjacent texts of one content": "are one text: a stream cuts where it likes",
    "a part that is an empty text": "is none",
    "audio among parts": "stands last",
    "logprobs.refusal: null": "is OpenAI's",
    "calls of one id": "are one call (C15)",
    "null inside audio": "says nothing",
    "prompt_tokens_details: {} beside counts of media": "are details without anything of their own",
    "obfuscation, p in a choice": "none: only at the top, where they travel under our own key",
}

texts = st.one_of(
    st.text(max_size=6), st.sampled_from(["Hello ", "data:x\n\n", '"finish_reason":"stop"', '{"a":1}', "😀", "\u2028"])
)
words = st.sampled_from(["a", "b", "c1", "x_y", "übel", "😀", "kind", "0", "id", "model", "code", "p", "prompt_x"])
values = st.sampled_from(
    [None, True, 0, -7, 2**53, 1.5, "", "text", "null", [], [1, [None, "x"]], [{}], {}, {"k": {"l": [1], "id": ""}}]
)


def unknown(*taken: str) -> st.SearchStrategy[dict[str, Any]]:
    """Keys that the vocabulary has no name for."""
    return st.dictionaries(words.filter(lambda name: name not in taken), values, max_size=2)


@st.composite
def with_some(draw: Any, needed: dict[str, Any], optional: dict[str, Any], others: Any) -> dict[str, Any]:
    """An object with the needed keys, some of the optional ones, and others."""
    chosen = {name: strategy for name, strategy in optional.items() if draw(st.booleans())}
    return {**draw(others), **{name: draw(strategy) for name, strategy in {**needed, **chosen}.items()}}


functions = with_some({"name": texts, "arguments": texts}, {}, unknown())
calls = with_some(
    {"id": words.map("call_{}".format), "type": st.just("function"), "function": functions}, {}, unknown("id")
)
media = st.sampled_from(
    [
        {"image": "http://i/1.png"},
        {"video": "http://v/1", "fps": 2},
        {"video": ["http://v/1", "http://v/2"]},
        {"ocr_result": {"words": []}},
        {"audio": "http://a/1"},
    ]
)
speech = st.fixed_dictionaries({"audio": st.fixed_dictionaries({"data": st.sampled_from(["AAEC", "AAE="])})})


@st.composite
def parts(draw: Any) -> list[Any]:
    """A content made of parts, of which no two adjacent ones are texts."""
    text = draw(st.one_of(st.just([]), texts.map(lambda text: [{"text": text}])))
    shown = draw(st.lists(media, max_size=2, unique_by=str))
    tail = draw(st.one_of(st.just([]), speech.map(lambda part: [part])))
    text = [] if text == [{"text": ""}] else text
    return [*text, *shown, *tail]


tokens = st.sampled_from(["a", " b", "ü"]).map(lambda token: {"token": token, "logprob": -0.5, "top_logprobs": []})
logprobs = st.one_of(st.none(), st.fixed_dictionaries({"content": st.lists(tokens, max_size=3)}))
reasons = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "x"])


def choices(content: Any) -> Any:
    """Choices whose messages have this kind of content."""
    message = with_some(
        {"role": st.just("assistant"), "content": content},
        {
            "reasoning_content": texts,
            "tool_calls": st.one_of(
                st.sampled_from([None, []]), st.lists(calls, min_size=1, max_size=3, unique_by=itemgetter("id"))
            ),
        },
        unknown(),
    )
    choice = with_some(
        {"message": message, "finish_reason": reasons},
        {"logprobs": logprobs, "delta": texts, "usage": values, "text": texts},
        unknown(),
    )
    return st.lists(choice, min_size=1, max_size=3).map(numbered)


def numbered(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with the numbers that are always written."""
    for index, choice in enumerate(said):
        choice["index"] = index
        items = choice["message"].get("tool_calls") or []
        for place, call in enumerate(items):
            call["index"] = place
    return said


counts = st.integers(1, 9)
details = st.dictionaries(st.sampled_from(["reasoning_tokens", "text_tokens"]), counts)
usages = with_some(
    {"input_tokens": counts, "output_tokens": counts, "total_tokens": counts},
    {
        "output_tokens_details": st.one_of(st.none(), details),
        "prompt_tokens_details": st.fixed_dictionaries({"cached_tokens": counts}),
        "input_tokens_details": st.dictionaries(st.sampled_from(["image_tokens", "text_tokens"]), counts),
        "image_tokens": counts,
        "plugins": st.just({"search": {"count": 1}}),
    },
    unknown(),
)
search = {"search_info": st.just({"search_results": [{"index": 1, "title": "T"}]}), "tool_info": values}


@st.composite
def replies(draw: Any, outputs: Any) -> dict[str, Any]:
    """Whole answers of one shape."""
    head = {"output": draw(outputs), "usage": draw(st.one_of(st.just({}), usages)), "request_id": draw(texts)}
    return {**draw(unknown()), **head}


text_replies = replies(with_some({"text": texts, "finish_reason": reasons}, search, unknown()))
message_replies = replies(
    with_some({"choices": choices(texts)}, {**search, "text": st.none(), "finish_reason": st.none()}, unknown())
)
parts_replies = replies(with_some({"choices": choices(parts())}, search, unknown()))
