"""A DashScope client's question as an OpenAI chat ask (spec 4.11)."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping

from proxy.chat.ask import Ask
from proxy.chat.slots import inner_of, text_of
from proxy.dialects.dashscope_forms import parameters_of
from proxy.dialects.dashscope_parts import is_plain, read_part
from proxy.errors import failure

Wire = Dict[str, Any]

BODY = frozenset(("model", "input", "parameters", "stream", "stream_options"))
# They decide the form of the answer, which is ours to write.
OF_THE_FORM = frozenset(("result_format", "incremental_output", "stream"))
LOW_BUDGET, MEDIUM_BUDGET = 1024, 8192


def read_chat(ask: Ask) -> Wire:
    """The same ask as OpenAI has it; parameters that OpenAI lacks stay under their own names. Raises ProxyError 400."""
    parameters = parameters_of(ask.body)
    chat: Wire = {"model": ask.model, "messages": list(_messages(ask.body["input"]))}
    chat.update((key, value) for key, value in ask.body.items() if key not in BODY)
    for name, value in parameters.items():
        if value is not None and name not in OF_THE_FORM:
            chat.update(MAPPED[name](value, parameters) if name in MAPPED else {name: value})
    return chat


def _messages(said: Mapping[str, Any]) -> Iterator[Wire]:
    messages, prompt = said.get("messages"), said.get("prompt")
    if isinstance(messages, list):
        for place, message in enumerate(messages):
            if not isinstance(message, dict):
                name = f"input.messages[{place}]"
                raise failure("invalid_type", f"Invalid type for '{name}': expected an object.", name)
            yield _message(message)
    elif isinstance(prompt, str):
        history = said.get("history")
        for turn in history if isinstance(history, list) else []:
            yield from _turn(turn)
        yield {"role": "user", "content": prompt}
    else:
        raise failure(
            "missing_required_parameter", "Missing required parameter: 'input.messages' or 'input.prompt'.", "input"
        )


def _turn(turn: Any) -> Iterator[Wire]:
    """One exchange of the deprecated history."""
    for key, role in (("user", "user"), ("bot", "assistant")):
        if isinstance(turn, dict) and isinstance(turn.get(key), str):
            yield {"role": role, "content": turn[key]}


def _message(said: Wire) -> Wire:
    message = {**said, "content": _content(said)}
    calls = said.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [_call(item) for item in calls if isinstance(item, dict)]
        if not message["tool_calls"]:
            del message["tool_calls"]
    if said.get("role") == "tool" and not said.get("tool_call_id") and isinstance(said.get("id"), str):
        message["tool_call_id"] = message.pop("id")  # as one agent framework has it
    return message


def _content(said: Wire) -> Any:
    content = said.get("content")
    if content == [] or content is None:
        return None if said.get("tool_calls") else ""
    if not isinstance(content, list):
        return content
    if all(map(is_plain, content)):
        return "\n".join(part["text"] for part in content)
    return [read_part(part) for part in content]


def _call(item: Wire) -> Wire:
    """Without its number, and with arguments that are text."""
    function = {**inner_of(item), "arguments": text_of(inner_of(item).get("arguments"))}
    return {**{key: value for key, value in item.items() if key != "index"}, "type": "function", "function": function}


def _thinking(value: Any, parameters: Wire) -> Wire:
    """OpenAI has an effort where others have a switch and a budget."""
    if "reasoning_effort" in parameters:
        return {}
    if value is False:
        return {"reasoning_effort": "none"}
    budget = parameters.get("thinking_budget")
    if not isinstance(budget, int):
        return {"reasoning_effort": "medium"}
    return {"reasoning_effort": "low" if budget <= LOW_BUDGET else "medium" if budget <= MEDIUM_BUDGET else "high"}


def _stop(value: Any, parameters: Wire) -> Wire:
    """Strings stay; token ids, in lists or not, have a name of their own where they are known."""
    items: List[Any] = value if isinstance(value, list) else [value]
    ids = [one for item in items for one in (item if isinstance(item, list) else [item])]
    if ids and all(isinstance(one, int) for one in ids):
        return {"stop_token_ids": ids}
    return {"stop": value}


MAPPED: Dict[str, Callable[[Any, Wire], Wire]] = {"enable_thinking": _thinking, "stop": _stop}
