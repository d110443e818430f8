"""The matrix: what is asked, and who judges the answer. Each question is asked once, several rows may look at it."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

from proxy.selftest import judging as judges
from proxy.selftest.asking import Question

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SHORT, LONG = 64, 8  # tokens: enough for a sentence, too few for what is asked


def _chat(text: str, max_tokens: int = SHORT, **more: Any) -> Dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": max_tokens, **more}


HELLO = _chat("Say hello in one short sentence.")
TOOLS = _chat("What is the weather in Paris?", 256, tools=[WEATHER], tool_choice="required")
TWO, LOGPROBS = {**HELLO, "n": 2}, {**HELLO, "logprobs": True, "top_logprobs": 2}
COUNT = _chat("Count from one to one hundred, in words.", LONG)
UNKNOWN = {**HELLO, "model": "demo-selftest-no-such-model"}

QUESTIONS: Dict[str, Question] = {
    "whole": Question(HELLO),
    "stream": Question(HELLO, streams=True),
    "bare": Question(HELLO, streams=True, options=False),
    "tools": Question(TOOLS),
    "tools, streamed": Question(TOOLS, streams=True),
    "n": Question(TWO),
    "n, streamed": Question(TWO, streams=True),
    "logprobs": Question(LOGPROBS),
    "logprobs, streamed": Question(LOGPROBS, streams=True),
    "cut": Question(COUNT),
    "cut, streamed": Question(COUNT, streams=True),
    "unknown model": Question(UNKNOWN),
    "unknown model, streamed": Question(UNKNOWN, streams=True),
    "wrong key": Question(HELLO, wrong_key=True),
    "half a body": Question(HELLO, broken=True),
    "left": Question(_chat("Count from one to fifty, in words.", SHORT), streams=True, leave=True),
    "after leaving": Question(HELLO),
}


class Row(NamedTuple):
    """One line of the table: its name, the question whose answer it looks at, and who judges it."""

    name: str
    question: str
    judge: judges.Judge


ROWS: List[Row] = [
    Row("whole answer", "whole", judges.answered(judges.says_something)),
    Row("usage, whole", "whole", judges.answered(judges.tells_usage)),
    Row("stream", "stream", judges.answered(judges.says_something)),
    Row("end of the stream", "stream", judges.ends),
    Row("two readers", "stream", judges.reads_alike),
    Row("usage, streamed (stream_options)", "stream", judges.answered(judges.tells_usage)),
    Row("stream without stream_options", "bare", judges.answered(judges.says_something)),
    Row("tools", "tools", judges.answered(judges.calls_tools, optional=True)),
    Row("tools, streamed", "tools, streamed", judges.answered(judges.calls_tools, optional=True)),
    Row("two choices (n)", "n", judges.answered(judges.gives_two, optional=True)),
    Row("two choices, streamed", "n, streamed", judges.answered(judges.gives_two, optional=True)),
    Row("logprobs", "logprobs", judges.answered(judges.tells_logprobs, optional=True)),
    Row("logprobs, streamed", "logprobs, streamed", judges.answered(judges.tells_logprobs, optional=True)),
    Row("cut by max_tokens", "cut", judges.answered(judges.is_cut)),
    Row("cut by max_tokens, streamed", "cut, streamed", judges.answered(judges.is_cut)),
    Row("unknown model", "unknown model", judges.refuses(404, 400, 403)),
    Row("unknown model, streamed", "unknown model, streamed", judges.refuses(404, 400, 403)),
    Row("wrong key", "wrong key", judges.refuses(401, 403)),
    Row("half a body", "half a body", judges.refuses(400, 422, lenient=False)),
    Row("hanging up", "left", judges.was_left),
    Row("the next ask after it", "after leaving", judges.answered(judges.says_something)),
]


def cost(sizes: List[int]) -> Tuple[int, int, int]:
    """What it may cost at most: asks, tokens asked (a guess: four bytes each), tokens answered."""
    answered = sum(one.chat["max_tokens"] * one.chat.get("n", 1) for one in QUESTIONS.values() if _answers(one))
    return len(sizes), sum(sizes) // 4, answered


def _answers(question: Question) -> bool:
    return not (question.broken or question.wrong_key or "model" in question.chat)
