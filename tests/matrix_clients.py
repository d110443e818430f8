"""The clients of the matrix: real SDKs, each asking a story in its own words and telling in nobody's what it got."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Callable, NamedTuple

from matrix_asks import MULTIMODAL_PATH, TEXT_PATH, anthropic, completions, openai
from matrix_natives import ask_dashscope, ask_generate, ask_growing, ask_multimodal, ask_ollama, ask_plain
from matrix_sdks import MODE, PATIENCE, sdk
from matrix_stories import KEY, Call, Count, Refused, Story, Told


class Client(NamedTuple):
    """One protocol as an SDK speaks it: ``path`` is where it asks, ``stories`` are those it can tell at all.

    ``ask(origin, story, model, streams, mode)`` gives a Told or raises Refused.
    """

    name: str
    family: str
    path: Callable[[Story], str]
    ask: Callable[[str, Story, str, bool, str], Told]


@lru_cache(maxsize=None)
def openai_client(origin: str) -> Any:
    """One OpenAI client for each server, with a pool of connections."""
    module = sdk("openai")
    transport = module.DefaultHttpxClient(trust_env=False)
    return module.OpenAI(base_url=f"{origin}/v1", api_key=KEY, max_retries=0, timeout=PATIENCE, http_client=transport)


def openai_usage(usage: Any) -> Count:
    """Usage as OpenAI counts."""
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Count(
        usage.prompt_tokens,
        usage.completion_tokens,
        getattr(prompt, "cached_tokens", 0) or 0,
        getattr(completion, "reasoning_tokens", 0) or 0,
    )


def openai_refused(error: Any, before: str) -> Refused:
    """An exception of OpenAI's SDK."""
    message = error.body["message"]  # the SDK puts words of its own in front of it in ``error.message``
    return Refused(type(error).__name__, getattr(error, "status_code", None), message, error.code, before)


def ask_openai(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """Chat completions; a stream through the SDK's own accumulator."""
    errors = sdk("openai").APIError
    said = {"model": model, "extra_headers": {MODE: mode}, **openai(story)}
    chat, seen, before = openai_client(origin).chat.completions, [], ""
    try:
        if not streams:
            answer = chat.create(**said)
        else:
            with chat.stream(stream_options={"include_usage": True}, **said) as stream:
                for event in stream:
                    if event.type == "chunk":
                        seen.append(event.chunk.to_json(indent=None))
                        before += "".join(one.delta.content or "" for one in event.chunk.choices)
            answer = stream.current_completion_snapshot
    except errors as error:
        raise openai_refused(error, before) from error
    assert len(answer.choices) == 1
    message = answer.choices[0].message
    calls = [Call(one.id, one.function.name, json.loads(one.function.arguments)) for one in message.tool_calls or ()]
    return Told(
        message.content or "",
        getattr(message, "reasoning_content", None) or "",
        tuple(calls),
        answer.choices[0].finish_reason,
        openai_usage(answer.usage),
        "\n".join(seen) or answer.to_json(indent=None),
    )


def ask_completions(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """The legacy completions endpoint, which has no system and no tools."""
    errors = sdk("openai").APIError
    options = {"stream": True, "stream_options": {"include_usage": True}} if streams else {}
    before, finish, usage, seen = "", "", None, []
    try:
        answer = openai_client(origin).completions.create(
            model=model, extra_headers={MODE: mode}, **completions(story), **options
        )
        for part in answer if streams else [answer]:
            seen.append(part.to_json(indent=None))
            for choice in part.choices:
                before += choice.text
                finish = choice.finish_reason or finish
            usage = part.usage or usage
    except errors as error:
        raise openai_refused(error, before) from error
    return Told(before, "", (), finish, openai_usage(usage), "\n".join(seen))


@lru_cache(maxsize=None)
def anthropic_client(origin: str) -> Any:
    """One Anthropic client for each server, with a pool of connections."""
    module = sdk("anthropic")
    # Its own default client goes by the proxies of the environment even where told not to; the plain one does not.
    plain = next(base for base in module.DefaultHttpxClient.__mro__ if base.__module__.startswith("httpx"))
    transport = plain(trust_env=False)
    return module.Anthropic(base_url=origin, api_key=KEY, max_retries=0, timeout=PATIENCE, http_client=transport)


def ask_anthropic(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """Messages; a stream through the SDK's own accumulator."""
    errors = sdk("anthropic").APIStatusError
    said = {"model": model, "extra_headers": {MODE: mode}, **anthropic(story)}
    client, seen, before, details = anthropic_client(origin).messages, [], "", {}
    try:
        if not streams:
            answer = client.create(**said)
        else:
            with client.stream(**said) as stream:
                for event in stream:
                    seen.append(event.to_json(indent=None))
                    before += event.text if event.type == "text" else ""
                    if event.type == "message_delta":  # older SDKs do not take these over into the message
                        details = event.usage.to_dict().get("output_tokens_details") or details
                answer = stream.get_final_message()
    except errors as error:
        told = error.body["error"]
        assert error.body["type"] == "error"
        raise Refused(type(error).__name__, error.status_code, told["message"], told["type"], before) from error
    details = details or answer.usage.to_dict().get("output_tokens_details") or {}
    return anthropic_told(answer, details.get("thinking_tokens") or 0, "\n".join(seen) or answer.to_json(indent=None))


def anthropic_told(answer: Any, reasoned: int, raw: str) -> Told:
    """A message of Anthropic's SDK; thinking must come first, and signed."""
    kinds = [block.type for block in answer.content]
    assert kinds == sorted(kinds, key=["thinking", "text", "tool_use"].index), kinds
    assert all(isinstance(block.signature, str) for block in answer.content if block.type == "thinking")
    usage = answer.usage
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return Told(
        "".join(block.text for block in answer.content if block.type == "text"),
        "".join(block.thinking for block in answer.content if block.type == "thinking"),
        tuple(Call(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"),
        answer.stop_reason,
        Count(usage.input_tokens + cached + written, usage.output_tokens, cached, reasoned),
        raw,
    )


def dashscope_path(story: Story) -> str:
    """Where DashScope's SDK asks."""
    return MULTIMODAL_PATH if story.image else TEXT_PATH


CHATS = {
    one.name: one
    for one in (
        Client("openai", "openai", lambda _: "/v1/chat/completions", ask_openai),
        Client("anthropic", "anthropic", lambda _: "/v1/messages", ask_anthropic),
        Client("ollama", "ollama", lambda _: "/api/chat", ask_ollama),
        Client("dashscope", "dashscope", dashscope_path, ask_dashscope),
    )
}
GROWING = Client("dashscope", "dashscope", dashscope_path, ask_growing)
MULTIMODAL = Client("dashscope", "dashscope", lambda _: MULTIMODAL_PATH, ask_multimodal)
PLAIN = Client("dashscope", "dashscope", dashscope_path, ask_plain)
COMPLETIONS = Client("completions", "openai", lambda _: "/v1/completions", ask_completions)
GENERATE = Client("generate", "ollama", lambda _: "/api/generate", ask_generate)
