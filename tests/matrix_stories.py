"""What the matrix tells: a few stories whose facts stand here once, and how each protocol's client must see them."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

KEY = "sk-canary-matrix-0123456789"
SIGNATURE = "c2lnbmVkIGJ5IGhhbmQ="
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"  # one red pixel
assert base64.b64decode(DOT).startswith(b"\x89PNG")


class Count(NamedTuple):
    """Tokens: of the whole question, of the whole answer, and of these the cached and the reasoned ones."""

    prompt: int
    completion: int
    cached: int = 0
    reasoned: int = 0


class Call(NamedTuple):
    """One tool call; ``id`` is None where an SDK does not show it."""

    id: str | None
    name: str
    arguments: dict[str, Any]


class Told(NamedTuple):
    """What a client's SDK makes of an answer; ``raw`` is all that the SDK got, as text, and no part of the meaning."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    usage: Count = Count(0, 0)
    raw: str = ""

    @property
    def meaning(self) -> tuple[Any, ...]:
        """All but ``raw``, to be compared."""
        return self[:-1]


class Refused(Exception):  # noqa: N818
    """What a client's SDK makes of a failure: its exception's name (or none), status, message, code; text before it."""

    def __init__(self, name: str, status: int | None, message: str, code: str | None, before: str = "") -> None:
        super().__init__(f"{name} {status} {code}: {message} (after {before!r})")
        self.name, self.status, self.message, self.code, self.before = name, status, message, code, before


class Story(NamedTuple):
    """One question and what is answered, in nobody's words.

    ``results``: the question is a conversation in which the tools were called, and the last turn tells their results.
    """

    name: str
    question: str
    text: str = ""
    reasoning: str = ""
    tools: tuple[str, ...] = ()
    image: bool = False
    thinks: bool = False
    finish: str = "stop"
    usage: Count = Count(0, 0)
    system: str = ""
    max_tokens: int = 2000
    stop: tuple[str, ...] = ()
    results: bool = False

    @property
    def play(self) -> str:
        """The name of the provider's written answer."""
        return "text" if self.results else self.name


CALLS = (("weather", {"city": "Bern"}), ("time", {"zone": "CET"}))
SCHEMAS = {
    "weather": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "time": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
}
DESCRIPTIONS = {"weather": "How is the weather?", "time": "What time is it?"}

HELLO = "Grüß Gott 😀"
TEXT = Story(
    "text", "Hello?", HELLO, usage=Count(9, 4, cached=2), system="Be brief.", max_tokens=50, stop=("END", "STOP")
)
REASONING = Story("reasoning", "Count.", "Two.", "One, two.", thinks=True, usage=Count(3, 6, reasoned=4))
TOOLS = Story("tools", "Weather and time?", tools=("weather", "time"), finish="tool_calls", usage=Count(30, 20))
IMAGE = Story("image", "What is this?", "A red dot.", image=True, usage=Count(60, 5))
RESULTS = Story("results", "Weather and time?", HELLO, tools=TOOLS.tools, usage=TEXT.usage, results=True)
STORIES = [TEXT, REASONING, TOOLS, IMAGE, RESULTS]

# What was said before in the conversation of RESULTS: a thought, a word, two calls, and then their results.
THOUGHT, WORD = "Hm.", "Let me see."
RESULT_OF = {"weather": "Sunny.", "time": "Noon."}

ERROR = Story("error", "Hello?")  # refused at once, with 429
BROKEN = Story("broken", "Hello?", "Grüß ")  # fails after the first word
SLOW_DOWN = "Slow down, please."
BROKE = "The engine broke."

# The ids that the providers' answers carry: each provider has its own, so that none can be had by guessing.
IDS = {
    "openai": ("call_a", "call_b"),
    "anthropic": ("toolu_a", "toolu_b"),
    "ollama": ("call_o1", "call_o2"),
    "dashscope": ("call_d1", "call_d2"),
}
# How each client's protocol spells why an answer ended.
FINISH = {
    "openai": {"stop": "stop", "tool_calls": "tool_calls"},
    "completions": {"stop": "stop"},
    "anthropic": {"stop": "end_turn", "tool_calls": "tool_use"},
    "ollama": {"stop": "stop", "tool_calls": "stop"},  # spec 5.2: there is no reason of its own for tool calls
    "generate": {"stop": "stop"},
    "dashscope": {"stop": "stop", "tool_calls": "tool_calls"},
}
WITHOUT_DETAILS = {"ollama", "generate"}  # these protocols count tokens and tell nothing about them
WITHOUT_IDS = {"ollama"}  # its SDK drops the ids of tool calls


def expected(story: Story, provider: str, client: str) -> tuple[Any, ...]:
    """The meaning that ``client`` must find in a story told by ``provider``."""
    ids = (None, None) if client in WITHOUT_IDS else IDS[provider]
    called = () if story.results else story.tools
    calls = tuple(Call(ids[number], *CALLS[number]) for number, _ in enumerate(called))
    usage = story.usage
    if {provider, client} & WITHOUT_DETAILS:
        usage = Count(usage.prompt, usage.completion)
    return Told(story.text, story.reasoning, calls, FINISH[client][story.finish], usage).meaning
