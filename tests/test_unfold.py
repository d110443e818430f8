"""Unfolding: the law for every reply, and the order in which a reply is told."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from wire_replies import texts, usages, values, words

from proxy.chat.events import Finished, Noted, Opened, Reasoning, Started, Text, ToolArguments, ToolCall, Usage
from proxy.chat.fold import fold
from proxy.chat.reply import Call, Choice, Reply
from proxy.chat.unfold import unfold

bags = st.dictionaries(words, values, max_size=2)
maybe_text = st.one_of(st.none(), texts)
calls = st.builds(Call, words, texts, st.sampled_from(["function", "custom"]), texts, bags, bags)
deprecated = st.builds(Call, st.just(""), words, st.just("function_call"), texts, st.just({}), bags)
audios = st.fixed_dictionaries({"id": words, "data": texts, "transcript": texts, "expires_at": st.integers()})
blanks = {
    "content": lambda choice: choice.text is None and choice.content is None,
    "refusal": lambda choice: choice.refusal is None,
    "audio": lambda choice: choice.audio is None,
    "tool_calls": lambda choice: all(call.kind == "function_call" for call in choice.calls),
    "logprobs": lambda choice: choice.logprobs is None,
    "finish_reason": lambda choice: choice.reason is None,
}


@st.composite
def choices(draw: Any, index: int) -> Choice:
    text = draw(maybe_text)
    choice = Choice(
        index=index,
        role=draw(words),
        text=text,
        content=draw(st.one_of(st.none(), st.lists(values, max_size=3), bags)) if text is None else None,
        reasoning=draw(st.dictionaries(st.sampled_from(["reasoning", "reasoning_content"]), texts)),
        refusal=draw(maybe_text),
        calls=[*draw(st.lists(calls, max_size=3)), *draw(st.lists(deprecated, max_size=1))],
        audio=draw(st.one_of(st.none(), audios, bags.filter(lambda bag: not bag.keys() & {"id", "data"}))),
        logprobs=draw(st.one_of(st.none(), st.dictionaries(words, st.one_of(st.none(), st.lists(values, max_size=2))))),
        reason=draw(st.one_of(st.none(), words)),
        note=draw(bags),
        extra=draw(bags),
    )
    names = draw(st.sets(st.sampled_from(sorted(blanks))))
    choice.blank = {name: draw(st.sampled_from([None, "", []])) for name in names if blanks[name](choice)}
    return choice


@st.composite
def replies(draw: Any) -> Reply:
    usage = draw(st.one_of(st.none(), usages))
    return Reply(
        id=draw(texts),
        model=draw(texts),
        created=draw(st.integers(0, 2**40)),
        choices=[draw(choices(index)) for index in range(draw(st.integers(0, 3)))],
        usage=usage,
        blank={} if usage is not None or draw(st.booleans()) else {"usage": None},
        extra=draw(bags),
    )


@settings(max_examples=150, deadline=None)
@given(replies())
def test_folding_undoes_unfolding(reply: Reply) -> None:
    assert fold(unfold(reply)) == reply


def test_a_reply_is_told_in_the_order_of_the_reference() -> None:
    choice = Choice(text="t", reasoning={"reasoning": "r"}, calls=[Call("i", "n", arguments="{}")], reason="stop")
    reply = Reply("id", "m", 1, [choice], {"total_tokens": 1}, extra={"prompt_filter_results": [], "citations": []})
    kinds = [type(event) for event in unfold(reply) if not hasattr(event, "field")]
    assert kinds == [Started, Opened, Reasoning, Text, ToolCall, ToolArguments, Noted, Finished, Usage]


def test_what_is_about_the_prompt_comes_first_and_the_rest_with_the_end() -> None:
    early, late = {"prompt_filter_results": [], "system_fingerprint": "fp"}, {"timings": {}}
    first, *_, noted, finished = unfold(Reply(choices=[Choice(reason="stop")], extra={**late, **early}))
    assert isinstance(first, Started) and first.extra == early
    assert noted == Noted("reply", late) and isinstance(finished, Finished)


def test_a_reply_without_choices_loses_nothing() -> None:
    reply = Reply("id", "m", 1, [], {"a": 1}, extra={"timings": {"x": 1}})
    assert fold(unfold(reply)) == reply
