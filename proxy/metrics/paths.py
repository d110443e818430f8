"""A path's label: one of a table, so that no client can make up new ones."""

from __future__ import annotations

from typing import Dict, Iterable

from proxy.dialects.desks import DESKS
from proxy.metrics.values import OTHER
from proxy.upstream.address import segment_of

REMEMBERED = 1000


class Paths:
    """``spoken`` are the paths of asks; besides there are the services of each family, and OpenAI's first words."""

    def __init__(self, spoken: Iterable[str]) -> None:
        self._known = {path: path for path in spoken}
        for desk in DESKS.values():
            whole = (service.path for service in desk.services if "*" not in service.path)
            self._known.update((path, path) for path in map(_versioned, whole))
        self._seen: Dict[str, str] = {}

    def label(self, target: str) -> str:
        """The label for a request's target."""
        path = target.partition("?")[0]
        label = self._seen.get(path)
        if label is None:
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            label = self._seen[path] = self._found(path)
        return label

    def _found(self, path: str) -> str:
        path = path.rstrip("/")
        while path.startswith("/v1/v1/"):
            path = path[3:]
        path = self._known.get("/v1" + path, path)
        word = segment_of(path)
        return self._known.get(path) or (f"/v1/{word}" if word else OTHER)


def _versioned(path: str) -> str:
    return "/v1" + path if segment_of(path) and not path.startswith("/v1/") else path
