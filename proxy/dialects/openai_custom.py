"""Calls of custom tools: providers of other protocols know functions only, and call them with one text in an object."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, Iterator, List, Tuple

from msgspec.structs import replace

from proxy.chat import events as ev
from proxy.chat.ask import Ask
from proxy.chat.merge import join_text
from proxy.chat.slots import word
from proxy.dialects.json_text import read_json

Held = Dict[Tuple[int, int], List[str]]


def settle(events: Iterable[ev.Event], ask: Ask) -> Iterable[ev.Event]:
    """Events as the client's tools want them, the very ones where it has no custom tool."""
    names = custom_names(ask)
    return _settled(events, names) if names else events


def _settled(events: Iterable[ev.Event], names: FrozenSet[str]) -> Iterator[ev.Event]:
    """What was called as a function of one text is a custom call again."""
    held: Held = {}
    for event in events:
        if isinstance(event, ev.ToolCall) and event.kind == "function" and event.name in names:
            held.setdefault((event.choice, event.slot), [])
            yield replace(event, kind="custom")
        elif isinstance(event, ev.ToolArguments) and (event.choice, event.slot) in held:
            held[event.choice, event.slot].append(event.text)
        else:
            if isinstance(event, ev.Finished):
                yield from _inputs(held)
            yield event
    yield from _inputs(held)


def custom_names(ask: Ask) -> FrozenSet[str]:
    """The names of the custom tools of an ask."""
    tools = ask.body.get("tools")
    found = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    inner = [tool.get("custom") for tool in found if tool.get("type") == "custom"]
    return frozenset(word(one, "name") for one in inner if isinstance(one, dict))


def _inputs(held: Held) -> Iterator[ev.Event]:
    """The texts that were gathered, each of which was an object of one text."""
    for (choice, slot), pieces in held.items():
        text = join_text(pieces)
        if text:
            yield ev.ToolArguments(slot, _input(text), choice)
    held.clear()


def _input(text: str) -> str:
    try:
        said: Any = read_json(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return text
    told = said.get("input") if isinstance(said, dict) else None
    return told if isinstance(told, str) else text
