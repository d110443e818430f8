"""How the provider is asked: what was planned, and what its refusals change of that."""

from __future__ import annotations

from typing import NamedTuple, Tuple

from proxy.dialects.mode_refusals import Change
from proxy.upstream.learned import Manner


class Plan(NamedTuple):
    """How the provider is asked this time; ``options`` False leaves ``stream_options`` out (C11).

    ``amended``: kinds of refusals after which its dialect has words of its own to change.
    """

    stream: bool
    options: bool = True
    amended: Tuple[str, ...] = ()


STREAM_AFTER = {"stream": True, "whole": False}


def learnt(lesson: Manner, kind: str, plan: Plan) -> Manner:
    """What is known of a provider's manner, and what its refusal adds to that."""
    if kind in STREAM_AFTER:
        return lesson._replace(stream=plan.stream)
    return lesson._replace(options=plan.options, amended=plan.amended)


def changed(plan: Plan, change: Change) -> Plan:
    """The plan after a refusal."""
    if change.kind in STREAM_AFTER:
        return plan._replace(stream=STREAM_AFTER[change.kind])
    if change.kind == "drop_stream_options":
        return plan._replace(options=False)
    return plan._replace(amended=(*plan.amended, change.kind))
