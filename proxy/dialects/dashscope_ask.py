"""The client's question in DashScope's own form: forwarded as it came, but for what the mode needs (spec 4.2, 4.3)."""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

from msgspec.structs import replace

from proxy.chat.ask import Ask
from proxy.dialects import openai_ask
from proxy.dialects.dashscope_forms import MULTIMODAL_PATH, asks_for_parts, parameters_of
from proxy.dialects.dialect import Asked
from proxy.dialects.json_text import write_json
from proxy.errors import failure

FIELDS: Dict[str, Tuple[type, ...]] = {"model": (str,), "input": (dict,)}
SSE = "X-DashScope-SSE"
# Either header asks for a stream; the body never does.
STREAMED = ((SSE, "enable"), ("Accept", "text/event-stream"))
WHOLE = (("Accept", "application/json"),)
NOT_STREAMED = ((SSE, "disable"), *WHOLE)


def read_ask(body: bytes, headers: Sequence[Tuple[str, str]] = ()) -> Ask:
    """Read an ask of either endpoint; raises ProxyError 400 that names the field."""
    ask = openai_ask.read_ask(body, FIELDS)
    parameters = ask.body.get("parameters")
    if not isinstance(parameters, (dict, type(None))):
        found = openai_ask.NAMES[type(parameters)]
        raise failure(
            "invalid_type", f"Invalid type for 'parameters': expected an object, found {found}.", "parameters"
        )
    named = openai_ask.named_tool(parameters_of(ask.body))
    return replace(ask, stream=wants_stream(headers), show_usage=True, named_tool=named)


def wants_stream(headers: Sequence[Tuple[str, str]]) -> bool:
    """Whether the headers ask for a stream."""
    told = {name.lower(): value.lower() for name, value in headers}
    return told.get(SSE.lower(), "").strip() == "enable" or "text/event-stream" in told.get("accept", "")


def write_ask(ask: Ask, *, stream: bool, ask_usage: bool, options: bool = True) -> Asked:
    """The same ask in that mode: its own bytes, and other headers. A stream that is ours to fold tells news only."""
    body = ask.raw or write_json(ask.body)
    parameters = parameters_of(ask.body)
    if stream and not ask.stream and parameters.get("incremental_output") is not True:
        body = write_json({**ask.body, "parameters": {**parameters, "incremental_output": True}})
    path = MULTIMODAL_PATH if asks_for_parts(ask.body) else ""
    return Asked(body, headers_for(stream, ask.stream), path)


def headers_for(stream: bool, client_streams: bool = False) -> Tuple[Tuple[str, str], ...]:
    """What asks for a stream, or takes the client's asking for one back."""
    return STREAMED if stream else NOT_STREAMED if client_streams else WHOLE
