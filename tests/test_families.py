"""What a provider speaks, by the path of its URL or as the operator says; and which model is asked in which mode."""

from __future__ import annotations

import json

import pytest
from matrix_providers import PROVIDERS
from matrix_stories import HELLO, TEXT
from raw_client import Call

from proxy.dialects import FAMILIES, family_of

HI = [{"role": "user", "content": "Hi"}]
URLS = [
    ("https://api.openai.com/v1/chat/completions", "openai"),
    ("http://127.0.0.1:8000", "openai"),
    ("https://a.example/compatible-mode/v1/chat/completions", "openai"),
    ("https://api.anthropic.com/v1/messages", "anthropic"),
    ("https://a.example/anthropic/v1/messages?x=1", "anthropic"),
    ("http://127.0.0.1:11434/api/chat", "ollama"),
    ("http://127.0.0.1:11434/api/generate/", "ollama"),
    ("https://dashscope-intl.aliyuncs.com/api/v1/services/aigc/text-generation/generation", "dashscope"),
    ("https://dashscope.aliyuncs.com/api/v1/services/aigc/multimodal-generation/generation", "dashscope"),
]


@pytest.mark.parametrize("url, family", URLS)
def test_a_url_tells_what_its_provider_speaks(url, family):
    assert family_of(url).name == family


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_chosen_beats_the_url(family):
    assert family_of("https://a.example/v1/chat/completions", family).name == family
    with pytest.raises(ValueError, match="is not one of"):
        family_of("https://a.example", family + "x")


@pytest.mark.parametrize("provides", PROVIDERS)
def test_a_bare_host_is_asked_in_the_dialect_that_was_set(provider, proxy, model, provides):
    provider.chooses(PROVIDERS[provides].tells(TEXT))
    running = proxy(url=provider.origin, dialect=provides)
    got = Call(running.port, json.dumps({"model": model, "messages": HI}).encode()).rest()
    assert got.json["choices"][0]["message"]["content"] == HELLO
    assert provider.heard[0].target == PROVIDERS[provides].path


def test_a_model_of_the_file_has_its_name_and_its_mode(provider, proxy, tmp_path):
    path = tmp_path / "models.toml"
    path.write_text('[models]\n"gpt-4" = "big"\n"claude-*" = {model = "qwq", mode = "stream"}\n')
    running = proxy(url=provider.origin + "/v1/chat/completions", config=str(path))
    for asked, named, streams in (("gpt-4", "big", False), ("claude-x", "qwq", True), ("other", "other", False)):
        provider.clear()
        provider.chooses(PROVIDERS["openai"].tells(TEXT))
        got = Call(running.port, json.dumps({"model": asked, "messages": HI}).encode()).rest()
        heard = provider.heard[0].json
        assert (heard["model"], bool(heard.get("stream"))) == (named, streams)
        assert got.json["model"] == "M", "the model that answered"
