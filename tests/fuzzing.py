"""Random input made of known good one: asks, answers and streams in which something was changed, and whole requests.

Every choice is read from bytes, so that hypothesis can shrink them and atheris can follow what they lead to.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

HERE = Path(__file__).resolve().parent
PLAYS = {"ollama_generate": ("ollama", "generate*")}
ODD: List[Any] = [None, True, False, 0, -1, 1e308, 2**63, -(2**70), "", "x", "\ud800", "\0", "data: [DONE]\n\n"]
ODD += [[], {}, [[]], [None], {"": None}, {"type": "text"}, [{"type": "tool_use"}], {"role": "user", "content": None}]
ODD += ["stop", "[DONE]", "é\u2028", {"index": -5}, [{"index": 1 << 40}], {"name": 1}, [1, "2", {}], "{", '{"a":']
CUTS = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b":",
    b"data:",
    b"data",
    b"event: error\n",
    b"id",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\0",
]
CUTS += [
    b"data: [DONE]\n\n",
    b'{"error": "x"}\n',
    b"data: null\n\n",
    b"data: []\n\n",
    b"{",
    b"}",
    b"  ",
    b'"',
    b"\\u",
    b"NaN",
]

ASKS: Dict[str, Dict[str, Any]] = {
    "openai": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "u"}}],
            },
            {
                "role": "assistant",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "r"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "stream_options": {"include_usage": True},
        "stop": ["a"],
        "n": 1,
    },
    "completions": {"model": "m", "prompt": ["a"], "suffix": "b", "logprobs": 1, "echo": False, "max_tokens": 3},
    "anthropic": {
        "model": "m",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "r"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    },
    "ollama": {
        "model": "m",
        "messages": [{"role": "user", "content": "c", "images": ["aGk="]}, {"role": "tool", "content": "r"}],
        "options": {"num_predict": 1, "stop": ["a"]},
        "format": {"type": "object"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "think": "low",
    },
    "ollama_generate": {"model": "m", "prompt": "p", "system": "s", "images": ["aGk="], "context": [1], "raw": False},
    "dashscope": {
        "model": "m",
        "input": {"messages": [{"role": "user", "content": [{"text": "t"}, {"image": "u"}]}]},
        "parameters": {"result_format": "message", "incremental_output": True, "tools": [], "stop": ["a"]},
    },
}


class Choices:
    """Numbers out of bytes; nothing but zeros once they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, most: int) -> int:
        """A number from 0 to ``most`` - 1."""
        size = 1 if most <= 256 else 2
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "big") % most

    def of(self, things: Any) -> Any:
        """One of these."""
        return things[self.below(len(things))]


def plays(dialect: str, ending: str) -> List[bytes]:
    """The recorded answers of a dialect."""
    folder, pattern = PLAYS.get(dialect, (dialect, "*"))
    found = sorted((HERE / "plays" / folder).glob(f"{pattern}{ending}"))
    if dialect in ("completions", "ollama"):
        found = [
            path
            for path in found
            if path.name.startswith("completion" if dialect == "completions" else ("text", "tools"))
        ]
    if dialect == "completions":
        found = sorted((HERE / "plays" / "openai").glob(f"completion{ending}"))
    return [path.read_bytes() for path in found]


def places(value: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(value: Any, choices: Choices) -> Any:
    """The value with one to three things replaced, removed or put in."""
    value = json.loads(json.dumps(value))
    for _ in range(1 + choices.below(3)):
        found = list(places(value))
        if not found:
            return value
        *way, key = choices.of(found)
        parent = value
        for step in way:
            parent = parent[step]
        act = choices.below(4)
        if act == 0:
            del parent[key]
        elif act == 1 and isinstance(parent, list):
            parent.insert(key, deepcopy(choices.of(ODD)))
        else:
            parent[key] = deepcopy(choices.of(ODD))
    return value


def spoiled(data: bytes, choices: Choices) -> bytes:
    """The bytes with something cut out, doubled, or put in."""
    for _ in range(choices.below(3)):
        begin = choices.below(len(data) + 1)
        end = min(len(data), begin + choices.below(200))
        act = choices.below(3)
        if act == 0:
            data = data[:begin] + data[end:]
        elif act == 1:
            data = data[:end] + data[begin:]
        else:
            data = data[:begin] + choices.of(CUTS) + data[begin:]
    return data


def stream(dialect: str, choices: Choices) -> bytes:
    """A recorded stream, a frame or two of it changed as JSON, and then spoiled as bytes."""
    lines = choices.of(plays(dialect, ".ndjson" if dialect.startswith("ollama") else ".sse")).split(b"\n")
    for _ in range(choices.below(3)):
        at = choices.below(len(lines))
        begin, brace, rest = lines[at].partition(b"{")
        if brace:
            try:
                lines[at] = begin + json.dumps(changed(json.loads(brace + rest), choices)).encode()
            except ValueError:
                continue
    return spoiled(b"\n".join(lines), choices)


def pieces(data: bytes, choices: Choices) -> List[bytes]:
    """The bytes in pieces."""
    cut = []
    while data:
        size = 1 + choices.below(len(data)) if choices.below(4) else len(data)
        cut.append(data[:size])
        data = data[size:]
    return cut
