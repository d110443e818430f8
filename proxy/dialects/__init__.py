"""How each vendor spells a conversation: one file a dialect, one table. No I/O, no clock, no randomness."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Tuple

from proxy.chat.ask import Ask
from proxy.dialects.anthropic import ANTHROPIC
from proxy.dialects.completions import COMPLETIONS
from proxy.dialects.dashscope import DASHSCOPE
from proxy.dialects.dialect import Asked, Dialect, Mender, ReadFrames, Stamp
from proxy.dialects.ollama import OLLAMA, OLLAMA_GENERATE
from proxy.dialects.openai import OPENAI

__all__ = [
    "DEFAULT",
    "DIALECTS",
    "FAMILIES",
    "Asked",
    "Dialect",
    "Family",
    "Mender",
    "ReadFrames",
    "Stamp",
    "family_of",
]

_SPOKEN = (OPENAI, COMPLETIONS, DASHSCOPE, OLLAMA, OLLAMA_GENERATE, ANTHROPIC)
DIALECTS: Dict[str, Dialect] = {dialect.name: dialect for dialect in _SPOKEN}


class Family(NamedTuple):
    """What one kind of provider speaks: ``main`` is what clients of other kinds are translated to, ``prompted`` where a
    bare prompt goes, if there is such a place.

    ``base`` precedes its endpoints where ``--url`` is a bare host. ``foreign`` headers and ``foreign_query`` parameters
    mean something to others only: what a client of another kind says in them stays behind.
    """

    name: str
    main: Dialect
    prompted: Optional[Dialect]
    base: str
    endpoints: Tuple[str, ...]
    foreign: Tuple[str, ...]
    foreign_query: Tuple[str, ...]

    def partner(self, client: Dialect, ask: Ask) -> Dialect:
        """The dialect in which a client's ask goes to a provider of this family."""
        if client.family == self.name:
            return client
        prompts = client.read_prompt if self.prompted is not None else None
        return self.prompted if self.prompted and prompts and prompts(ask) is not None else self.main


def _family(name: str) -> Family:
    dialects = [dialect for dialect in DIALECTS.values() if dialect.family == name]
    main = dialects[0]
    base = main.served[0][: -len(main.path)]
    paths = [path[len(base) :] for dialect in dialects for path in dialect.served if path.startswith(base + "/")]
    others = [dialect for dialect in DIALECTS.values() if dialect.family != name]
    headers = ["accept", *(header for dialect in others for header in dialect.headers)]  # each writer says its own
    query = [parameter for dialect in others for parameter in dialect.query]
    prompted = next((dialect for dialect in dialects if dialect.read_prompt is not None), None)
    return Family(name, main, prompted, base, *(tuple(dict.fromkeys(names)) for names in (paths, headers, query)))


DEFAULT = OPENAI.family
FAMILIES: Dict[str, Family] = {dialect.family: _family(dialect.family) for dialect in DIALECTS.values()}


def family_of(url: str, chosen: Optional[str] = None) -> Family:
    """The family that was ``chosen``, or the one whose endpoint the URL's path ends with, else OpenAI's.

    Raises ValueError for a choice that does not exist.
    """
    path = url.partition("?")[0].rstrip("/")
    if chosen:
        if chosen not in FAMILIES:
            raise ValueError(f"dialect {chosen!r} is not one of {', '.join(FAMILIES)}")
        return _asked_at(FAMILIES[chosen], path)
    for family in FAMILIES.values():
        if family.name != DEFAULT and path.endswith(tuple(family.base + endpoint for endpoint in family.endpoints)):
            return _asked_at(family, path)
    return FAMILIES[DEFAULT]


def _asked_at(family: Family, path: str) -> Family:
    """The family, with asks spelled for the endpoint that the operator named."""
    spelled = next((write for ending, write in family.main.variants if path.endswith(ending)), family.main.write_chat)
    return family._replace(main=family.main._replace(write_chat=spelled))
