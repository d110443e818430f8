"""What providers offer besides answering: embeddings, lists of models, counts of tokens. The shape, not the vendors.

OpenAI's shape is the common one here: a client's ask is read into it, a provider's answer too.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from proxy.chat.slots import word
from proxy.dialects.dialect import Stamp, Wire
from proxy.errors import failure

Said = Mapping[str, Any]


class Errand(NamedTuple):
    """One request to the provider: its ``path`` below the base, and the names of what had no twin there."""

    method: str
    path: str
    body: bytes = b""
    dropped: Tuple[str, ...] = ()


def _complete(answer: Said) -> Optional[Errand]:
    return None


class Offer(NamedTuple):
    """How a family of providers is asked for it: by one errand or several, whose answers make OpenAI's one.

    ``more``: what to ask for after an answer that is not all.
    """

    errands: Callable[[Said], List[Errand]]
    read: Callable[[List[Said], Said], Wire]
    more: Callable[[Said], Optional[Errand]] = _complete


def _as_it_is(answer: Said, aliases: Sequence[str]) -> Wire:
    return dict(answer)


def _nothing(ask: Said) -> Tuple[str, ...]:
    return ()


class Service(NamedTuple):
    """How clients of one family ask for it: where, and how they are answered.

    ``path`` may end in ``/*`` for a name. ``read_ask`` takes the JSON and that name, ``write`` OpenAI's answer and
    the client's own ask; ``unread`` names what ``read_ask`` leaves out. A service with ``local`` needs no provider
    where the provider's family offers none of it; ``estimated``: what it says then is a guess. ``add`` puts the
    operator's names for models into a list as the family has it.
    """

    name: str
    method: str
    path: str
    read_ask: Callable[[Said, str], Wire]
    write: Callable[[Said, Said, Stamp], Wire]
    local: Optional[Callable[[Said], Wire]] = None
    estimated: bool = False
    unread: Callable[[Said], Tuple[str, ...]] = _nothing
    add: Callable[[Said, Sequence[str]], Wire] = _as_it_is


class Desk(NamedTuple):
    """All that one family has: what its clients ask for, and what its providers offer, by name."""

    services: Tuple[Service, ...]
    offers: Mapping[str, Offer]


def same(ask: Said, name: str) -> Wire:
    """An ask that is OpenAI's already. Raises ProxyError 400 where it names no model."""
    return {**ask, "model": model_of(ask)}


def model_of(ask: Said) -> str:
    """The model that an ask is for. Raises ProxyError 400 without one."""
    if not word(ask, "model"):
        raise failure("missing_required_parameter", "Missing required parameter: 'model'.", "model")
    return word(ask, "model")


def texts_of(ask: Said, name: str) -> Any:
    """The text or texts of an ask for embeddings. Raises ProxyError 400 for what is none."""
    texts = ask.get(name)
    listed = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    if not (isinstance(texts, str) or listed):
        raise failure("invalid_type", f"Invalid type for '{name}': expected a string or an array of strings.", name)
    return texts


def name_only(ask: Said, name: str) -> Wire:
    """An ask that is nothing but a name."""
    return {"id": name}
