"""An OpenAI ask as it goes to a DashScope provider, and how it changes when the provider refuses a detail of it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from proxy.dialects.chat_checks import check_chat
from proxy.dialects.dashscope_ask import headers_for
from proxy.dialects.dashscope_forms import MULTIMODAL_PATH, asks_for_parts, parameters_of
from proxy.dialects.dashscope_messages import is_multimodal, write_messages
from proxy.dialects.dashscope_parameters import write_parameters
from proxy.dialects.dialect import Asked
from proxy.dialects.json_text import read_json, write_json
from proxy.errors import failure

Wire = Dict[str, Any]


def write_chat(chat: Wire, *, stream: bool, options: bool = True, parts: bool = False) -> Asked:
    """The ask for the endpoint that its model or its parts need; raises ProxyError 400 for what it cannot say.

    ``parts``: it is for the multimodal endpoint in any case, which the operator named.
    """
    model, messages = chat.get("model"), chat.get("messages")
    if not isinstance(messages, list):
        raise failure("missing_required_parameter", "Missing required parameter: 'messages'.", "messages")
    check_chat(chat)
    name = model if isinstance(model, str) else ""
    multimodal = parts or is_multimodal(name, messages)
    written = write_messages(name, messages, multimodal)
    spelled = write_parameters(chat, stream=stream)
    if written.fine:
        spelled.parameters.setdefault("vl_high_resolution_images", True)
    body = {"model": model, "input": {"messages": written.messages}, "parameters": spelled.parameters}
    path = MULTIMODAL_PATH if multimodal else ""
    return Asked(write_json(body), headers_for(stream), path, tuple(dict.fromkeys(spelled.dropped)))


def amend(asked: Asked, kind: str) -> Optional[Asked]:
    """The same ask after a refusal of that ``kind`` (spec 3.7, see AMENDS); None where nothing can be changed."""
    body = read_json(asked.body)
    changed = AMENDS[kind](body)
    if changed is None:
        return None
    path = MULTIMODAL_PATH if asks_for_parts(changed) else ""
    return asked._replace(body=write_json(changed), path=path)


def _with(name: str, value: Any) -> Callable[[Wire], Optional[Wire]]:
    def amended(body: Wire) -> Optional[Wire]:
        """The body with the parameter set; None where it is set so already."""
        parameters = parameters_of(body)
        if parameters.get(name) == value:
            return None
        return {**body, "parameters": {**parameters, name: value}}

    return amended


def _elsewhere(body: Wire) -> Optional[Wire]:
    """For the other endpoint; what only the multimodal one can be told stays there."""
    messages = body.get("input", {}).get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    listed = asks_for_parts(body)
    moved = [_moved(message, listed) for message in messages]
    if any(message is None for message in moved):
        return None
    return {**body, "input": {**body["input"], "messages": moved}}


def _moved(message: Wire, listed: bool) -> Optional[Wire]:
    content = message.get("content")
    if not listed:
        text = "" if content is None else content
        return {**message, "content": ([{"text": text}] if text else [])} if isinstance(text, str) else None
    parts: List[Any] = content if isinstance(content, list) else [{"text": content or ""}]
    if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
        return None
    return {**message, "content": "\n".join(part["text"] for part in parts)}


AMENDS: Dict[str, Callable[[Wire], Optional[Wire]]] = {
    "incremental_output": _with("incremental_output", True),
    "result_format": _with("result_format", "message"),
    "no_thinking": _with("enable_thinking", False),
    "other_path": _elsewhere,
}
