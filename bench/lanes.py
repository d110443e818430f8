"""The lanes: what is asked, of whom, how often, and what must come back. One line of the table each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Tuple

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
NATIVE = "/api/v1/services/aigc/text-generation/generation"
TALK = [
    {"role": "system", "content": "You are a helpful assistant. Answer briefly and name your sources where you can."},
    {"role": "user", "content": "Why is the sky blue in the day and red in the evening? Explain it to a child of ten."},
    {"role": "assistant", "content": "Because air scatters blue light more than red light."},
    {"role": "user", "content": "And why is it then not violet? Two sentences, please."},
]
MEGABYTE = 1 << 20
KEY = "Authorization: Bearer sk-bench"
JSON = "Content-Type: application/json"


@dataclass(frozen=True)
class Ask:
    """One request: a path, a body (None: none), headers."""

    path: str
    body: Any = None
    headers: Tuple[str, ...] = (KEY, JSON)
    method: str = "POST"
    upload: int = 0


def chat(model: str, stream: bool) -> Ask:
    """An ask of the OpenAI kind."""
    body = {"model": model, "messages": TALK, "temperature": 0.7, "max_tokens": 1024}
    return Ask(CHAT, {**body, "stream": True} if stream else body)


def messages(model: str) -> Ask:
    """An ask of the Anthropic kind, streamed."""
    body = {"model": model, "system": TALK[0]["content"], "messages": TALK[1:], "max_tokens": 1024, "stream": True}
    return Ask(MESSAGES, body, ("x-api-key: sk-bench", "anthropic-version: 2023-06-01", JSON))


def native(model: str) -> Ask:
    """What DashScope itself is asked for a stream."""
    body = {
        "model": model,
        "input": {"messages": TALK},
        "parameters": {"result_format": "message", "incremental_output": True, "temperature": 0.7, "max_tokens": 1024},
    }
    return Ask(NATIVE, body, (KEY, JSON, "X-DashScope-SSE: enable"))


@dataclass(frozen=True)
class Lane:
    """``asked`` by clients; ``said`` is what the provider is asked for it, which the provider alone and nginx, who
    cannot convert, are asked instead. ``same``: the client gets the provider's bytes."""

    title: str
    asked: Ask
    said: Ask
    count: int  # answers in a round
    conns: int
    per: str = "answer"  # what an operation is: an answer, or one of its tokens
    tokens: int = 0
    rate: float = 0  # answers begun in a second; 0: as soon as one has ended
    last: bool = False  # only an answer's last token has its time: the others wait for it
    same: bool = True
    peers: Tuple[str, ...] = ("openai-forward", "litellm")
    flags: Tuple[str, ...] = ()
    address: str = "/v1"
    wrk: bool = False
    memory: bool = False
    shares: Dict[str, float] = field(default_factory=dict)  # of ``count``, for who is far from the others

    def of(self, target: str) -> Ask:
        """What this target is asked."""
        return self.said if target in ("direct", "nginx") else self.asked


def _paced(title: str, asked: Ask, said: Ask, **rest: Any) -> Lane:
    # 150 streams begun within a second, each 100 tokens 30 ms apart; LiteLLM would drown in a tenth more
    return Lane(
        title, asked, said, 150, 150, "token", 100, rate=150, shares={"litellm": 0.1, "openai-forward": 0.5}, **rest
    )


PACED, BURST, SHORT, FEW = "bench-p-100-30", "bench-b-100-0", "bench-b-20-0", "bench-p-10-20"
QUICKLY = {"direct": 2.0, "nginx": 2.0, "openai-forward": 0.5, "litellm": 0.05}
WHOLE = Lane("whole -> whole", chat(SHORT, False), chat(SHORT, False), 2000, 4, tokens=20, wrk=True, shares=QUICKLY)
UPLOAD = Ask("/v1/files", None, (KEY, "Content-Type: application/octet-stream"), upload=10 * MEGABYTE)
DOWNLOAD = Ask(f"/v1/files/bench-{10 * MEGABYTE}/content", None, (KEY,), "GET")

LANES: Dict[str, Lane] = {
    "a": WHOLE,
    "b": _paced("stream, 150 x 100 tokens at 30 ms", chat(PACED, True), chat(PACED, True)),
    "c": Lane(
        "stream, 100 tokens in one burst",
        chat(BURST, True),
        chat(BURST, True),
        600,
        2,
        "token",
        100,
        shares={**QUICKLY, "litellm": 0.03},
    ),
    "d": Lane(
        "stream -> whole",
        chat(BURST, False),
        chat(BURST, True),
        600,
        2,
        tokens=100,
        last=True,
        same=False,
        peers=(),
        flags=("--mode", "stream"),
        shares=QUICKLY,
    ),
    "e": Lane(
        "whole -> stream",
        chat(SHORT, True),
        chat(SHORT, False),
        1500,
        4,
        tokens=20,
        same=False,
        peers=(),
        flags=("--mode", "non_stream"),
        shares=QUICKLY,
    ),
    "f": _paced(
        "DashScope stream -> OpenAI stream", chat(PACED, True), native(PACED), same=False, peers=(), address=NATIVE
    ),
    "g": _paced(
        "OpenAI stream -> Anthropic stream", messages(PACED), chat(PACED, True), same=False, peers=("litellm",)
    ),
    "h-up": Lane("10 MB up", UPLOAD, UPLOAD, 16, 2, peers=("openai-forward",), memory=True),
    "h-down": Lane("10 MB down", DOWNLOAD, DOWNLOAD, 16, 2, peers=("openai-forward",), memory=True),
    "k": Lane(
        "first token at 100 requests a second",
        chat(FEW, True),
        chat(FEW, True),
        600,
        400,
        tokens=10,
        rate=100,
        shares={"litellm": 0.5},
    ),
    "l": replace(WHOLE, conns=16),  # enough for both workers to be as busy as one
}
TITLES = {
    **{name: lane.title for name, lane in LANES.items()},
    "i": "idle streams: memory each",
    "j": "start, idle memory of a worker",
    "l": "whole -> whole, 1 and 2 workers",
}
