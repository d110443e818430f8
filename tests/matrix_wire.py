"""What a stream and a whole answer must be on the wire, protocol by protocol: the rules that strict clients hold us to.

Sources: reference 4.5 for Anthropic and Chat, spec 5.2 for Ollama, spec 4.5 for DashScope.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable

from anthropic_checker import check_failed_stream
from anthropic_checker import check_stream as check_anthropic

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")  # RFC 3339 as a Go program writes it
TYPES = {
    "openai": "text/event-stream",
    "anthropic": "text/event-stream",
    "ollama": "application/x-ndjson",
    "dashscope": "text/event-stream",
}


def openai_stream(data: bytes) -> None:
    """A chat stream with usage: one identity, role first and once, calls begun once, one reason, usage last."""
    lines = data.split(b"\n\n")
    assert lines.pop() == b"" and lines.pop() == b"data: [DONE]"
    assert all(line.startswith(b"data: ") and b"\n" not in line for line in lines)
    *parts, usage = [json.loads(line[6:]) for line in lines]
    assert len({(one["id"], one["created"], one["model"], one["object"]) for one in [*parts, usage]}) == 1
    assert usage["object"] == "chat.completion.chunk" and usage["id"] and isinstance(usage["created"], int)
    assert usage["choices"] == [] and usage["usage"]["total_tokens"]
    assert all(one["usage"] is None and len(one["choices"]) == 1 for one in parts)
    choices = [one["choices"][0] for one in parts]
    assert all(one["index"] == 0 and "finish_reason" in one for one in choices)
    assert [number for number, one in enumerate(choices) if one["delta"].get("role")] == [0]
    reasons = [one["finish_reason"] for one in choices]
    assert reasons[-1] and not any(reasons[:-1]), reasons
    openai_calls([call for one in choices for call in one["delta"].get("tool_calls") or ()])


def openai_calls(pieces: list[dict[str, Any]]) -> None:
    """Calls are numbered from 0; id, type and name come with the first piece of each, and never again."""
    seen: list[int] = []
    for piece in pieces:
        if piece["index"] not in seen:
            assert piece["index"] == len(seen) and piece["id"] and piece["type"] == "function", piece
            assert piece["function"]["name"]
            seen.append(piece["index"])
        else:
            assert not piece.get("id") and not piece["function"].get("name"), piece


def ollama_stream(data: bytes) -> None:
    """Lines of JSON: each of one model with a moment and a message; calls whole; the last one, and no other, counts."""
    assert data.endswith(b"\n")
    lines = [json.loads(line) for line in data.splitlines()]
    assert [one["done"] for one in lines] == [False] * (len(lines) - 1) + [True]
    assert len({one["model"] for one in lines}) == 1 and lines[0]["model"]
    for one in lines:
        assert MOMENT.fullmatch(one["created_at"]), one
        assert one["message"]["role"] == "assistant" and isinstance(one["message"]["content"], str)
        for call in one["message"].get("tool_calls") or ():
            assert call["function"]["name"] and isinstance(call["function"]["arguments"], dict)
    ollama_end(lines[-1])
    assert not any(name in one for one in lines[:-1] for name in ("done_reason", "eval_count", "total_duration"))


def ollama_end(last: dict[str, Any]) -> None:
    """Why it ended, the counts, and durations in nanoseconds."""
    assert last["done"] is True and last["done_reason"] in ("stop", "length")
    names = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
    assert all(isinstance(last[name], int) and last[name] >= 0 for name in (*names, "prompt_eval_count", "eval_count"))


def dashscope_stream(data: bytes) -> None:
    """Frames of four lines, numbered from 1; usage in each; the word "null" for a reason until the last."""
    frames = data.split(b"\n\n")
    assert frames.pop() == b""
    said = []
    for number, frame in enumerate(frames, 1):
        ident, event, status, rest = frame.split(b"\n")
        assert (ident, event, status) == (b"id:%d" % number, b"event:result", b":HTTP_STATUS/200"), frame
        assert rest.startswith(b"data:{")
        said.append(json.loads(rest[5:]))
    assert len({one["request_id"] for one in said}) == 1 and said[0]["request_id"]
    assert all(isinstance(one["usage"], dict) for one in said)
    choices = [one["output"]["choices"][0] for one in said]
    reasons = [one["finish_reason"] for one in choices]
    assert reasons[-1] in ("stop", "tool_calls") and set(reasons[:-1]) <= {"null"}, reasons
    assert all(one["message"]["role"] == "assistant" and "content" in one["message"] for one in choices)
    heads = [call for one in choices for call in one["message"].get("tool_calls") or () if call.get("id")]
    assert len({call["index"] for call in heads}) == len(heads), "an id comes once"


STREAMS: dict[str, Callable[[bytes], Any]] = {
    "openai": openai_stream,
    "anthropic": check_anthropic,
    "ollama": ollama_stream,
    "dashscope": dashscope_stream,
}


def openai_whole(said: dict[str, Any]) -> None:
    """A chat completion with every required key (spec 1.3)."""
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(said)
    assert said["object"] == "chat.completion" and isinstance(said["created"], int) and said["id"]
    (choice,) = said["choices"]
    assert choice["index"] == 0 and choice["finish_reason"] and said["model"]
    assert choice["message"]["role"] == "assistant" and "content" in choice["message"]
    for call in choice["message"].get("tool_calls") or ():
        assert call["id"] and call["type"] == "function" and isinstance(call["function"]["arguments"], str)


def anthropic_whole(said: dict[str, Any]) -> None:
    """A message with every required key (reference 1.3)."""
    assert said["type"] == "message" and said["role"] == "assistant" and said["id"] and said["model"]
    assert said["stop_reason"] and said["stop_sequence"] is None
    assert all(isinstance(said["usage"][name], int) for name in ("input_tokens", "output_tokens"))
    assert [block["type"] for block in said["content"]]
    assert all(block["text"] for block in said["content"] if block["type"] == "text")


def ollama_whole(said: dict[str, Any]) -> None:
    """One line that says it all."""
    assert said["model"] and MOMENT.fullmatch(said["created_at"]) and said["message"]["role"] == "assistant"
    assert isinstance(said["message"]["content"], str)
    ollama_end(said)


def dashscope_whole(said: dict[str, Any]) -> None:
    """Message format (spec 4.4)."""
    (choice,) = said["output"]["choices"]
    assert choice["message"]["role"] == "assistant" and "content" in choice["message"] and said["request_id"]
    assert {"input_tokens", "output_tokens", "total_tokens"} <= set(said["usage"])
    assert choice["finish_reason"] in ("stop", "tool_calls")


WHOLES: dict[str, Callable[[dict[str, Any]], None]] = {
    "openai": openai_whole,
    "anthropic": anthropic_whole,
    "ollama": ollama_whole,
    "dashscope": dashscope_whole,
}


def openai_failed(data: bytes) -> str:
    """The message of a failure in the stream, behind which there is only the end."""
    *_, error, done, rest = data.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    told = json.loads(error[6:])["error"]
    assert set(told) >= {"message", "type", "param", "code"}
    return str(told["message"])


def ollama_failed(data: bytes) -> str:
    """The message of a failure in the last line."""
    return str(json.loads(data.splitlines()[-1])["error"])


def dashscope_failed(data: bytes) -> str:
    """The message of a failure in the last frame, with its status as the service and as the SDK want it (spec 4.5).

    It is numbered after the frames before it and has their request id, or the one that the provider told with it.
    """
    frames = [frame.split(b"\n") for frame in data.split(b"\n\n")[:-1]]
    assert [frame[0] for frame in frames] == [b"id:%d" % number for number, _ in enumerate(frames, 1)]
    (identity,) = {json.loads(frame[-1][5:])["request_id"] for frame in frames[:-1]}
    lines = frames[-1]
    assert b"event:error" in lines and b":HTTP_STATUS/500" in lines, lines
    told = json.loads(lines[-1][5:])
    assert told["code"] and told["request_id"] in (identity, "req_t6") and identity
    return str(told["message"])


FAILED: dict[str, Callable[[bytes], str]] = {
    "openai": openai_failed,
    "anthropic": lambda data: str(check_failed_stream(data)["error"]["message"]),
    "ollama": ollama_failed,
    "dashscope": dashscope_failed,
}
