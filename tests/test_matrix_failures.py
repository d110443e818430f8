"""What goes wrong at a provider, in each provider's own words, as each client's SDK gets to see it."""

from __future__ import annotations

import json
from itertools import product

import pytest
from matrix_clients import CHATS
from matrix_providers import PROVIDERS, WRONG_URL, check_question, dashscope_streams
from matrix_stories import IDS, TEXT, Count, Refused, Story, expected
from stories import whole
from witness import sound

TEXTS = {
    400: "Range of temperature should be [0.0, 1.0].",
    401: "Wrong key.",
    403: "Not for you.",
    404: "The model 'nope' does not exist.",
    500: "The engine broke.",
    503: "Too much to do.",
}


def openai(kind, code):
    return lambda text: {"error": {"message": text, "type": kind, "param": None, "code": code}}


def anthropic(kind):
    return lambda text: {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_t8"}


def dashscope(code):
    return lambda text: {"code": code, "message": text, "request_id": "a1c0561c-0008"}


def ollama(text):
    return {"error": text}


# What each provider answers: the status line, and the body around the text.
SAID = {
    400: {
        "openai": (400, openai("invalid_request_error", "invalid_value")),
        "anthropic": (400, anthropic("invalid_request_error")),
        "ollama": (400, ollama),
        "dashscope": (400, dashscope("InvalidParameter")),
    },
    401: {
        "openai": (401, openai("invalid_request_error", "invalid_api_key")),
        "anthropic": (401, anthropic("authentication_error")),
        "ollama": (401, ollama),
        "dashscope": (401, dashscope("InvalidApiKey")),
    },
    403: {
        "openai": (403, openai("invalid_request_error", None)),
        "anthropic": (403, anthropic("permission_error")),
        "ollama": (403, ollama),
        "dashscope": (403, dashscope("AccessDenied")),
    },
    404: {
        "openai": (404, openai("invalid_request_error", "model_not_found")),
        "anthropic": (404, anthropic("not_found_error")),
        "ollama": (404, ollama),
        "dashscope": (404, dashscope("ModelNotFound")),
    },
    500: {
        "openai": (500, openai("server_error", None)),
        "anthropic": (500, anthropic("api_error")),
        "ollama": (500, ollama),
        "dashscope": (500, dashscope("InternalError")),
    },
    503: {
        "openai": (503, openai("service_unavailable_error", "server_is_overloaded")),
        "anthropic": (529, anthropic("overloaded_error")),
        "ollama": (503, ollama),
        "dashscope": (503, dashscope("ModelUnavailable")),
    },
}
# Old and new Anthropic SDKs, for 503 and for 529.
OVERLOADED = ("OverloadedError", "ServiceUnavailableError", "InternalServerError")
# What each SDK must make of it: the exception's name, the statuses that are right, the code (None: whatever it is).
SEEN = {
    400: {
        "openai": ("BadRequestError", (400,), None),
        "anthropic": ("BadRequestError", (400,), "invalid_request_error"),
        "dashscope": ("", (400,), "InvalidParameter"),
    },
    401: {
        "openai": ("AuthenticationError", (401,), "invalid_api_key"),
        "anthropic": ("AuthenticationError", (401,), "authentication_error"),
        "dashscope": ("", (401,), "InvalidApiKey"),
    },
    403: {
        "openai": ("PermissionDeniedError", (403,), None),
        "anthropic": ("PermissionDeniedError", (403,), "permission_error"),
        "dashscope": ("", (403,), "AccessDenied"),
    },
    404: {
        "openai": ("NotFoundError", (404,), "model_not_found"),
        "anthropic": ("NotFoundError", (404,), "not_found_error"),
        "dashscope": ("", (404,), "ModelNotFound"),
    },
    500: {
        "openai": ("InternalServerError", (500,), None),
        "anthropic": ("InternalServerError", (500,), "api_error"),
        "dashscope": ("", (500,), "InternalError"),
    },
    503: {
        "openai": ("InternalServerError", (503,), "server_is_overloaded"),
        "anthropic": (
            ("OverloadedError", "ServiceUnavailableError", "InternalServerError"),
            (503, 529),
            "overloaded_error",
        ),
        "dashscope": ("", (503,), "ModelUnavailable"),
    },
}


def named(value):
    return value.name if hasattr(value, "name") else {True: "streams", False: "waits"}.get(value, str(value))


@pytest.mark.parametrize("streams", [True, False], ids=named)
@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("client, provides", list(product(CHATS.values(), PROVIDERS)), ids=named)
def test_a_failure_keeps_its_kind_and_its_words(provider, proxy, model, client, provides, kind, streams):
    running = proxy(url=provider.origin + PROVIDERS[provides].path)
    status, body = SAID[kind][provides]
    provider.always(whole(json.dumps(body(TEXTS[kind])).encode(), b"%d Sorry" % status))
    with pytest.raises(Refused) as caught:
        client.ask(running.origin, TEXT, model, streams, "off")
    refused = caught.value
    names, statuses, code = SEEN[kind].get(client.name, ("ResponseError", (kind,), None))
    assert refused.name in ((names,) if isinstance(names, str) else names)
    assert refused.status in statuses
    assert refused.code == code or code is None
    assert refused.message == TEXTS[kind]
    assert len(provider.heard) == 1, "nothing is asked twice"
    pair = sound(running.record(model=model), outcome="upstream_error", upstream_status=status, status=refused.status)
    assert pair.client["error"]["message"] == TEXTS[kind]


@pytest.mark.parametrize("streams", [True, False], ids=named)
@pytest.mark.parametrize("client", CHATS.values(), ids=named)
def test_a_model_that_lives_at_the_other_endpoint_is_found_there(provider, proxy, model, client, streams):
    """Spec 3.7: "url error, please check url!" is answered by the other of DashScope's two endpoints."""
    told = Story("image", "Hello?", "A red dot.", usage=Count(60, 5))

    def script(heard):
        if "multimodal" not in heard.target:
            return [whole(WRONG_URL, b"400 Bad Request")]
        return PROVIDERS["dashscope"].tells(told._replace(image=True))(heard)

    provider.chooses(script)
    running = proxy(url=provider.origin + PROVIDERS["dashscope"].path)
    answer = client.ask(running.origin, told, model, streams, "off")
    assert answer.meaning == expected(told, "dashscope", client.name)
    assert ["multimodal" in one.target for one in provider.heard] == [False, True]
    check_question(PROVIDERS["dashscope"].question(provider.heard[1]), told, stream=streams)
    pair = sound(running.record(model=model), outcome="complete", status=200, upstream_status=200)
    assert [one["status"] for one in pair.client["attempts"]] == [400, 200]


ONLY_STREAMED = {
    "openai": (openai("invalid_request_error", "invalid_parameter_error"), "This model only support stream mode."),
    "dashscope": (dashscope("InvalidParameter"), "parameter.enable_thinking only support stream call"),
}


@pytest.mark.parametrize("client, provides", list(product(CHATS.values(), ONLY_STREAMED)), ids=named)
def test_a_whole_is_made_of_a_stream_where_the_provider_gives_nothing_else(provider, proxy, model, client, provides):
    scripted = PROVIDERS[provides]
    body, text = ONLY_STREAMED[provides]

    def script(heard):
        streams = dashscope_streams(heard) if provides == "dashscope" else heard.json.get("stream")
        return scripted.tells(TEXT)(heard) if streams else [whole(json.dumps(body(text)).encode(), b"400 Sorry")]

    provider.chooses(script)
    running = proxy(url=provider.origin + scripted.path)
    answer = client.ask(running.origin, TEXT, model, False, "off")
    assert answer.meaning == expected(TEXT, provides, client.name)
    pair = sound(running.record(model=model), outcome="complete", return_mode="non_stream")
    modes = [(one["mode"], one["status"]) for one in pair.client["attempts"]]
    assert modes == [("non_stream", 400), ("stream", 200)]


def test_every_provider_fails_in_every_way():
    assert all(set(said) == set(IDS) for said in SAID.values())
    assert set(SAID) == set(SEEN) == set(TEXTS)
