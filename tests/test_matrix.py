"""Every client protocol with every provider dialect, streamed and whole, in every mode: real SDKs through the proxy.

What is told stands in ``matrix_stories``, the providers' literal answers in ``plays``, and that both the providers and
the SDKs are read rightly is proven in ``test_matrix_providers``.
"""

from __future__ import annotations

from itertools import product

import pytest
from matrix_clients import CHATS, COMPLETIONS, GENERATE, GROWING, MULTIMODAL, PLAIN
from matrix_providers import PROVIDERS, check_credential, check_question
from matrix_stories import (
    BROKE,
    BROKEN,
    ERROR,
    KEY,
    REASONING,
    SIGNATURE,
    SLOW_DOWN,
    STORIES,
    TEXT,
    TOOLS,
    Refused,
    expected,
)
from matrix_talk import check_talk
from witness import sound

from proxy.dialects import DIALECTS

MODES = {"off": None, "stream": True, "non_stream": False}
WORD = {True: "stream", False: "non_stream"}
# How each SDK shows the provider's 429 (status, code), and a failure inside a stream under status 200.
REFUSED = {
    "openai": ("RateLimitError", 429, "rate_limit_exceeded"),
    "completions": ("RateLimitError", 429, "rate_limit_exceeded"),
    "anthropic": ("RateLimitError", 429, "rate_limit_error"),
    "ollama": ("ResponseError", 429, None),
    "generate": ("ResponseError", 429, None),
    "dashscope": ("", 429, "Throttling.RateQuota"),
}
BROKEN_STREAM = {
    "openai": ("APIError", None),
    "anthropic": ("APIStatusError", 200),
    "ollama": ("ResponseError", -1),
    "dashscope": ("", 500),
}
BROKEN_WHOLE = {
    "openai": ("InternalServerError", 500),
    "anthropic": ("InternalServerError", 500),
    "ollama": ("ResponseError", 500),
    "dashscope": ("", 500),
}


def named(value):
    return value.name if hasattr(value, "name") else {True: "streams", False: "waits"}.get(value, str(value))


class Cell:
    """One exchange of the matrix: who asks whom, how, and what was found in the journals."""

    def __init__(self, provider, proxy, scripted, client, model):
        self.provider, self.scripted, self.client, self.model = provider, scripted, client, model
        self.running = proxy(url=provider.origin + scripted.path)

    def ask(self, story, streams, mode):
        self.story, self.streams = story, streams
        self.asked = asks_for_a_stream(mode, streams)
        self.provider.chooses(self.scripted.tells(story))
        return self.client.ask(self.running.origin, story, self.model, streams, mode)

    @property
    def same(self):
        return self.scripted.name == self.client.family

    def heard(self):
        """The only request that the provider got."""
        heard = self.provider.wait()
        assert len(self.provider.heard) == 1, self.provider.heard
        return heard

    def check_heard(self, story):
        heard = self.heard()
        if story.results:
            check_talk(self.scripted.name, heard, signed=self.client.name == "anthropic")
        else:
            check_question(self.scripted.question(heard), story, stream=self.asked)
        check_credential(heard, self.scripted.name, same=self.same)
        assert heard.json["model"] == self.model
        assert not [name for name, _ in heard.headers if name.lower().startswith("x-forward")]
        return heard

    def check_journals(self, *, code=None, **fields):
        """Both records, which must say the same of what happened; returns them."""
        pair = sound(
            self.running.record(model=self.model),
            send_mode=WORD[self.asked],
            return_mode=WORD[self.streams],
            path=self.client.path(self.story),
            method="POST",
            **fields,
        )
        upstream = fields["upstream_status"]
        attempts = [(one["mode"], one["status"], one["code"]) for one in pair.client["attempts"]]
        assert attempts == [(WORD[self.asked], upstream, code)]
        assert pair.server["input"] == self.heard().json
        assert KEY not in repr(pair)
        return pair

    def check_complete(self):
        pair = self.check_journals(outcome="complete", status=200, upstream_status=200)
        assert pair.client["usage"], "usage was told"
        assert pair.client["input"] != pair.server["input"] or self.same
        told = () if self.story.results else self.story.tools
        for record in pair:
            said = repr(record["output"])
            assert all(one in said for one in (self.story.text, self.story.reasoning, *told)), said


def test_nobody_is_missing_from_the_matrix():
    assert {dialect.family for dialect in DIALECTS.values()} <= set(PROVIDERS)
    assert {dialect.name for dialect in DIALECTS.values()} == {*CHATS, "completions", "ollama_generate"}


@pytest.fixture()
def cell(provider, proxy, model):
    return lambda scripted, client: Cell(provider, proxy, PROVIDERS[scripted], client, model)


def asks_for_a_stream(mode, streams):
    """Whether the provider is asked for a stream."""
    return streams if MODES[mode] is None else MODES[mode]


def ways(clients, streams=(True, False), only=lambda mode, streams: True):
    """Every client with every provider, mode, and form of the answer."""
    rows = [row for row in product(clients, PROVIDERS, MODES, streams) if only(*row[2:])]
    ids = ["-".join(map(named, row)) for row in rows]
    return pytest.mark.parametrize("client, provides, mode, streams", rows, ids=ids)


@pytest.mark.parametrize("story", STORIES, ids=named)
@ways(CHATS.values())
def test_every_client_hears_every_provider(cell, client, provides, mode, streams, story):
    here = cell(provides, client)
    told = here.ask(story, streams, mode)
    assert told.meaning == expected(story, provides, client.name)
    here.check_heard(story)
    here.check_complete()
    if story is REASONING and provides == "anthropic" and client.name in ("openai", "anthropic"):
        assert SIGNATURE in told.raw, "the signature has to come back with the next question"


@ways([COMPLETIONS, GENERATE])
def test_the_older_endpoints_work_with_every_provider(cell, client, provides, mode, streams):
    story = TEXT if client is GENERATE else TEXT._replace(system="")
    here = cell(provides, client)
    told = here.ask(story, streams, mode)
    assert told.meaning == expected(TEXT, provides, client.name)
    here.check_heard(story)
    here.check_complete()


@pytest.mark.parametrize("story", STORIES, ids=named)
@ways([GROWING], streams=[True])
def test_a_client_may_want_all_of_it_in_each_frame(cell, client, provides, mode, streams, story):
    here = cell(provides, client)
    told = here.ask(story, streams, mode)
    assert told.meaning == expected(story, provides, client.name)
    here.check_heard(story)
    here.check_complete()


@pytest.mark.parametrize("story", [TEXT, REASONING, TOOLS], ids=named)
@ways([MULTIMODAL])
def test_a_client_may_speak_in_parts_and_of_text_only(cell, client, provides, mode, streams, story):
    here = cell(provides, client)
    told = here.ask(story, streams, mode)
    assert told.meaning == expected(story, provides, client.name)
    here.check_heard(story)
    here.check_complete()


@ways([PLAIN])
def test_a_client_may_want_a_text_and_no_message(cell, client, provides, mode, streams):
    here = cell(provides, client)
    told = here.ask(TEXT, streams, mode)
    assert told.meaning == expected(TEXT, provides, client.name)
    here.check_heard(TEXT)
    here.check_complete()


@ways([*CHATS.values(), COMPLETIONS, GENERATE, MULTIMODAL])
def test_a_refusal_is_told_in_the_clients_own_words(cell, client, provides, mode, streams):
    here = cell(provides, client)
    with pytest.raises(Refused) as caught:
        here.ask(ERROR, streams, mode)
    refused = caught.value
    assert (refused.name, refused.status, refused.code) == REFUSED[client.name]
    assert refused.message == SLOW_DOWN
    pair = here.check_journals(outcome="upstream_error", status=429, upstream_status=429, code="rate_limit_exceeded")
    assert pair.client["error"]["message"] == SLOW_DOWN
    assert SLOW_DOWN in repr(pair.client["output"]) and SLOW_DOWN in repr(pair.server["output"])


@ways([*CHATS.values(), MULTIMODAL], only=asks_for_a_stream)
def test_a_failure_in_the_stream_is_told_in_the_clients_own_words(cell, client, provides, mode, streams):
    here = cell(provides, client)
    with pytest.raises(Refused) as caught:
        here.ask(BROKEN, streams, mode)
    refused = caught.value
    assert (refused.name, refused.status) == (BROKEN_STREAM if streams else BROKEN_WHOLE)[client.name]
    assert refused.message == BROKE
    assert refused.before == ("Grüß " if streams else "")
    pair = here.check_journals(outcome="upstream_error", status=200 if streams else 500, upstream_status=200)
    assert pair.client["error"]["message"] == BROKE
    assert "Grüß " in repr(pair.server["output"])
