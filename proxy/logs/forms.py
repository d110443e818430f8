"""What exports look like: one function a format, from the client's lines to pieces of text; pure."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from proxy.archive.filters import spelled
from proxy.archive.lines import COLUMNS, TEXTS, read_line, read_row
from proxy.logs.conversation import Conversation, LeftOutError, conversation, text_of
from proxy.logs.har import HEAD, TAIL, entry
from proxy.logs.spelling import to_json

Wire = Dict[str, Any]
LeftOut = Callable[[str], None]
Form = Callable[[Iterable[bytes], LeftOut], Iterator[str]]

# What OpenAI's fine-tuning knows of a message (its API reference, "FineTuneChatRequestInput")
MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal")
TOOLS = ("tools", "parallel_tool_calls", "functions")
SPEAKERS = {"user": "human", "assistant": "gpt", "tool": "observation", "function": "observation"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def finetuning(lines: Iterable[bytes], left_out: LeftOut) -> Iterator[str]:
    """OpenAI's fine-tuning examples: a line each, the answer as the last message, the tools beside."""
    for said in _conversations(lines, left_out):
        messages = [_trained(message) for message in (*said.chat["messages"], said.answer)]
        if not all(message.get("role") for message in messages):
            left_out("not understood")
            continue
        tools = {name: said.chat[name] for name in TOOLS if said.chat.get(name) not in (None, [])}
        if not tools.get("tools"):
            tools.pop("parallel_tool_calls", None)
        yield to_json({"messages": messages, **tools}) + "\n"


def sharegpt(lines: Iterable[bytes], left_out: LeftOut) -> Iterator[str]:
    """ShareGPT's conversations, as a line each: who says what, the system's prompt and the tools beside."""
    for said in _conversations(lines, left_out):
        turns: List[Dict[str, str]] = []
        system: List[str] = []
        for message in (*said.chat["messages"], said.answer):
            if message.get("role") in ("system", "developer"):
                system.append(text_of(message.get("content")))
            else:
                turns += _turns(message)
        beside = {"system": "\n\n".join(system), "tools": _tools(said.chat)}
        yield to_json({"conversations": turns, **{name: text for name, text in beside.items() if text}}) + "\n"


def table(lines: Iterable[bytes], left_out: LeftOut) -> Iterator[str]:
    """CSV: one row an exchange, without what was said."""
    yield _row(("logging_id", "timestamp", *COLUMNS))
    for line in lines:
        found = read_row(line, False)
        if found is None:
            left_out("not understood")
            continue
        cells = [_cell(value) if name in TEXTS else value for name, value in zip(COLUMNS, found.columns)]
        yield _row((found.logging_id, spelled(found.at), *cells))


def har(lines: Iterable[bytes], left_out: LeftOut) -> Iterator[str]:
    """An HTTP archive (HAR 1.2) of what clients asked and got."""
    yield HEAD
    between = "\n"
    for line in _read(lines, left_out):
        yield between + json.dumps(entry(line), ensure_ascii=False)
        between = ",\n"
    yield TAIL


FORMS: Mapping[str, Form] = {"finetuning": finetuning, "sharegpt": sharegpt, "csv": table, "har": har}


def _conversations(lines: Iterable[bytes], left_out: LeftOut) -> Iterator[Conversation]:
    for line in _read(lines, left_out):
        try:
            yield conversation(line)
        except LeftOutError as why:
            left_out(str(why))


def _read(lines: Iterable[bytes], left_out: LeftOut) -> Iterator[Wire]:
    for line in lines:
        try:
            yield read_line(line)
        except ValueError:
            left_out("not understood")


def _trained(message: Any) -> Wire:
    if not isinstance(message, dict):
        return {}
    kept = {name: message[name] for name in MESSAGE if message.get(name) not in (None, [])}
    if kept.get("tool_calls"):
        kept["tool_calls"] = [_call(call) for call in kept["tool_calls"]]
    elif "content" not in kept and "function_call" not in kept and "refusal" not in kept:
        kept["content"] = ""
    return kept


def _call(call: Wire) -> Wire:
    function = call.get("function") or {}
    told = {"name": function.get("name"), "arguments": function.get("arguments") or "{}"}
    return {"id": call.get("id"), "type": "function", "function": told}


def _turns(message: Wire) -> Iterator[Dict[str, str]]:
    text = text_of(message.get("content"))
    calls = [call.get("function") or {} for call in message.get("tool_calls") or []]
    calls += [message["function_call"]] if message.get("function_call") else []
    if text or not calls:
        yield {"from": SPEAKERS.get(str(message.get("role")), "human"), "value": text or str(message.get("refusal") or "")}
    if calls:
        told = [{"name": call.get("name"), "arguments": _arguments(call.get("arguments"))} for call in calls]
        yield {"from": "function_call", "value": to_json(told[0] if len(told) == 1 else told)}


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _tools(chat: Wire) -> str:
    tools = chat.get("tools") or chat.get("functions") or []
    return to_json([tool.get("function", tool) for tool in tools if isinstance(tool, dict)]) if tools else ""


def _cell(value: Optional[str]) -> Optional[str]:
    """A text that no spreadsheet takes for a formula: names come from clients."""
    return f"'{value}" if value and value.startswith(FORMULA) else value


def _row(cells: Tuple[Any, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()
