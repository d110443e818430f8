"""A provider's chunks as events: the envelope, its choices, and what it cost (spec 1.6(c))."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from proxy.chat.ask import Ask
from proxy.chat.events import Blank, Event, Noted, Started, Text, Usage
from proxy.chat.slots import index_of, word
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.openai_ask import asked_choices
from proxy.dialects.openai_calls import Terms
from proxy.dialects.openai_choice import ChoiceReading, is_news
from proxy.errors import failure, truncated

ENVELOPE = frozenset(("id", "object", "created", "model", "choices", "usage"))
PADDING = frozenset(("obfuscation", "p"))  # random text against listeners who count bytes
CUMULATIVE_MODELS = ("qwen-mt-plus", "qwen-mt-turbo")  # they repeat all text so far with every chunk (C25)


def is_cumulative(model: str) -> bool:
    """Whether a model is known to repeat all text so far with every chunk."""
    return model.startswith(CUMULATIVE_MODELS)


class Reading:
    """One answer under way, chunk by chunk; ``stamp`` is used where the provider gives no id or time.

    ``parsed``: a list of choices came, be it empty; what never has one is no answer.
    """

    def __init__(self, terms: Terms, ask: Optional[Ask] = None, stamp: Optional[Stamp] = None) -> None:
        self.parsed = False
        self._terms = terms
        self._due = asked_choices(ask)
        self._fallback = (stamp.id, stamp.created, ask.model if ask else "") if stamp and terms.repair else ("", 0, "")
        self._choices: Dict[int, ChoiceReading] = {}
        self._known: Wire = {}
        self._early: Wire = {}
        self._head: Optional[Started] = None
        self._partial = True
        self._usage: Any = None
        self._other_usage: Dict[str, Any] = {}

    def read(self, chunk: Wire) -> List[Event]:
        """What one chunk of a stream says."""
        out: List[Event] = []
        self._read_head(chunk, out)
        usage = chunk.get("usage")
        if isinstance(usage, dict) and usage and usage != self._usage:
            self._usage = usage
            out.append(Usage(usage))
        choices = chunk.get("choices")
        if isinstance(choices, list):
            self.parsed = True
            for place, choice in enumerate([choice for choice in choices if isinstance(choice, dict)]):
                self._read_choice(choice, place, out)
        return out

    @property
    def cumulative(self) -> bool:
        """Whether every chunk repeats all text so far."""
        return self._terms.cumulative

    def read_alike(self, text: str, choice: int) -> Text:
        """What a chunk says that is like one that was read, but for the text of its one choice."""
        self._choices[choice].lengths["content"] += len(text)
        return Text(text, choice)

    def has_talked(self, choice: int) -> bool:
        """Whether text of this choice has come, and is not repeated."""
        reading = self._choices.get(choice)
        return not self.cumulative and reading is not None and "content" in reading.lengths

    def read_common(self, text: Optional[str], choice: int, usage: Optional[Wire]) -> List[Event]:
        """What a chunk says that has a text of a choice that has talked, and what it cost so far, and nothing else."""
        out: List[Event] = []
        if usage and usage != self._usage:
            self._usage = usage
            out.append(Usage(usage))
        if text:
            out.append(self.read_alike(text, choice))
        return out

    def read_whole(self, body: Wire) -> List[Event]:
        """What a whole answer says; a choice of it may have an idle delta beside its message."""
        choices = [
            {key: value for key, value in choice.items() if key != "delta" or "message" not in choice}
            for choice in body["choices"]
            if isinstance(choice, dict)
        ]
        out = self.read({**body, "choices": _apart(choices)})
        elsewhere = self._usage_elsewhere()
        if not elsewhere and not body.get("usage") and "usage" in body:
            out.append(Blank("usage", body["usage"]))
        return out + elsewhere

    def end(self, done: bool) -> List[Event]:
        """What is owed when the provider has ended; raises ProxyError for a stream without a sound end (C33, C43)."""
        if not self.parsed:
            raise failure("invalid_upstream_response", "The provider's stream ended without saying anything.")
        opened = [choice for choice in self._choices.values() if choice.opened]
        if not done and not (len(opened) >= self._due and all(choice.reason for choice in opened)):
            raise truncated()
        out: List[Event] = []
        for choice in opened:
            choice.close(out)
        return out + self._usage_elsewhere()

    def _read_head(self, chunk: Wire, out: List[Event]) -> None:
        """The first chunk that says who answers, or anything else, begins the answer (C27: Azure's first does not)."""
        news = {}
        for key, value in chunk.items():
            if key not in ENVELOPE and key not in PADDING and is_news(self._known, key, value):
                news[key] = self._known[key] = value
        if self._partial:
            self._begin(chunk, news, out)
        elif news:
            out.append(Noted("reply", news))
        if news:
            self._note_usage(news)

    def _begin(self, chunk: Wire, news: Wire, out: List[Event]) -> None:
        """Say who answers, as soon as anything is answered; say it again when more is known."""
        self._early.update(news)
        old = self._head
        if old is None and not (chunk.get("id") or chunk.get("choices") or chunk.get("usage")):
            return
        identity, created, model = self._fallback
        known = old or Started()
        head = Started(
            known.id or word(chunk, "id") or identity,
            known.model or word(chunk, "model") or model,
            known.created or _seconds(chunk.get("created")) or created,
        )
        self._partial = not (head.id and head.model and head.created)
        self._head, self._terms.reply_id = head, head.id
        self._terms.cumulative = self._terms.cumulative or is_cumulative(head.model)
        if head != old or self._early:
            out.append(Started(head.id, head.model, head.created, self._early))
            self._early = {}

    def _read_choice(self, choice: Wire, place: int, out: List[Event]) -> None:
        index = index_of(choice, place)
        reading = self._choices.get(index)
        if reading is None:
            reading = self._choices[index] = ChoiceReading(index, self._terms)
        reading.read(choice, out)
        if _counted(choice):
            self._other_usage["choice"] = choice["usage"]

    def _note_usage(self, news: Wire) -> None:
        """Some tell what it cost elsewhere (spec 1.6(c))."""
        for name, read in ELSEWHERE.items():
            usage = read(news[name]) if isinstance(news.get(name), dict) else None
            if usage:
                self._other_usage[name] = usage

    def _usage_elsewhere(self) -> List[Event]:
        """What was told elsewhere counts, once, if nothing is told at the usual place."""
        told = [self._other_usage[name] for name in ("choice", *ELSEWHERE) if self._other_usage.get(name)]
        return [Usage(usage) for usage in told[:1]] if self._usage is None else []


def _apart(choices: List[Wire]) -> List[Wire]:
    """The choices of a whole answer, numbered by their places where two have the same index: both are answers."""
    indices = [index_of(choice, place) for place, choice in enumerate(choices)]
    if len(set(indices)) == len(indices):
        return choices
    return [{**choice, "index": place} for place, choice in enumerate(choices)]


def _timed(timings: Mapping[str, Any]) -> Any:
    """Token counts out of a provider's timings."""
    prompt, completion = timings.get("prompt_n"), timings.get("predicted_n")
    if not (isinstance(prompt, int) and isinstance(completion, int)):
        return None
    prompt += timings.get("cache_n") or 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _counted(said: Mapping[str, Any]) -> Any:
    """The ``usage`` of an object that has one; what counts no tokens is some key of that name."""
    usage = said.get("usage")
    return usage if isinstance(usage, dict) and any(name.endswith("_tokens") for name in usage) else None


ELSEWHERE: Dict[str, Callable[[Mapping[str, Any]], Any]] = {"x_groq": _counted, "timings": _timed}


def _seconds(value: Any) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
