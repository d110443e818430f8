"""Which family offers what besides answering: one line a family."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

from proxy.dialects import anthropic_services, dashscope_services, ollama_services, openai_services
from proxy.dialects.service import Desk, Offer, Service
from proxy.errors import Headers
from proxy.headers import first

DESKS: Dict[str, Desk] = {
    "openai": openai_services.DESK,
    "dashscope": dashscope_services.DESK,
    "ollama": ollama_services.DESK,
    "anthropic": anthropic_services.DESK,
}


# Who sends one of these reads another list of models than OpenAI's, though it asks for it in the same place.
FOREIGN_HEADERS = {"anthropic-version": "anthropic"}


class Wanted(NamedTuple):
    """A service that a client asks for, in its family's way; ``name`` is the one in the path.

    ``client``: the family whose failures the client understands, which its headers may show to be another. ``own``:
    the provider is of the client's kind, so that nothing has to be translated.
    """

    family: str
    service: Service
    name: str
    client: str
    own: bool = False


def wanted(method: str, path: str, headers: Headers) -> Optional[Wanted]:
    """The service that a request means, if any; a HEAD means what its GET does."""
    shown = next((family for header, family in FOREIGN_HEADERS.items() if first(headers, header)), None)
    for family, desk in DESKS.items():
        for service in desk.services:
            if service.method != ("GET" if method == "HEAD" else method):
                continue
            head, star, _ = service.path.partition("*")
            if path == service.path or (star and path.startswith(head) and path[len(head) :]):
                return Wanted(family, service, path[len(head) :] if star else "", shown or family)
    return None


def speaker(method: str, path: str, headers: Headers) -> Optional[str]:
    """The family whose words a client understands that asks for anything; None where nothing shows it."""
    found = wanted(method, path, headers)
    shown = (family for header, family in FOREIGN_HEADERS.items() if first(headers, header))
    return found.client if found is not None else next(shown, None)


def offer_of(family: str, service: Service) -> Optional[Offer]:
    """How that family's providers are asked for it; None if they are not."""
    return DESKS[family].offers.get(service.name)
