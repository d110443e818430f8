"""The providers of the matrix: which written answer each plays, and what it heard, put into nobody's words.

They are as choosy as the real ones where that matters to a translation: an image at the text endpoint is a "url error".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, NamedTuple

from matrix_stories import BROKEN, ERROR, KEY, SCHEMAS, Story
from provider import Heard, Script
from stories import END, STREAM_HEAD, chunk, frames, whole

PLAYS = Path(__file__).parent / "plays"
NDJSON_HEAD = STREAM_HEAD.replace(b"text/event-stream", b"application/x-ndjson")
DASHSCOPE_HEAD = STREAM_HEAD.replace(b"text/event-stream", b"text/event-stream;charset=UTF-8")
LATER = b"Content-Type: application/json\r\nRetry-After: 7\r\n"
WRONG_URL = b'{"code":"InvalidParameter","message":"url error, please check url!","request_id":"a1c0561c-0009"}'

Tells = Callable[[Story], Callable[[Heard], Script]]


class Question(NamedTuple):
    """What a provider was asked, in nobody's words; images as (media type, base64)."""

    stream: bool
    system: str
    texts: tuple[str, ...]
    images: tuple[tuple[str, str], ...]
    tools: dict[str, Any]
    max_tokens: int | None
    stop: tuple[str, ...]
    thinks: bool


class Scripted(NamedTuple):
    """One provider of the matrix: ``path`` for --url, its script for a story, and how it understands an ask."""

    name: str
    path: str
    tells: Tells
    question: Callable[[Heard], Question]


def play(folder: str, name: str) -> bytes:
    """The bytes of one written answer."""
    return (PLAYS / folder / name).read_bytes()


def refusal(folder: str) -> Script:
    """The provider's own 429."""
    return [whole(play(folder, "error.json"), b"429 Too Many Requests", LATER)]


def unmetered(stream: bytes) -> bytes:
    """An OpenAI stream as it is told when usage was not asked for."""
    kept = (frame for frame in frames(stream) if b'"choices":[]' not in frame)
    return b"".join(kept).replace(b',"usage":null', b"")


def openai(story: Story) -> Callable[[Heard], Script]:
    """OpenAI: /v1/chat/completions, and /v1/completions with an answer of its own."""

    def script(heard: Heard) -> Script:
        if story is ERROR:
            return refusal("openai")
        name = "completion" if heard.target == "/v1/completions" else story.play
        if not heard.json.get("stream"):
            return [whole(play("openai", f"{name}.json"))]
        stream = play("openai", f"{name}.sse")
        metered = (heard.json.get("stream_options") or {}).get("include_usage")
        return [STREAM_HEAD, *map(chunk, frames(stream if metered else unmetered(stream))), END]

    return script


def anthropic(story: Story) -> Callable[[Heard], Script]:
    """Anthropic: /v1/messages."""

    def script(heard: Heard) -> Script:
        if story is ERROR:
            return refusal("anthropic")
        if not heard.json.get("stream"):
            return [whole(play("anthropic", f"{story.play}.json"))]
        return [STREAM_HEAD, *map(chunk, frames(play("anthropic", f"{story.play}.sse"))), END]

    return script


def ollama(story: Story) -> Callable[[Heard], Script]:
    """Ollama: /api/chat, and /api/generate with an answer of its own; it streams unless told not to."""

    def script(heard: Heard) -> Script:
        if story is ERROR:
            return refusal("ollama")
        name = story.play
        if heard.target == "/api/generate":
            name = "generate_weighed" if name == "weighed" else "generate"
        if heard.json.get("stream") is False:
            return [whole(play("ollama", f"{name}.json"), headers=b"Content-Type: application/json; charset=utf-8\r\n")]
        lines = play("ollama", f"{name}.ndjson").splitlines(keepends=True)
        return [NDJSON_HEAD, *map(chunk, lines), END]

    return script


def dashscope(story: Story) -> Callable[[Heard], Script]:
    """DashScope: the text and the multimodal endpoint, streamed by header, in news or all of it again and again."""

    def script(heard: Heard) -> Script:
        if story is ERROR:
            return refusal("dashscope")
        if heard.target.endswith("/multimodal-generation/generation") != (story.image or has_parts(heard)):
            return [whole(WRONG_URL, b"400 Bad Request")]
        parameters = heard.json.get("parameters") or {}
        formless = parameters.get("result_format") != "message" and not has_parts(heard)
        plain = formless and story.play == "text"
        name = "plain" if plain else story.play
        if not dashscope_streams(heard):
            return [whole(play("dashscope", f"{name}.json"))]
        grown = not parameters.get("incremental_output") and story is not BROKEN
        told = play("dashscope", f"{name}.grown.sse" if grown else f"{name}.sse")
        return [DASHSCOPE_HEAD, *map(chunk, frames(told)), END]

    return script


def has_parts(heard: Heard) -> bool:
    """Whether contents are lists, which only the multimodal endpoint takes, whatever is in them."""
    return any(isinstance(one["content"], list) for one in heard.json["input"]["messages"])


def dashscope_streams(heard: Heard) -> bool:
    """Whether a stream was asked for (spec 4.2)."""
    accept = heard.header("accept") or ""
    return heard.header("x-dashscope-sse") == "enable" or "text/event-stream" in accept


def data_url(url: str) -> tuple[str, str]:
    """A data URL's media type and base64."""
    head, _, data = url.partition(",")
    assert head.startswith("data:") and head.endswith(";base64"), head
    return head[len("data:") : -len(";base64")], data


def texts_of(content: Any) -> tuple[str, ...]:
    """The texts of a content that is a string, or a list of parts with a key ``text``."""
    if isinstance(content, str):
        return (content,)
    return tuple(part["text"] for part in content or () if "text" in part)


def strings(value: Any) -> tuple[str, ...]:
    """One string or several, as several."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def understood(messages: list[dict[str, Any]], images: tuple[tuple[str, str], ...], **rest: Any) -> Question:
    """A question from messages of which one may be the system's."""
    said = {role: [one for one in messages if one["role"] in role] for role in (("system", "developer"), ("user",))}
    system, user = said.values()
    assert len(system) + len(user) == len(messages), messages
    return Question(
        system="\n".join(text for one in system for text in texts_of(one["content"])),
        texts=tuple(text for one in user for text in texts_of(one["content"])),
        images=images,
        **rest,
    )


def openai_question(heard: Heard) -> Question:
    """What an OpenAI provider was asked, by chat or by completions."""
    body = heard.json
    if "prompt" in body:
        body["messages"] = [{"role": "user", "content": body["prompt"]}]
    assert ("stream_options" in body) <= bool(body.get("stream")), "stream_options without a stream (C10)"
    parts = [part for one in body["messages"] if isinstance(one["content"], list) for part in one["content"]]
    return understood(
        body["messages"],
        tuple(data_url(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"),
        stream=bool(body.get("stream")),
        tools={one["function"]["name"]: one["function"]["parameters"] for one in body.get("tools") or ()},
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        stop=strings(body.get("stop")),
        thinks=bool(body.get("reasoning_effort") or body.get("enable_thinking")),
    )


def anthropic_question(heard: Heard) -> Question:
    """What an Anthropic provider was asked."""
    body = heard.json
    assert isinstance(body["max_tokens"], int), "max_tokens is required"
    assert body["messages"][0]["role"] == "user"
    blocks = [block for one in body["messages"] if isinstance(one["content"], list) for block in one["content"]]
    sources = [block["source"] for block in blocks if block["type"] == "image"]
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking["type"] == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"], "spec 1.2"
    asked = understood(
        body["messages"],
        tuple((source["media_type"], source["data"]) for source in sources if source["type"] == "base64"),
        stream=bool(body.get("stream")),
        tools={one["name"]: one["input_schema"] for one in body.get("tools") or ()},
        max_tokens=body["max_tokens"],
        stop=strings(body.get("stop_sequences")),
        thinks=thinking["type"] in ("enabled", "adaptive"),
    )
    return asked._replace(system="\n".join(texts_of(body.get("system"))))


def ollama_question(heard: Heard) -> Question:
    """What an Ollama provider was asked, by chat or by generate."""
    body = heard.json
    if "prompt" in body:
        system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
        body["messages"] = [*system, {"role": "user", "content": body["prompt"]}]
    assert all(isinstance(one["content"], str) for one in body["messages"]), "content is a string only (spec 5.2)"
    options = body.get("options") or {}
    assert None not in options.values(), "null options must be left out (spec 5.5)"
    return understood(
        body["messages"],
        tuple(("image/png", image) for one in body["messages"] for image in one.get("images") or ()),
        stream=body.get("stream") is not False,
        tools={one["function"]["name"]: one["function"]["parameters"] for one in body.get("tools") or ()},
        max_tokens=options.get("num_predict"),
        stop=strings(options.get("stop")),
        thinks=bool(body.get("think")),
    )


def dashscope_question(heard: Heard) -> Question:
    """What a DashScope provider was asked."""
    body = heard.json
    messages = body["input"]["messages"]
    kind = list if "multimodal" in heard.target else str
    assert all(isinstance(one["content"], kind) for one in messages), f"content must be {kind} here (spec 4.3)"
    assert "stream" not in body, "there is no stream field in the native body (spec 4.2)"
    parameters = body.get("parameters") or {}
    parts = [part for one in messages if kind is list for part in one["content"]]
    assert all(len(part) == 1 for part in parts), "parts have one key"
    return understood(
        messages,
        tuple(data_url(part["image"]) for part in parts if "image" in part),
        stream=dashscope_streams(heard),
        tools={one["function"]["name"]: one["function"]["parameters"] for one in parameters.get("tools") or ()},
        max_tokens=parameters.get("max_tokens"),
        stop=strings(parameters.get("stop")),
        thinks=bool(parameters.get("enable_thinking")),
    )


PROVIDERS = {
    one.name: one
    for one in (
        Scripted("openai", "/v1/chat/completions", openai, openai_question),
        Scripted("anthropic", "/v1/messages", anthropic, anthropic_question),
        Scripted("ollama", "/api/chat", ollama, ollama_question),
        Scripted("dashscope", "/api/v1/services/aigc/text-generation/generation", dashscope, dashscope_question),
    )
}


def check_question(asked: Question, story: Story, *, stream: bool) -> None:
    """The provider was asked what the client asked, whole."""
    assert asked.stream is stream
    assert asked.texts == (story.question,)
    assert asked.system == story.system
    assert [kind for kind, _ in asked.images] == (["image/png"] if story.image else [])
    assert asked.tools == {name: SCHEMAS[name] for name in story.tools}
    assert asked.stop == story.stop
    assert asked.max_tokens == story.max_tokens
    assert asked.thinks is story.thinks


def check_credential(heard: Heard, provider: str, *, same: bool) -> None:
    """The client's key came in the provider's own form, once, and in no other."""
    bearer, own = heard.header("authorization"), heard.header("x-api-key")
    if provider == "anthropic":
        assert heard.header("anthropic-version") in ("2023-06-01", "2026-10-21")
        if same:  # the SDK's own form is left alone: newer ones send a bearer token
            assert sorted(filter(None, (bearer, own))) in ([KEY], [f"Bearer {KEY}"])
            return
        assert (bearer, own) == (None, KEY)
    else:
        assert (bearer, own) == (f"Bearer {KEY}", None)
    assert KEY not in json.dumps(heard.json)
