"""What Anthropic offers besides answering: its models, and a count of tokens that we can only estimate."""

from __future__ import annotations

from typing import List, Optional
from urllib.parse import quote

from proxy.chat.ask import Ask
from proxy.dialects.anthropic_ask import read_count
from proxy.dialects.anthropic_tokens import write_count
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.openai_services import as_it_is, first
from proxy.dialects.service import Desk, Errand, Offer, Said, Service

PAGE = "/models?limit=1000"


def _counted(ask: Said, name: str) -> Wire:
    """The ask, if it is one. Raises ProxyError 400 for messages that are none."""
    return read_count(write_json(ask)).body


def _count(ask: Said) -> Wire:
    return dict(write_count(Ask(str(ask.get("model")), False, dict(ask))))


def _count_errand(ask: Said) -> List[Errand]:
    return [Errand("POST", "/messages/count_tokens", write_json(ask))]


def _models(ask: Said) -> List[Errand]:
    return [Errand("GET", PAGE)]


def _more_models(answer: Said) -> Optional[Errand]:
    """The next page, where there is one."""
    last = answer.get("last_id")
    if answer.get("has_more") is not True or not isinstance(last, str):
        return None
    return Errand("GET", f"{PAGE}&after_id={quote(last, safe='')}")


def _all_models(answers: List[Said], ask: Said) -> Wire:
    """The pages as one."""
    pages = [answer.get("data") for answer in answers]
    data = [model for page in pages if isinstance(page, list) for model in page]
    return {**answers[0], "data": data}


def _model(ask: Said) -> List[Errand]:
    return [Errand("GET", "/models/" + quote(str(ask["id"]), safe=":@%"))]


DESK = Desk(
    tuple(
        Service("count_tokens", "POST", base + "/v1/messages/count_tokens", _counted, as_it_is, _count, estimated=True)
        for base in ("", "/anthropic")
    ),
    {
        "models": Offer(_models, _all_models, _more_models),
        "model": Offer(_model, first),
        "count_tokens": Offer(_count_errand, first),
    },
)
