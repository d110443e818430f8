"""The asynchronous clients of the SDKs, each with a provider of another protocol."""

from __future__ import annotations

import asyncio

import pytest
from matrix_asks import anthropic, ollama, openai
from matrix_providers import PROVIDERS, check_question
from matrix_sdks import PATIENCE, sdk
from matrix_stories import HELLO, KEY, TEXT


async def ask_openai(origin, model, streams):
    module = sdk("openai")
    transport = module.DefaultAsyncHttpxClient(trust_env=False)
    options = {"base_url": f"{origin}/v1", "api_key": KEY, "max_retries": 0, "timeout": PATIENCE}
    async with module.AsyncOpenAI(http_client=transport, **options) as client:
        answer = await client.chat.completions.create(model=model, stream=streams, **openai(TEXT))
        if not streams:
            return answer.choices[0].message.content
        return "".join([one.delta.content or "" async for part in answer for one in part.choices])


async def ask_anthropic(origin, model, streams):
    module = sdk("anthropic")
    plain = next(base for base in module.DefaultAsyncHttpxClient.__mro__ if base.__module__.startswith("httpx"))
    options = {"base_url": origin, "api_key": KEY, "max_retries": 0, "timeout": PATIENCE}
    async with module.AsyncAnthropic(http_client=plain(trust_env=False), **options) as client:
        if not streams:
            answer = await client.messages.create(model=model, **anthropic(TEXT))
            return answer.content[0].text
        async with client.messages.stream(model=model, **anthropic(TEXT)) as stream:
            return "".join([text async for text in stream.text_stream])


async def ask_ollama(origin, model, streams):
    headers = {"Authorization": f"Bearer {KEY}"}
    client = sdk("ollama").AsyncClient(host=origin, headers=headers, timeout=PATIENCE, trust_env=False)
    try:
        answer = await client.chat(model=model, stream=streams, **ollama(TEXT))
        if not streams:
            return answer.message.content
        return "".join([part.message.content async for part in answer])
    finally:
        await client._client.aclose()


CELLS = [(ask_openai, "anthropic"), (ask_anthropic, "ollama"), (ask_ollama, "dashscope"), (ask_ollama, "openai")]


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "waits"])
@pytest.mark.parametrize("ask, provides", CELLS, ids=lambda value: getattr(value, "__name__", value))
def test_an_asynchronous_client_hears_a_provider_of_another_protocol(provider, proxy, model, ask, provides, streams):
    scripted = PROVIDERS[provides]
    provider.chooses(scripted.tells(TEXT))
    running = proxy(url=provider.origin + scripted.path)
    assert asyncio.run(ask(running.origin, model, streams)) == HELLO
    check_question(scripted.question(provider.wait()), TEXT, stream=streams)
