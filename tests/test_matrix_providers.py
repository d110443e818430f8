"""The scripted providers are what they claim to be: the real SDKs, talking to them directly, find what is written."""

from __future__ import annotations

import pytest
from matrix_clients import CHATS, COMPLETIONS, GENERATE, GROWING, MULTIMODAL, PLAIN
from matrix_providers import PROVIDERS, check_credential, check_question
from matrix_sdks import sdk
from matrix_stories import BROKE, BROKEN, ERROR, SLOW_DOWN, STORIES, TEXT, Refused, expected
from matrix_talk import check_talk

# Without a proxy between them these are what each SDK raises: name, status, code.
REFUSED = {
    "openai": ("RateLimitError", 429, "rate_limit_exceeded"),
    "anthropic": ("RateLimitError", 429, "rate_limit_error"),
    "ollama": ("ResponseError", 429, None),
    "dashscope": ("", 429, "Throttling.RateQuota"),
}


def named(value):
    return value.name if hasattr(value, "name") else {True: "streams", False: "waits"}.get(value, str(value))


def direct(provider, client, story, model, streams):
    """One question to the provider that speaks the client's protocol, without a proxy."""
    sdk(client.family)  # skips where there is none
    scripted = PROVIDERS[client.family]
    provider.chooses(scripted.tells(story))
    try:
        return client.ask(provider.origin, story, model, streams, "off")
    finally:
        heard = provider.wait()
        assert len(provider.heard) == 1 and heard.target == client.path(story)
        check_credential(heard, scripted.name, same=True)


@pytest.mark.parametrize("streams", [True, False], ids=named)
@pytest.mark.parametrize("story", STORIES, ids=named)
@pytest.mark.parametrize("client", CHATS.values(), ids=named)
def test_each_sdk_understands_its_own_scripted_provider(provider, model, client, story, streams):
    told = direct(provider, client, story, model, streams)
    assert told.meaning == expected(story, client.family, client.name)
    if story.results:
        check_talk(client.family, provider.heard[0], signed=True)
    else:
        check_question(PROVIDERS[client.family].question(provider.heard[0]), story, stream=streams)


@pytest.mark.parametrize("story", STORIES, ids=named)
def test_frames_that_say_all_of_it_again_are_understood_as_well(provider, model, story):
    told = direct(provider, GROWING, story, model, True)
    assert told.meaning == expected(story, "dashscope", "dashscope")
    assert not provider.heard[0].json["parameters"].get("incremental_output")


@pytest.mark.parametrize("streams", [True, False], ids=named)
@pytest.mark.parametrize(
    "client", [PLAIN, COMPLETIONS, GENERATE, MULTIMODAL], ids=["plain", "completions", "generate", "multimodal"]
)
def test_the_older_forms_of_a_text_are_understood(provider, model, client, streams):
    told = direct(provider, client, TEXT, model, streams)
    assert told.meaning == expected(TEXT, client.family, client.name)


@pytest.mark.parametrize("streams", [True, False], ids=named)
@pytest.mark.parametrize("client", CHATS.values(), ids=named)
def test_each_sdk_understands_its_providers_refusal(provider, model, client, streams):
    with pytest.raises(Refused) as caught:
        direct(provider, client, ERROR, model, streams)
    refused = caught.value
    assert (refused.name, refused.status, refused.code) == REFUSED[client.name]
    assert refused.message == SLOW_DOWN and not refused.before


@pytest.mark.parametrize("client", CHATS.values(), ids=named)
def test_each_sdk_understands_a_failure_in_the_stream(provider, model, client):
    with pytest.raises(Refused) as caught:
        direct(provider, client, BROKEN, model, True)
    assert caught.value.message == BROKE
    assert caught.value.before == "Grüß "
