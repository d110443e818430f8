"""Ollama's and DashScope's own SDKs, each asking a story in its own words and telling in nobody's what it got."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Iterator

import requests
from matrix_asks import dashscope, generate, given, messages, ollama
from matrix_sdks import MODE, PATIENCE, sdk
from matrix_stories import KEY, Call, Count, Refused, Story, Told


@lru_cache(maxsize=None)
def ollama_client(origin: str, mode: str) -> Any:
    """One Ollama client for each server and mode: its headers are set once."""
    headers = {"Authorization": f"Bearer {KEY}", MODE: mode}
    return sdk("ollama").Client(host=origin, headers=headers, timeout=PATIENCE, trust_env=False)


def ollama_parts(answer: Any, streams: bool) -> Iterator[Any]:
    """The parts of an answer; its failures as Refused."""
    errors, before = sdk("ollama").ResponseError, ""
    try:
        answer = answer()
        for part in answer if streams else [answer]:
            before += (part.message.content if hasattr(part, "message") else part.response) or ""
            yield part
    except errors as error:
        raise Refused(type(error).__name__, error.status_code, error.error, None, before) from error


def ollama_told(parts: list[Any], texts: list[str], thoughts: list[str], calls: list[Call]) -> Told:
    """What parts amount to: the last is done and counts, no other does."""
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    return Told(
        "".join(texts),
        "".join(thoughts),
        tuple(calls),
        last.done_reason,
        Count(last.prompt_eval_count, last.eval_count),
        "\n".join(part.model_dump_json() for part in parts),
    )


def ask_ollama(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """Ollama's chat."""
    client, said = ollama_client(origin, mode), ollama(story)
    parts = list(ollama_parts(lambda: client.chat(model=model, stream=streams, **said), streams))
    found = [call.function for part in parts for call in part.message.tool_calls or ()]
    return ollama_told(
        parts,
        [part.message.content or "" for part in parts],
        [part.message.thinking or "" for part in parts],
        [Call(None, one.name, dict(one.arguments)) for one in found],
    )


def ask_generate(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """Ollama's generate."""
    client, said = ollama_client(origin, mode), generate(story)
    parts = list(ollama_parts(lambda: client.generate(model=model, stream=streams, **said), streams))
    return ollama_told(parts, [part.response or "" for part in parts], [part.thinking or "" for part in parts], [])


@lru_cache(maxsize=None)
def dashscope_module() -> Any:
    """The DashScope SDK, which takes its address and key with each call and keeps one session for all."""
    module = sdk("dashscope")
    module.common.logging.logger.disabled = True
    return module


class Session(requests.Session):
    """A session that knows nothing of this machine's proxies, and of which the last response can be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.last: Any = None

    def send(self, request: Any, **how: Any) -> Any:
        """Send, and remember the response."""
        self.last = super().send(request, **how)
        return self.last


@lru_cache(maxsize=None)
def dashscope_session() -> Session:
    """One session for all."""
    return Session()


def dashscope_answers(origin: str, story: Story, model: str, streams: bool, mode: str, **more: Any) -> Iterator[Any]:
    """The responses to one call; a failure as Refused. Streams are merged by the SDK, or grow by themselves."""
    module = dashscope_module()
    said = {**dashscope(story), **given(stream=streams), **more}
    fixed = {"api_key": KEY, "base_address": f"{origin}/api/v1", "headers": {MODE: mode}}
    fixed["session"] = dashscope_session()
    parts = isinstance(said["messages"][-1]["content"], list)
    asks = module.MultiModalConversation if parts else module.Generation
    answer = asks.call(model=model, **fixed, **said)
    before = ""
    try:
        for part in answer if streams else [answer]:
            if part.status_code != 200:
                raise Refused("", part.status_code, part.message, part.code, before)
            before = dashscope_text(part.output)
            yield part
    finally:
        dashscope_session().last.close()  # the SDK leaves a stream that failed to the garbage collector


def dashscope_text(output: Any) -> str:
    """The text so far, in whichever of the three forms."""
    if not output.get("choices"):
        return str(output.get("text") or "")
    content = output["choices"][0]["message"]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def ask_dashscope(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """Generation (or the multimodal conversation) in message format; a stream in news, merged by the SDK."""
    more = {"incremental_output": False} if streams else {}
    return dashscope_told(list(dashscope_answers(origin, story, model, streams, mode, result_format="message", **more)))


def ask_growing(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """As ``ask_dashscope``, with the default of the protocol: each frame of a stream says all of it again."""
    return dashscope_told(list(dashscope_answers(origin, story, model, streams, mode, result_format="message")))


def ask_multimodal(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """The multimodal conversation about nothing but text: every content is a list of parts."""
    said = [{**one, "content": [{"text": one["content"]}]} for one in messages(story)]
    more = {"incremental_output": False} if streams else {}
    return dashscope_told(list(dashscope_answers(origin, story, model, streams, mode, messages=said, **more)))


def ask_plain(origin: str, story: Story, model: str, streams: bool, mode: str) -> Told:
    """In the protocol's older answer format, which is the default: only a text and why it ended."""
    parts = list(dashscope_answers(origin, story, model, streams, mode))
    output = parts[-1].output
    assert not output.get("choices"), "result_format text was asked for, by default"
    return Told(output["text"], "", (), output["finish_reason"], dashscope_usage(parts), repr(parts))


def dashscope_usage(parts: list[Any]) -> Count:
    """Usage as DashScope counts: the last frame's."""
    usage = parts[-1].usage
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    return Count(
        usage["input_tokens"],
        usage["output_tokens"],
        (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
        (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def dashscope_told(parts: list[Any]) -> Told:
    """What the last response holds, as each holds all so far; the reason is the word "null" until then."""
    reasons = [part.output["choices"][0]["finish_reason"] for part in parts]
    assert reasons[:-1] == ["null"] * (len(parts) - 1), reasons
    message = parts[-1].output["choices"][0]["message"]
    assert message["role"] == "assistant"
    found = [(one["id"], one["function"]) for one in message.get("tool_calls") or ()]
    reasoning = max((part.output["choices"][0]["message"].get("reasoning_content") or "" for part in parts), key=len)
    texts = max((dashscope_text(part.output) for part in parts), key=len)
    calls = tuple(Call(one, spoken["name"], json.loads(spoken["arguments"])) for one, spoken in found)
    return Told(texts, reasoning, calls, reasons[-1], dashscope_usage(parts), repr(parts))
