"""What Anthropic offers besides answering: its models, and a count of tokens that we can only estimate."""

from __future__ import annotations

from typing import List
from urllib.parse import quote

from proxy.chat.ask import Ask
from proxy.dialects.anthropic_tokens import write_count
from proxy.dialects.dialect import Wire
from proxy.dialects.openai_services import as_it_is, first
from proxy.dialects.service import Desk, Errand, Offer, Said, Service, same


def _count(ask: Said) -> Wire:
    return dict(write_count(Ask(str(ask.get("model")), False, dict(ask))))


def _models(ask: Said) -> List[Errand]:
    return [Errand("GET", "/models?limit=1000")]


def _model(ask: Said) -> List[Errand]:
    return [Errand("GET", "/models/" + quote(str(ask["id"]), safe=":@%"))]


DESK = Desk(
    (Service("count_tokens", "POST", "/v1/messages/count_tokens", same, as_it_is, local=_count),),
    {"models": Offer(_models, first), "model": Offer(_model, first)},
)
