"""What DashScope's own protocol offers besides answering: embeddings."""

from __future__ import annotations

from typing import List

from proxy.dialects.dashscope_embeddings import PATH, read_answers, read_native, write_asks, write_native
from proxy.dialects.dialect import Stamp, Wire
from proxy.dialects.service import Desk, Errand, Offer, Said, Service


def _read(ask: Said, name: str) -> Wire:
    return read_native(ask).body


def _write(answer: Said, ask: Said, stamp: Stamp) -> Wire:
    return write_native(answer, stamp.id)


def _errands(ask: Said) -> List[Errand]:
    return [Errand("POST", asked.path, asked.body, asked.dropped) for asked in write_asks(ask)]


DESK = Desk(
    (Service("embeddings", "POST", "/api/v1" + PATH, _read, _write, unread=lambda ask: read_native(ask).dropped),),
    {"embeddings": Offer(_errands, lambda answers, ask: read_answers(answers, ask))},
)
