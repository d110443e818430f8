"""The smallest sensible value of a JSON schema, with words taken from the question. It knows no endpoint."""

from __future__ import annotations

import re
from math import ceil
from typing import Any, Callable, Iterator, Mapping, NamedTuple

DEEPEST = 6
MOST = 5000  # values; a schema that refers to itself several times has no end
FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
}
# Properties of these names are given the question itself, others a name that occurs in it.
ASKING = frozenset(("query", "question", "q", "text", "input", "prompt", "message", "keywords", "expression"))
NAME = re.compile(r"(?<=[^.!?\s] )[A-ZÀ-Þ][\w'-]+(?: [A-ZÀ-Þ][\w'-]+)*")
NUMBER = re.compile(r"(?<![\w.])\d{1,9}(?![\w.])")


class Source(NamedTuple):
    """Where values come from: the question's text, the schema that ``$ref`` points into, and how many are left."""

    question: str
    root: Any
    left: Iterator[int]


def sample(schema: Any, question: str) -> Any:
    """A value that ``schema`` accepts; ``pattern``, ``not`` and conditions are not looked at."""
    return _value(schema, "", Source(question, schema, iter(range(MOST))), 0)


def _value(schema: Any, name: str, source: Source, depth: int) -> Any:
    if next(source.left, None) is None or not isinstance(schema, dict):
        return _word(name, source)
    schema, depth = _resolved(schema, source, depth)
    given = [schema[key] for key in ("const", "default") if key in schema] + _list(schema.get("enum"))
    if given:
        return given[0]
    kind = _kind(schema, depth)
    return KINDS[kind](schema, name, source, depth + 1) if kind in KINDS else _word(name, source)


def _resolved(schema: Mapping[str, Any], source: Source, depth: int) -> tuple[Mapping[str, Any], int]:
    """The schema with its reference followed and its alternatives decided."""
    if depth > DEEPEST:
        return schema, depth
    if isinstance(schema.get("$ref"), str):
        target = _pointed(source.root, schema["$ref"])
        return _resolved(target, source, depth + 1) if isinstance(target, dict) else ({}, depth)
    for either in ("anyOf", "oneOf"):
        options = [option for option in _list(schema.get(either)) if isinstance(option, dict)]
        if options:
            plain = [option for option in options if option.get("type") in PLAIN and depth > 2]
            return _resolved((plain or options)[0], source, depth + 1)
    for part in _list(schema.get("allOf")):
        if isinstance(part, dict):
            schema = _merged(schema, _resolved(part, source, depth + 1)[0])
    return schema, depth


def _pointed(root: Any, ref: str) -> Any:
    for step in ref.lstrip("#").strip("/").split("/"):
        if step and isinstance(root, dict):
            root = root.get(step)
    return root


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = {**_dict(one.get("properties")), **_dict(other.get("properties"))}
    merged = {**one, **other, "properties": properties}
    if "required" in merged:
        merged["required"] = [*_list(one.get("required")), *_list(other.get("required"))]
    return merged


def _kind(schema: Mapping[str, Any], depth: int) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, list) and kinds:
        kinds = "null" if "null" in kinds and depth > DEEPEST else kinds[0]
    if isinstance(kinds, str):
        return kinds
    return "object" if "properties" in schema else "array" if "items" in schema else ""


def _object(schema: Mapping[str, Any], _: str, source: Source, depth: int) -> dict[str, Any]:
    """What is required, or everything where nothing is said about that."""
    properties = _dict(schema.get("properties"))
    wanted = schema.get("required", list(properties) if depth < DEEPEST else [])
    names = [name for name in _list(wanted) if isinstance(name, str)]
    return {name: _value(properties.get(name), name, source, depth) for name in names if depth < 4 * DEEPEST}


def _array(schema: Mapping[str, Any], name: str, source: Source, depth: int) -> list[Any]:
    least = _number_of(schema.get("minItems"), 1 if depth < DEEPEST else 0)
    if isinstance(schema.get("prefixItems"), list):
        return [_value(item, name, source, depth) for item in schema["prefixItems"] if depth < 4 * DEEPEST]
    return [_value(schema.get("items"), name, source, depth) for _ in range(min(least, 20)) if depth < 4 * DEEPEST]


def _string(schema: Mapping[str, Any], name: str, source: Source, _: int) -> str:
    text = FORMATS.get(str(schema.get("format")), "") or _word(name, source)
    least, most = _number_of(schema.get("minLength"), 0), _number_of(schema.get("maxLength"), 10_000)
    return (text + "." * min(least - len(text), 10_000))[:most] if least > len(text) else text[:most]


def _integer(schema: Mapping[str, Any], name: str, source: Source, depth: int) -> int:
    return ceil(_number(schema, name, source, depth))


def _number(schema: Mapping[str, Any], _: str, source: Source, __: int) -> float:
    """A number of the question where the schema takes it, else 1 or what is nearest to it."""
    low = _bound(schema, "minimum", "exclusiveMinimum", +1)
    high = _bound(schema, "maximum", "exclusiveMaximum", -1)
    said = schema.get("multipleOf")
    step = said if isinstance(said, (int, float)) and 1e-6 < said < 1e9 else None
    asked = [int(number) for number in NUMBER.findall(source.question)]
    number: float = next((one for one in asked if low <= one <= high and (not step or one % step == 0)), 1)
    # Between two exclusive bounds that are near each other there is always their middle.
    number = max(low, min(number, high)) if low <= high else (low + high) / 2
    return ceil(number / step) * step if step else number


def _bound(schema: Mapping[str, Any], name: str, exclusive: str, inside: int) -> float:
    for key, shift in ((name, 0), (exclusive, inside)):
        bound = schema.get(key)
        if isinstance(bound, (int, float)) and type(bound) is not bool and abs(bound) < 1e15:
            return bound + shift
    return float("-inf") * inside


def _word(name: str, source: Source) -> str:
    """A word for a text: the question, a name that occurs in it, or the property's own name."""
    if name.lower() in ASKING and source.question:
        return source.question
    names = NAME.findall(source.question)
    return str(names[-1]) if names else name or "demo"


def _number_of(value: Any, default: int) -> int:
    return value if type(value) is int and value >= 0 else default


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


PLAIN = ("null", "string", "boolean", "integer", "number")
KINDS: dict[str, Callable[[Mapping[str, Any], str, Source, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda *_: True,
    "null": lambda *_: None,
}
