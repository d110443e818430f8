"""JSON schemas for structured output: what Anthropic's does not know is said in words instead (reference 1.13)."""

from __future__ import annotations

from typing import Any, Dict, List

from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import write_json

_UNKNOWN = """
minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength maxItems uniqueItems contains
prefixItems minProperties maxProperties patternProperties propertyNames dependentRequired dependentSchemas dependencies
unevaluatedProperties unevaluatedItems if then else not
"""
UNKNOWN = frozenset(_UNKNOWN.split())
MANY = frozenset(("properties", "$defs", "definitions"))
ALTERNATIVES = frozenset(("anyOf", "allOf", "oneOf"))
DEPTH = 64


def fit_schema(schema: Any, depth: int = DEPTH) -> Any:
    """The schema without unknown keywords, which its description names; every object is closed."""
    if not isinstance(schema, dict) or depth == 0:
        return schema
    said: Wire = {}
    notes: List[str] = []
    for key, value in schema.items():
        if key in UNKNOWN or (key == "minItems" and value not in (0, 1)):
            notes.append(f"{key}: {write_json(value).decode()}")
        else:
            said["anyOf" if key == "oneOf" else key] = _fit(key, value, depth - 1)
    if schema.get("type") == "object" or "properties" in schema:
        said["additionalProperties"] = False
    if notes:
        text = said.get("description")
        said["description"] = " ".join([text] if isinstance(text, str) and text else []) + f" Note: {'; '.join(notes)}."
        said["description"] = said["description"].strip()
    return said


def _fit(key: str, value: Any, depth: int) -> Any:
    if key in MANY and isinstance(value, dict):
        return {name: fit_schema(inner, depth) for name, inner in value.items()}
    if key in ALTERNATIVES and isinstance(value, list):
        return [fit_schema(inner, depth) for inner in value]
    return fit_schema(value, depth) if key == "items" else value


def is_strict(schema: Any, depth: int = DEPTH) -> bool:
    """Whether OpenAI's strict mode would take a schema: every object closed, every property required."""
    if not isinstance(schema, dict) or depth == 0:
        return isinstance(schema, bool)
    named: Dict[str, Any] = schema["properties"] if isinstance(schema.get("properties"), dict) else {}
    if schema.get("type") == "object" or named:
        required = schema.get("required")
        if schema.get("additionalProperties") is not False or set(named) != set(required or ()):
            return False
    inner = [*named.values(), *(schema[key] for key in ("items",) if key in schema)]
    for key in (*MANY - {"properties"}, *ALTERNATIVES):
        value = schema.get(key)
        inner += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return all(is_strict(each, depth - 1) for each in inner)
