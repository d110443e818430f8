"""A conversation with tool calls and their results: as each client tells it, and as a provider must hear it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from matrix_stories import CALLS, RESULT_OF, SIGNATURE, THOUGHT, WORD, Story
from provider import Heard

OLD_IDS = {"weather": "toolu_1", "time": "toolu_2"}  # fit for every protocol


class Talk(NamedTuple):
    """What a provider heard; each result beside the name of the call whose id it carries."""

    asked: str
    thought: str
    word: str
    calls: tuple[tuple[str, Any], ...]
    results: tuple[tuple[str, str], ...]


def openai_talk(story: Story) -> list[dict[str, Any]]:
    """As OpenAI and DashScope have it; nothing for a story without results."""
    if not story.results:
        return []
    calls = [
        {"id": OLD_IDS[name], "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments in CALLS
    ]
    return [
        {"role": "user", "content": story.question},
        {"role": "assistant", "content": WORD, "reasoning_content": THOUGHT, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": OLD_IDS[name], "content": RESULT_OF[name]} for name, _ in CALLS),
    ]


def anthropic_talk(story: Story) -> list[dict[str, Any]]:
    """As Anthropic has it: results are the user's."""
    if not story.results:
        return []
    uses = [{"type": "tool_use", "id": OLD_IDS[name], "name": name, "input": said} for name, said in CALLS]
    results = [{"type": "tool_result", "tool_use_id": OLD_IDS[name], "content": RESULT_OF[name]} for name, _ in CALLS]
    thinking = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
    return [
        {"role": "user", "content": story.question},
        {"role": "assistant", "content": [thinking, {"type": "text", "text": WORD}, *uses]},
        {"role": "user", "content": results},
    ]


def ollama_talk(story: Story) -> list[dict[str, Any]]:
    """As Ollama's SDK can have it: no ids, a result names its function."""
    if not story.results:
        return []
    calls = [{"function": {"name": name, "arguments": said}} for name, said in CALLS]
    return [
        {"role": "user", "content": story.question},
        {"role": "assistant", "content": WORD, "thinking": THOUGHT, "tool_calls": calls},
        *({"role": "tool", "tool_name": name, "content": RESULT_OF[name]} for name, _ in CALLS),
    ]


def heard_openai(messages: list[dict[str, Any]]) -> Talk:
    """What OpenAI and DashScope heard."""
    user, said, *results = messages
    assert [one["role"] for one in messages] == ["user", "assistant", "tool", "tool"]
    assert all(isinstance(one["content"], str) for one in messages)
    names = {one["id"]: one["function"]["name"] for one in said["tool_calls"]}
    assert len(names) == 2 and all(names)
    return Talk(
        user["content"],
        said.get("reasoning_content") or "",
        said["content"],
        tuple((one["function"]["name"], json.loads(one["function"]["arguments"])) for one in said["tool_calls"]),
        tuple((names[one["tool_call_id"]], one["content"]) for one in results),
    )


def heard_anthropic(messages: list[dict[str, Any]]) -> Talk:
    """What Anthropic heard: the results in one user message."""
    assert [one["role"] for one in messages] == ["user", "assistant", "user"]
    user, said, results = (
        [{"type": "text", "text": one["content"]}] if isinstance(one["content"], str) else one["content"]
        for one in messages
    )
    kinds = [block["type"] for block in said]
    assert kinds == sorted(kinds, key=["thinking", "text", "tool_use"].index)
    uses = [block for block in said if block["type"] == "tool_use"]
    names = {block["id"]: block["name"] for block in uses}
    thoughts = [block for block in said if block["type"] == "thinking"]
    assert all(block["signature"] == SIGNATURE for block in thoughts), "a foreign signature is a 400"
    assert all(block["type"] == "tool_result" for block in results)
    told = [
        block["content"] if isinstance(block["content"], str) else "".join(part["text"] for part in block["content"])
        for block in results
    ]
    return Talk(
        "".join(block["text"] for block in user),
        "".join(block["thinking"] for block in thoughts),
        "".join(block["text"] for block in said if block["type"] == "text"),
        tuple((block["name"], block["input"]) for block in uses),
        tuple(zip((names[block["tool_use_id"]] for block in results), told)),
    )


def heard_ollama(messages: list[dict[str, Any]]) -> Talk:
    """What Ollama heard: arguments as objects, each result with the name of its function or the id of its call."""
    user, said, *results = messages
    assert [one["role"] for one in messages] == ["user", "assistant", "tool", "tool"]
    calls = [one["function"] for one in said["tool_calls"]]
    names = {one.get("id"): one["function"]["name"] for one in said["tool_calls"]}
    return Talk(
        user["content"],
        said.get("thinking") or "",
        said["content"],
        tuple((one["name"], one["arguments"]) for one in calls),
        tuple((one.get("tool_name") or names[one["tool_call_id"]], one["content"]) for one in results),
    )


def check_talk(provider: str, heard: Heard, *, signed: bool) -> None:
    """The whole conversation arrived; thoughts as well, but none without a signature where one is needed (C69)."""
    body = heard.json
    if provider == "dashscope":
        talk = heard_openai(body["input"]["messages"])
    else:
        talk = {"openai": heard_openai, "anthropic": heard_anthropic, "ollama": heard_ollama}[provider](
            body["messages"]
        )
    thought = "" if provider == "anthropic" and not signed else THOUGHT
    assert talk == Talk("Weather and time?", thought, WORD, CALLS, tuple(RESULT_OF.items()))
    tools = (body.get("parameters") or body)["tools"] if provider == "dashscope" else body["tools"]
    assert len(tools) == 2, "the definitions are still there"
