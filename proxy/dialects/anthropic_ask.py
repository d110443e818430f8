"""An ask in Anthropic's protocol: what must be there, how it is told again, and the key that goes with it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from msgspec.structs import replace

from proxy.chat.ask import Ask
from proxy.chat.slots import word
from proxy.dialects import openai_ask
from proxy.dialects.anthropic_tables import UNSIGNED
from proxy.dialects.dialect import Asked, Wire
from proxy.dialects.json_text import write_json
from proxy.errors import Headers, failure

NEEDED: Dict[str, Tuple[type, ...]] = {"model": (str,), "max_tokens": (int,), "messages": (list,)}
COUNTED: Dict[str, Tuple[type, ...]] = {"model": (str,), "messages": (list,)}
VERSION = ("anthropic-version", "2023-06-01")  # this one still takes temperature and the like (reference 0.1)
BEARER = "bearer "
SIGNED_IN = "sk-ant-oat"  # a token of somebody who signed in; it goes nowhere but into Authorization


def read_ask(body: bytes, headers: Sequence[Tuple[str, str]] = ()) -> Ask:
    """Read an ask for a message; raises ProxyError 400 that names the field. The API's version changes nothing here.

    What a version forbids its provider refuses; to providers of other protocols it is as good as any (golden V12).
    """
    return _read(body, NEEDED)


def read_count(body: bytes, headers: Sequence[Tuple[str, str]] = ()) -> Ask:
    """Read an ask that wants its tokens counted: the same without ``max_tokens``."""
    return _read(body, COUNTED)


def _read(body: bytes, fields: Mapping[str, Tuple[type, ...]]) -> Ask:
    ask = openai_ask.read_ask(body, fields)
    if isinstance(ask.body.get("max_tokens", 0), bool) or ask.body.get("max_tokens", 0) < 0:
        raise failure("invalid_value", "max_tokens: expected a number that is not negative.", "max_tokens")
    for place, message in enumerate(ask.body["messages"]):
        _check(f"messages.{place}", message)
    if not ask.body["messages"]:
        raise failure("invalid_value", "messages: at least one message is required.", "messages")
    choice = ask.body.get("tool_choice")
    named = word(choice, "name") if isinstance(choice, dict) and choice.get("type") == "tool" else ""
    return replace(ask, show_usage=True, named_tool=named or None)


def _check(where: str, message: Any) -> None:
    """A message has a role, and a text or blocks."""
    if not isinstance(message, dict):
        raise failure("invalid_type", f"{where}: expected an object.", where)
    if message.get("role") not in ("user", "assistant", "system"):
        raise failure("invalid_value", f"{where}.role: expected user, assistant or system.", f"{where}.role")
    content = message.get("content")
    blocks = isinstance(content, list) and all(isinstance(block, dict) and "type" in block for block in content)
    if not (blocks or isinstance(content, str)):
        raise failure("invalid_type", f"{where}.content: expected a string or content blocks.", f"{where}.content")


def write_ask(ask: Ask, *, stream: bool, ask_usage: bool, options: bool = True) -> Asked:
    """The provider's body in that mode: the client's own bytes if nothing changes.

    Thinking that we marked as unsigned, in an answer of another provider's, is left out: it would be refused.
    """
    body = dict(ask.body)
    if stream != ask.stream:
        body["stream"] = stream
    if not ask.raw or UNSIGNED.encode() in ask.raw:
        body["messages"] = [said for message in body["messages"] for said in _signed(message)]
    return Asked(ask.raw if ask.raw and body == ask.body else write_json(body))


def _signed(message: Wire) -> List[Wire]:
    """The message, or none of it where nothing else was said in it."""
    content = message.get("content")
    if not isinstance(content, list):
        return [message]
    kept = [block for block in content if block.get("signature") != UNSIGNED]
    if len(kept) == len(content):
        return [message]
    return [{**message, "content": kept}] if kept else []


def carry(headers: Headers, *, stored: bool = False) -> Headers:
    """The client's key as Anthropic takes it, and the version of the API where the client names none.

    A client of Anthropic's own speaks for itself. Of another's the bearer token becomes ``x-api-key``, but for a
    token of somebody who signed in, and so does ``api-key``; a ``stored`` one does whoever asks.
    """
    known = {name.lower() for name, _ in headers}
    native = VERSION[0] in known
    carried = headers if "x-api-key" in known or (native and not stored) else _keyed(headers)
    return list(carried) if native else [*carried, VERSION]


def _keyed(headers: Headers) -> Headers:
    key = _key(headers)
    if key is None:
        return headers
    return [*(pair for pair in headers if pair[0].lower() not in ("authorization", "api-key")), ("x-api-key", key)]


def _key(headers: Headers) -> Optional[str]:
    found: List[str] = []
    for name, value in headers:
        bearer = name.lower() == "authorization" and value[: len(BEARER)].lower() == BEARER
        if bearer or name.lower() == "api-key":
            found.append(value[len(BEARER) :].strip() if bearer else value)
    return found[0] if found and not found[0].startswith(SIGNED_IN) else None
