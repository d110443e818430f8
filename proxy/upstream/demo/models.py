"""The models of the demo provider: one table for the listing and for how they behave."""

from __future__ import annotations

from typing import Any

from proxy.upstream.demo.mischief import break_off, broken, cut, forget_done, mess, messy_reply, stall
from proxy.upstream.demo.play import Model, Pace
from proxy.upstream.demo.said import Answered, Refused, Step, refusal

# The wordings of spec 3.7, as users meet them.
NEEDS_STREAM = refusal(
    400,
    "This model only support stream mode, please enable the stream parameter to access the model. ",
    code="invalid_parameter_error",
)
NEEDS_WHOLE = refusal(
    400,
    "Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported.",
    "stream",
    "unsupported_value",
)
NO_OPTIONS = refusal(400, "Unknown parameter: 'stream_options'.", "stream_options", "unknown_parameter")
LIMITED = refusal(
    429,
    "Rate limit reached for demo-429 on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 7s.",
    code="rate_limit_exceeded",
    kind="rate_limit_error",
    headers=[
        ("Retry-After", "7"),
        ("x-ratelimit-limit-requests", "3"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "7s"),
    ],
)
NO_KEY = refusal(401, "Incorrect API key provided. This model turns every key away.", code="invalid_api_key")
OVERLOADED = refusal(
    503,
    "The engine is currently overloaded, please try again later.",
    code="server_is_overloaded",
    kind="service_unavailable_error",
)
PAGE = (
    b"<html>\r\n<head><title>500 Internal Server Error</title></head>\r\n"
    b"<body><center><h1>500 Internal Server Error</h1></center></body>\r\n</html>\r\n"
)
HTML = Answered(500, [("Content-Type", "text/html"), ("Content-Length", str(len(PAGE)))], [Step(0.0, PAGE)])

TABLE = (
    Model("demo", "Answers at once, quoting the question; any model name it does not know answers like this one."),
    Model("demo-reasoning", "Thinks before it answers: reasoning_content, then content.", thinks=True),
    Model("demo-tools", "Calls every tool it is offered, whatever the question.", eager=True),
    Model("demo-embedding", "For /v1/embeddings: texts that share words are near each other."),
    Model("demo-stream-only", "Refuses whole answers: 400 unless stream is true.", NEEDS_STREAM, "whole"),
    Model("demo-no-stream", "Refuses streams: 400 if stream is true.", NEEDS_WHOLE, "streamed"),
    Model("demo-no-options", "Refuses stream_options: 400 that names it.", NO_OPTIONS, "options"),
    Model("demo-json", "Answers one JSON, though a stream was asked for.", streams=False),
    Model("demo-sse", "Answers a stream, though a whole answer was asked for.", streams=True),
    Model("demo-401", "Turns every key away: 401.", NO_KEY),
    Model("demo-429", "Is over its limit: 429 with Retry-After and x-ratelimit headers.", LIMITED),
    Model("demo-500", "Fails with an HTML page: 500.", HTML),
    Model("demo-overloaded", "Is overloaded: 503.", OVERLOADED),
    Model("demo-cut", "Breaks the connection in the middle of the answer.", twist=cut, bend=cut),
    Model(
        "demo-error",
        "Fails in the middle: an error frame; whole: 200 with an error.",
        twist=break_off,
        reply=broken,
    ),
    Model("demo-no-done", "Finishes its stream, but never says [DONE].", twist=forget_done),
    Model("demo-slow", "3 s to the first word, 300 ms for each further one.", pace=Pace(3.0, 0.3)),
    Model("demo-stall", "Falls silent for ten minutes in the middle of the answer.", twist=stall, bend=stall),
    Model("demo-messy", "Breaks the rules of the format: what repair mends.", twist=mess, reply=messy_reply),
)
MODELS: dict[str, Model] = {model.name: model for model in TABLE}


def find(name: str) -> Model:
    """The model of this ``name``: a stranger is taken for ``demo``; raises Refused for an unknown ``demo-...``."""
    if name in MODELS or not name.startswith("demo-"):
        return MODELS.get(name, MODELS["demo"])
    raise Refused(unknown(name))


def unknown(name: str) -> Answered:
    """The 404 for a model that is not there."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return refusal(404, message, "model", "model_not_found")


def check(model: Model, *traits: str) -> None:
    """Raise Refused if the model turns away an ask with these ``traits`` (streamed, whole, options)."""
    if model.refusal and (model.refuses is None or model.refuses in traits):
        raise Refused(model.refusal)


def listed(model: Model) -> dict[str, Any]:
    """A model as /v1/models describes it."""
    entry = {"id": model.name, "object": "model", "created": 1_700_000_000, "owned_by": "demo"}
    return {**entry, "description": model.description}


def listing() -> dict[str, list[Any] | str]:
    """All models, as /v1/models lists them."""
    return {"object": "list", "data": [listed(model) for model in TABLE]}
