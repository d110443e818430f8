"""What refusals have taught: how a model of a provider wants to be asked, for a while."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from time import monotonic
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

CAPACITY = 10_000


class Manner(NamedTuple):
    """How to ask: ``stream`` None: as planned; ``options`` False: no ``stream_options``; ``amended``: as in Plan."""

    stream: Optional[bool] = None
    options: bool = True
    amended: Tuple[str, ...] = ()


NEUTRAL = Manner()


class Key(NamedTuple):
    """Whom a lesson is about; the credential counts, for accounts differ in what they may do (C03)."""

    provider: str
    model: str
    credential: str


def key(provider: str, model: str, credential: str) -> Key:
    """The key for a ``credential`` header value, of which only a fingerprint is kept."""
    return Key(provider, model, _fingerprint(credential))


@lru_cache(maxsize=1024)
def _fingerprint(credential: str) -> str:
    return sha256(credential.encode()).hexdigest()[:16]


class Learned:
    """Lessons with a time to live in seconds; forgotten all at once when there are absurdly many."""

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._lessons: Dict[Key, Tuple[float, Manner]] = {}

    def recall(self, about: Key) -> Manner:
        """The manner learned for this key, or the neutral one."""
        lesson = self._lessons.get(about)
        if lesson is None:
            return NEUTRAL
        until, manner = lesson
        if manner != NEUTRAL and until < monotonic():
            self._lessons.pop(about, None)
            return NEUTRAL
        return manner

    def told(self) -> List[Dict[str, Any]]:
        """What is known at present, for people; the credentials that count are left out."""
        now = monotonic()
        return [
            {"provider": about.provider, "model": about.model, **manner._asdict(), "seconds_left": round(until - now)}
            for about, (until, manner) in list(self._lessons.items())
            if until > now
        ]

    def remember(self, about: Key, manner: Manner) -> None:
        """Keep a lesson for the time to live."""
        if len(self._lessons) >= CAPACITY:
            self._lessons.clear()
        self._lessons[about] = (monotonic() + self._lifetime, manner)
