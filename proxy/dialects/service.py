"""What providers offer besides answering: embeddings, lists of models, counts of tokens. The shape, not the vendors.

OpenAI's shape is the common one here: a client's ask is read into it, a provider's answer too.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Tuple

from proxy.dialects.dialect import Stamp, Wire

Said = Mapping[str, Any]


class Errand(NamedTuple):
    """One request to the provider: its ``path`` below the base, and the names of what had no twin there."""

    method: str
    path: str
    body: bytes = b""
    dropped: Tuple[str, ...] = ()


class Offer(NamedTuple):
    """How a family of providers is asked for it: by one errand or several, whose answers make OpenAI's one."""

    errands: Callable[[Said], List[Errand]]
    read: Callable[[List[Said], Said], Wire]


class Service(NamedTuple):
    """How clients of one family ask for it: where, and how they are answered.

    ``path`` may end in ``/*`` for a name. ``read_ask`` takes the JSON and that name, ``write`` OpenAI's answer and
    the client's own ask. A service with ``local`` needs no provider where the client's family is not the provider's.
    """

    name: str
    method: str
    path: str
    read_ask: Callable[[Said, str], Wire]
    write: Callable[[Said, Said, Stamp], Wire]
    local: Optional[Callable[[Said], Wire]] = None


class Desk(NamedTuple):
    """All that one family has: what its clients ask for, and what its providers offer, by name."""

    services: Tuple[Service, ...]
    offers: Mapping[str, Offer]


def same(ask: Said, name: str) -> Wire:
    """An ask that is OpenAI's already."""
    return dict(ask)


def name_only(ask: Said, name: str) -> Wire:
    """An ask that is nothing but a name."""
    return {"id": name}
