"""JSON at its edges: what lenient readers take, and what must be spelled again before strict ones see it."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest

from proxy.dialects.json_text import needs_respelling, read_json, write_json

SPELLED = [
    (b'{"a": 1.5, "b": [null, "NaN"]}', False),
    (b' \n{"a":"\xc3\xbc"}\n', False),
    (b'{"a":"\\ud83d"}', False),
    (b'{"a":1e999}', False),
    (b'{"a":NaN}', True),
    (b'{"a":[-Infinity]}', True),
    (b'{"a":"\\ud83d","b":NaN}', True),
    (b'\xef\xbb\xbf{"a":1}', True),
    (b"not JSON", False),
    (b"\xff", False),
]


def strict(text: bytes) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text.decode(), parse_constant=refuse)


@pytest.mark.timed
@pytest.mark.parametrize(("body", "odd"), SPELLED)
def test_only_what_strict_readers_refuse_is_spelled_again(body: bytes, odd: bool) -> None:
    assert needs_respelling(body) is odd
    if odd:
        with pytest.raises(ValueError):
            strict(body)
        again = write_json(read_json(body))
        assert strict(again) is not None and not needs_respelling(again)


def test_a_sound_body_is_only_looked_at() -> None:
    body = json.dumps([{"text": "word " * 20, "logprob": -0.5}] * 10_000).encode()
    took, decoding = (min(timed(look, body) for _ in range(3)) for look in (needs_respelling, read_json))
    assert took < decoding


def timed(look: Any, body: bytes) -> float:
    began = perf_counter()
    look(body)
    return perf_counter() - began
