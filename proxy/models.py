"""Model names: what a client calls a model, and what the provider does."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from msgspec.structs import replace

from config.kinds import MODES
from proxy.chat.ask import Ask
from proxy.patterns import fits


class Target(NamedTuple):
    """The provider's name of a model, and the mode it is asked in if that is said (None: as for any other)."""

    model: str
    mode: Optional[str] = None


class Models:
    """The map of ``--model_map``: exact names first, then patterns with ``*`` in the order they were given."""

    def __init__(self, entries: Sequence[str]) -> None:
        """``entries``: ``ALIAS=MODEL`` or ``ALIAS=MODEL;mode=stream``. Raises ValueError for anything else."""
        self._exact: Dict[str, Target] = {}
        self._patterns: List[Tuple[str, Target]] = []
        for entry in entries:
            alias, target = _entry(entry)
            if alias in self._exact or alias in dict(self._patterns):
                raise ValueError(f"model_map gives {alias!r} two meanings")
            if "*" in alias:
                self._patterns.append((alias, target))
            else:
                self._exact[alias] = target

    def __bool__(self) -> bool:
        return bool(self._exact or self._patterns)

    @property
    def aliases(self) -> List[str]:
        """The names that can be listed: those without ``*``."""
        return list(self._exact)

    def target(self, name: str) -> Target:
        """What a client's model name means; itself where nothing is said of it."""
        found = self._exact.get(name)
        if found is None:
            found = next((target for pattern, target in self._patterns if fits(pattern, name)), None)
        return found or Target(name)


def renamed(ask: Ask, model: str) -> Ask:
    """The ask with the provider's name of its model."""
    if model == ask.model:
        return ask
    return replace(ask, model=model, body={**ask.body, "model": model}, raw=b"")


def _entry(entry: str) -> Tuple[str, Target]:
    alias, equals, rest = entry.partition("=")
    model, _, option = rest.partition(";")
    mode = option.partition("=")[2].strip() if option.startswith("mode=") else None
    if not (alias.strip() and equals and model.strip()) or (option and mode not in MODES):
        raise ValueError(f"model_map {entry!r} is not ALIAS=MODEL (or ALIAS=MODEL;mode=stream)")
    return alias.strip(), Target(model.strip(), mode)
