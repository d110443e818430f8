"""Values that the demo provider makes up for a JSON schema: they fit it, and there is always an end."""

from __future__ import annotations

from enum import Enum
from typing import Any, Dict, List, Optional

import pytest
from demo_client import ask, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from pydantic import BaseModel, Field

from proxy.upstream.demo.samples import sample


class Colour(Enum):
    """A schema with a reference to an enum."""

    RED = "red"


class Node(BaseModel):
    """A schema that refers to itself."""

    name: str = Field(min_length=30, max_length=31)
    colour: Colour
    size: float = Field(gt=0, lt=1)
    count: int = Field(ge=10, le=20, multiple_of=5)
    either: Optional[List[int]] = Field(min_length=2)
    children: List[Node] = []
    parent: Optional[Node]


def test_a_json_schema_is_answered_with_a_value_that_fits_it() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "node", "schema": Node.model_json_schema()}}
    text = whole(ask("Hello", response_format=wanted))["choices"][0]["message"]["content"]
    assert len(Node.model_validate_json(text).name) >= 30


def test_a_json_object_is_answered_with_one() -> None:
    text = whole(ask("Hello", response_format={"type": "json_object"}))["choices"][0]["message"]["content"]
    assert json.decode(text)["question"] == "Hello"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer", "exclusiveMinimum": 4, "maximum": 5}, 5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "array", "prefixItems": [{"const": 1}, {"type": "boolean"}]}, [1, True]),
        ({"type": ["null", "string"]}, None),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"enum": [2]}}}]}, {"a": 1, "b": 2}),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "b"}),
        ({"type": "string", "maxLength": 2}, "de"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        (True, "demo"),
    ],
)
def test_the_smallest_sensible_value_of_a_schema(schema: Any, value: Any) -> None:
    assert sample(schema, "") == value


def test_a_schema_that_never_ends_is_left_at_some_depth() -> None:
    names = [f"p{number}" for number in range(30)]
    endless = {"type": "object", "properties": dict.fromkeys(names, {"$ref": "#"}), "required": names}
    assert len(json.encode(sample(endless, ""))) < 1_000_000


KEYS = ["type", "properties", "required", "items", "anyOf", "allOf", "$ref", "enum", "minItems", "maxLength", "minimum"]
KEYS += ["maximum", "multipleOf", "exclusiveMinimum", "format", "prefixItems", "oneOf", "minLength"]
LEAVES = st.sampled_from(["object", "array", "string", "integer", "number", "null", "#", "#/properties/a", 3, -1, 0.5])
SCHEMAS = st.recursive(
    LEAVES | st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), SCHEMAS, max_size=6))
def test_no_schema_is_so_strange_that_it_has_no_value(schema: Dict[str, Any]) -> None:
    assert json.encode(sample(schema, "What about 7 days in Rome?"))
