"""What the demo provider was asked: the JSON checked in OpenAI's words, and the few facts an answer depends on."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Mapping, NamedTuple

from msgspec import DecodeError, json

from proxy.upstream.demo.said import Refused, refusal

UNREADABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
)
FOUND = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal number", dict: "an object"}


class Rule(NamedTuple):
    """What a field may be: its JSON types, their name in an error message, and the bounds of a number."""

    types: tuple[type, ...]
    expected: str
    low: float = float("-inf")
    high: float = float("inf")


NUMBER = (int, float)
COMMON: dict[str, Rule] = {
    "model": Rule((str,), "a string"),
    "stream": Rule((bool,), "a boolean"),
    "stream_options": Rule((dict,), "an object"),
    "n": Rule((int,), "an integer", 1, 128),
    "max_tokens": Rule((int,), "an integer", 1),
    "temperature": Rule(NUMBER, "a decimal", 0, 2),
    "top_p": Rule(NUMBER, "a decimal", 0, 1),
    "stop": Rule((str, list), "a string or an array of strings"),
}
CHAT: dict[str, Rule] = {
    **COMMON,
    "messages": Rule((list,), "an array of objects"),
    "max_completion_tokens": Rule((int,), "an integer", 1),
    "logprobs": Rule((bool,), "a boolean"),
    "top_logprobs": Rule((int,), "an integer", 0, 20),
    "tools": Rule((list,), "an array of objects"),
    "functions": Rule((list,), "an array of objects"),
    "tool_choice": Rule((str, dict), "a string or an object"),
    "response_format": Rule((dict,), "an object"),
}
COMPLETIONS: dict[str, Rule] = {
    **COMMON,
    "prompt": Rule((str, list), "a string or an array"),
    "logprobs": Rule((int,), "an integer", 0, 5),
    "echo": Rule((bool,), "a boolean"),
    "suffix": Rule((str,), "a string"),
}
EMBEDDINGS: dict[str, Rule] = {
    "model": COMMON["model"],
    "input": Rule((str, list), "a string or an array"),
    "dimensions": Rule((int,), "an integer", 1, 4096),
    "encoding_format": Rule((str,), "a string"),
}
MODERATIONS: dict[str, Rule] = {"model": COMMON["model"], "input": Rule((str, list), "a string or an array")}


class Asked(NamedTuple):
    """A checked ask. ``seed`` is the same for the same ask, streamed or not; ``voice`` for the same words in it."""

    body: dict[str, Any]
    model: str
    stream: bool
    show_usage: bool
    seed: str
    voice: str

    def number(self, field: str, default: int) -> int:
        """An integer field, or ``default`` where it is absent or null."""
        value: int | None = self.body.get(field)
        return default if value is None else value


def read_asked(body: bytes, rules: Mapping[str, Rule], *required: str) -> Asked:
    """Read an ask by ``rules``; raises Refused with OpenAI's 400 that names the field."""
    ask = _decoded(body)
    _check_present(ask, required)
    known = {field: ask[field] for field in rules if ask.get(field) is not None}
    for field, value in known.items():
        _check(field, value, rules[field])
    _check_together(known)
    show_usage = known.get("stream_options", {}).get("include_usage") is True
    same = {key: value for key, value in ask.items() if key not in ("stream", "stream_options")}
    words = ask.get("messages") or ask.get("prompt")
    return Asked(ask, ask["model"], bool(known.get("stream")), show_usage, _hash(same), _hash(words))


def _hash(value: Any) -> str:
    return sha256(json.encode(value, order="sorted")).hexdigest()


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        ask = json.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(refusal(400, UNREADABLE)) from None
    if not isinstance(ask, dict):
        raise Refused(refusal(400, UNREADABLE))
    return ask


def _check_present(ask: Mapping[str, Any], required: tuple[str, ...]) -> None:
    if not ask.get("model"):
        raise Refused(refusal(400, "you must provide a model parameter", "model"))
    for field in required:
        if ask.get(field) is None:
            message = f"Missing required parameter: '{field}'."
            raise Refused(refusal(400, message, field, "missing_required_parameter"))
        if ask[field] == []:
            expected = "Expected an array with minimum length 1, but got an empty array instead."
            raise Refused(refusal(400, f"Invalid '{field}': empty array. {expected}", field, "empty_array"))


def _check(field: str, value: Any, rule: Rule) -> None:
    # type(), not isinstance: true is no integer on the wire.
    if type(value) not in rule.types:
        found = FOUND.get(type(value), "an array" if isinstance(value, list) else "null")
        message = f"Invalid type for '{field}': expected {rule.expected}, but got {found} instead."
        raise Refused(refusal(400, message, field, "invalid_type"))
    if type(value) not in NUMBER or rule.low <= value <= rule.high:
        return
    kind = "integer" if rule.types == (int,) else "decimal"
    side, sign, bound = ("below minimum", ">=", rule.low) if value < rule.low else ("above maximum", "<=", rule.high)
    message = f"Invalid '{field}': {kind} {side} value. Expected a value {sign} {bound}, but got {value} instead."
    raise Refused(refusal(400, message, field, f"{kind}_{side[:9]}_value".replace(" ", "_")))


def _check_together(ask: Mapping[str, Any]) -> None:
    """What one field demands of another, and of the things inside a list."""
    if "stream_options" in ask and not ask.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(refusal(400, message, "stream_options"))
    if "top_logprobs" in ask and not ask.get("logprobs"):
        message = "The 'logprobs' parameter must be set to true when 'top_logprobs' is used."
        raise Refused(refusal(400, message, "logprobs"))
    for place, message_ in enumerate(ask.get("messages", ())):
        field = f"messages[{place}]"
        _check(field, message_, Rule((dict,), "an object"))
        if not isinstance(message_.get("role"), str):
            raise Refused(
                refusal(
                    400, f"Missing required parameter: '{field}.role'.", f"{field}.role", "missing_required_parameter"
                )
            )
