"""How each client protocol asks a story: the JSON that goes over the wire, and the path and headers that go with it."""

from __future__ import annotations

from typing import Any, NamedTuple

from matrix_stories import DESCRIPTIONS, DOT, KEY, SCHEMAS, Story
from matrix_talk import anthropic_talk, ollama_talk, openai_talk

TEXT_PATH = "/api/v1/services/aigc/text-generation/generation"
MULTIMODAL_PATH = "/api/v1/services/aigc/multimodal-generation/generation"
BEARER = (("Authorization", f"Bearer {KEY}"),)


class Spelled(NamedTuple):
    """One ask on the wire."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: dict[str, Any]


def given(**parameters: Any) -> dict[str, Any]:
    """The parameters that say anything."""
    return {name: value for name, value in parameters.items() if value not in (None, [], {}, False)}


def functions(story: Story) -> list[dict[str, Any]]:
    """Tools as OpenAI, Ollama and DashScope take them."""
    return [
        {"type": "function", "function": {"name": name, "description": DESCRIPTIONS[name], "parameters": SCHEMAS[name]}}
        for name in story.tools
    ]


def messages(story: Story, content: Any = None, **more: Any) -> list[dict[str, Any]]:
    """The question in the form that OpenAI, Ollama and DashScope share."""
    system = [{"role": "system", "content": story.system}] if story.system else []
    return [*system, {"role": "user", "content": content or story.question, **more}]


def openai(story: Story) -> dict[str, Any]:
    """A chat of OpenAI's."""
    url = {"url": f"data:image/png;base64,{DOT}"}
    parts = [{"type": "text", "text": story.question}, {"type": "image_url", "image_url": url}]
    return given(
        messages=openai_talk(story) or messages(story, parts if story.image else None),
        tools=functions(story),
        max_tokens=story.max_tokens,
        stop=list(story.stop),
        reasoning_effort="low" if story.thinks else None,
    )


def completions(story: Story) -> dict[str, Any]:
    """A legacy completion of OpenAI's, which has no system and no tools."""
    return given(prompt=story.question, max_tokens=story.max_tokens, stop=list(story.stop))


def anthropic(story: Story) -> dict[str, Any]:
    """A message of Anthropic's."""
    source = {"type": "base64", "media_type": "image/png", "data": DOT}
    blocks = [{"type": "text", "text": story.question}, {"type": "image", "source": source}]
    return given(
        messages=anthropic_talk(story) or [{"role": "user", "content": blocks if story.image else story.question}],
        system=story.system or None,
        tools=[
            {"name": name, "description": DESCRIPTIONS[name], "input_schema": SCHEMAS[name]} for name in story.tools
        ],
        max_tokens=story.max_tokens,
        stop_sequences=list(story.stop),
        thinking={"type": "enabled", "budget_tokens": 1024} if story.thinks else None,
    )


def ollama(story: Story) -> dict[str, Any]:
    """A chat of Ollama's."""
    return given(
        messages=ollama_talk(story) or messages(story, **given(images=[DOT] if story.image else None)),
        tools=functions(story),
        think=story.thinks,
        options=ollama_options(story),
    )


def generate(story: Story) -> dict[str, Any]:
    """A generate of Ollama's."""
    return given(prompt=story.question, system=story.system or None, options=ollama_options(story))


def ollama_options(story: Story) -> dict[str, Any]:
    """Parameters as Ollama takes them."""
    return given(num_predict=story.max_tokens, stop=list(story.stop))


def dashscope(story: Story) -> dict[str, Any]:
    """What DashScope takes beside the model: the messages and, flat, the parameters."""
    parts = [{"text": story.question}, {"image": f"data:image/png;base64,{DOT}"}]
    return given(
        messages=openai_talk(story) or messages(story, parts if story.image else None),
        max_tokens=story.max_tokens,
        stop=list(story.stop),
        tools=functions(story),
        enable_thinking=story.thinks,
    )


def spelled(client: str, story: Story, model: str, streams: bool) -> Spelled:
    """The whole ask of a client that is no SDK: ``client`` is openai, anthropic, ollama or dashscope."""
    if client == "openai":
        options = {"stream_options": {"include_usage": True}} if streams else {}
        body = {"model": model, **openai(story), "stream": streams, **options}
        return Spelled("/v1/chat/completions", BEARER, body)
    if client == "anthropic":
        body = {"model": model, **anthropic(story), "stream": streams}
        return Spelled("/v1/messages", (("x-api-key", KEY), ("anthropic-version", "2023-06-01")), body)
    if client == "ollama":
        return Spelled("/api/chat", BEARER, {"model": model, **ollama(story), **({} if streams else {"stream": False})})
    said = dashscope(story)
    body = {"model": model, "input": {"messages": said.pop("messages")}, "parameters": said}
    said.update({"result_format": "message", "incremental_output": True} if streams else {"result_format": "message"})
    wants = (("X-DashScope-SSE", "enable"), ("Accept", "text/event-stream")) if streams else ()
    return Spelled(MULTIMODAL_PATH if story.image else TEXT_PATH, BEARER + wants, body)
