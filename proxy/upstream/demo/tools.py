"""Which tools the demo provider calls, and with what arguments. It knows how they are offered, not how to call."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple

from msgspec import json

from proxy.upstream.demo.asked import Asked
from proxy.upstream.demo.samples import sample
from proxy.upstream.demo.words import last_question

# Words of a tool's name that say nothing about its subject.
COMMON_WORDS = {"get", "set", "list", "find", "fetch", "make", "create", "call", "current", "tool", "function"}
COMMON_WORDS |= {"the", "for", "and", "with", "from", "run", "use", "new", "all"}
WORD = re.compile(r"[a-z0-9]{3,}")


class Call(NamedTuple):
    """One tool call: ``kind`` is function, custom or function_call (the old single form)."""

    kind: str
    id: str
    name: str
    arguments: str


class Offer(NamedTuple):
    """A tool that the ask offers, whatever the form."""

    kind: str
    name: str
    schema: Any


def calls_for(asked: Asked, choice: int, eager: bool = False) -> tuple[list[Call], str]:
    """The calls that the ask wants, and the finish reason they end with; ``eager`` calls every tool on offer."""
    offers, force, reason = _wanted(asked)
    question = last_question(asked.body["messages"])
    if force == "none" or not offers or asked.body["messages"][-1]["role"] in ("tool", "function"):
        return [], "stop"
    chosen = [offer for offer in offers if eager or force == "named" or _is_meant(offer, question)]
    if not chosen and force == "required":
        chosen = offers
    one = asked.body.get("parallel_tool_calls") is False or offers[0].kind == "function_call"
    calls = [_call(offer, asked, choice, slot, question) for slot, offer in enumerate(chosen[:1] if one else chosen)]
    return calls, reason if calls else "stop"


def _wanted(asked: Asked) -> tuple[list[Offer], str, str]:
    """The tools that may be called, how strongly (none, auto, required, named), and the finish reason of a call."""
    body = asked.body
    if body.get("tools"):
        offers = [offer for tool in body["tools"] if isinstance(tool, dict) for offer in _offer_of(tool)]
        choice, reason = body.get("tool_choice"), "tool_calls"
    else:
        offers = [offer for function in body.get("functions") or () for offer in _offer("function_call", function)]
        choice, reason = body.get("function_call"), "function_call"
    allowed, force = _forced(offers, choice)
    # Where one function is named, the reason is stop although it is called (spec 1.3).
    return allowed, force, "stop" if force == "named" else reason


def _offer_of(tool: Mapping[str, Any]) -> list[Offer]:
    kind = "custom" if tool.get("type") == "custom" else "function"
    return _offer(kind, tool.get(kind))


def _offer(kind: str, said: Any) -> list[Offer]:
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        return []
    return [Offer(kind, said["name"], said.get("parameters"))]


def _forced(offers: list[Offer], choice: Any) -> tuple[list[Offer], str]:
    """Read ``tool_choice`` in all its forms."""
    if isinstance(choice, str):
        return offers, choice
    if not isinstance(choice, dict):
        return offers, "auto"
    if isinstance(choice.get("allowed_tools"), dict):
        allowed = choice["allowed_tools"]
        names = [_name(tool) for tool in allowed.get("tools") or () if isinstance(tool, dict)]
        return [offer for offer in offers if offer.name in names], str(allowed.get("mode", "auto"))
    return [offer for offer in offers if offer.name == _name(choice)], "named"


def _name(choice: Mapping[str, Any]) -> Any:
    """The name in a choice: beside its type, or one level down under it."""
    inner = choice.get(str(choice.get("type")))
    return inner.get("name") if isinstance(inner, dict) else choice.get("name")


def _is_meant(offer: Offer, question: str) -> bool:
    """The question mentions the tool, or what its name is about."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", offer.name)
    subject = {word.rstrip("s") for word in WORD.findall(spaced.lower()) if word not in COMMON_WORDS}
    said = {word.rstrip("s") for word in WORD.findall(question.lower())}
    return bool(subject & said) or offer.name.lower() in question.lower()


def _call(offer: Offer, asked: Asked, choice: int, slot: int, question: str) -> Call:
    call_id = f"call_{asked.seed[:20]}{choice:02d}{slot:02d}"
    if offer.kind == "custom":
        return Call("custom", call_id, offer.name, question)
    return Call(offer.kind, call_id, offer.name, json.encode(_arguments(offer, question)).decode())


def _arguments(offer: Offer, question: str) -> dict[str, Any]:
    value = sample(
        {"type": "object", **offer.schema} if isinstance(offer.schema, dict) else {"type": "object"}, question
    )
    return value if isinstance(value, dict) else {}
