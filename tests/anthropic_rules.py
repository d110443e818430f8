"""What Anthropic's API refuses (reference 1.2, 1.5, 1.13), as assertions about the asks that we send it."""

from __future__ import annotations

import re
from typing import Any, Dict

ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")
KEYS = {"model", "max_tokens", "messages", "system", "stream", "stop_sequences", "temperature", "top_p", "top_k"}
KEYS |= {"tools", "tool_choice", "thinking", "output_config", "metadata", "service_tier"}
ALLOWED = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}


def check_ask(body: Dict[str, Any]) -> None:
    """Raise AssertionError for an ask that Anthropic would refuse."""
    assert set(body) <= KEYS, set(body) - KEYS
    assert isinstance(body["max_tokens"], int) and body["max_tokens"] >= 1
    assert 0 <= body.get("temperature", 0) <= 1 and 0 <= body.get("top_p", 0) <= 1
    assert all(stop.strip() for stop in body.get("stop_sequences", ["x"]))
    check_turns(body)
    check_tools(body)
    thinking = body.get("thinking", {"type": "disabled"})
    if thinking["type"] == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"]
        assert body.get("tool_choice", {}).get("type") not in ("any", "tool")
    if thinking["type"] != "disabled":
        assert "temperature" not in body and "top_k" not in body


def check_turns(body: Dict[str, Any]) -> None:
    """Turns alternate from the user's on; calls are answered at once, at the begin; no text is blank."""
    turns = body["messages"]
    assert [turn["role"] for turn in turns] == [("user", "assistant")[place % 2] for place in range(len(turns))]
    assert turns
    used: set[str] = set()
    owed: list[str] = []
    for turn in turns:
        kinds = [block["type"] for block in turn["content"]]
        assert kinds and set(kinds) <= ALLOWED[turn["role"]], kinds
        answered = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
        assert answered == owed and kinds[: len(answered)] == ["tool_result"] * len(answered)
        owed = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        assert len(set(owed)) == len(owed) and not used & set(owed)
        used |= set(owed)
        for block in turn["content"]:
            check_block(block)
    assert not owed
    last = turns[-1]["content"][-1]
    assert turns[-1]["role"] == "user" or last.get("text", "x")[-1].strip()
    assert all(block["text"].strip() for block in [*_system(body)])
    assert not used or body["tools"]


def _system(body: Dict[str, Any]) -> Any:
    system = body.get("system", [])
    return [{"text": system}] if isinstance(system, str) else system


def check_block(block: Dict[str, Any]) -> None:
    """The rules of one block."""
    if block["type"] == "text":
        assert block["text"].strip()
    if block["type"] == "tool_use":
        assert ID.match(block["id"]) and NAME.match(block["name"]) and isinstance(block["input"], dict)
    if block["type"] == "thinking":
        assert block["signature"]
    if block["type"] == "tool_result":
        content = block.get("content", "x")
        for inner in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            assert inner["type"] in ("text", "image", "document")
            check_block(inner)


def check_tools(body: Dict[str, Any]) -> None:
    """The rules of tools: names, schemas of objects, each name once, and no choice without any."""
    tools = body.get("tools")
    assert tools is None or tools
    for tool in tools or []:
        assert NAME.match(tool["name"]) and tool["input_schema"]["type"] == "object"
    choice = body.get("tool_choice")
    if choice is not None:
        assert tools and choice["type"] in ("auto", "any", "tool", "none")
        assert choice["type"] != "none" or "disable_parallel_tool_use" not in choice
        assert choice["type"] != "tool" or NAME.match(choice["name"])
