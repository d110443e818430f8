"""An Ollama client's question: its own JSON, streamed unless it says otherwise (spec 5.2, 5.3, C08)."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from msgspec.structs import replace

from proxy.chat.ask import Ask
from proxy.chat.reply import Choice, Reply
from proxy.dialects import openai_ask
from proxy.dialects.dialect import Asked, Wire
from proxy.dialects.json_text import write_json
from proxy.dialects.ollama_forms import CHAT, Form
from proxy.errors import failure

Kinds = Tuple[type, ...]
NOTHING = type(None)
FIELDS = {
    True: {"messages": (list, NOTHING), "tools": (list, NOTHING), "options": (dict, NOTHING)},
    False: {"prompt": (str, NOTHING), "system": (str, NOTHING), "images": (list, NOTHING), "options": (dict, NOTHING)},
}


def read_ask(body: bytes, headers: Sequence[Tuple[str, str]] = (), form: Form = CHAT) -> Ask:
    """Read an ask of either form; raises ProxyError 400 that names the field.

    Messages or a prompt may be missing: then the model is to be loaded, or unloaded.
    """
    ask = openai_ask.read_ask(body, {"model": (str,)})
    for name, kinds in FIELDS[form.nested].items():
        value = ask.body.get(name)
        if not isinstance(value, kinds):
            wanted, found = openai_ask.NAMES[kinds[0]], openai_ask.NAMES[type(value)]
            raise failure("invalid_type", f"Invalid type for '{name}': expected {wanted}, found {found}.", name)
    return replace(ask, stream=ask.body.get("stream") is not False, show_usage=True, named_tool=None)


def write_ask(ask: Ask, *, stream: bool, ask_usage: bool, options: bool = True) -> Asked:
    """The ask in that mode: the client's own bytes if nothing changes."""
    if stream == ask.stream:
        return Asked(ask.raw or write_json(ask.body))
    return Asked(write_json({**ask.body, "stream": stream}))


def loading(ask: Ask) -> Optional[str]:
    """The ``done_reason`` of an ask that says nothing but that a model shall be there (``load``) or not (``unload``).

    Such an ask is for a provider of this kind; for any other the answer is ``loaded`` (spec 5.9).
    """
    if ask.body.get("messages") or ask.body.get("prompt") or ask.body.get("images"):
        return None
    return "unload" if _is_zero(ask.body.get("keep_alive")) else "load"


def loaded(ask: Ask, form: Form = CHAT) -> Reply:
    """The answer to an ask that loads or unloads a model: nothing is said, and the reason tells which it was."""
    mark: Wire = {"set": {"done_reason": loading(ask) or "load"}}
    choice = Choice(reason="stop", blank={"content": ""})
    return Reply(model=ask.model, choices=[choice], extra={form.name: mark})


def _is_zero(keep_alive: object) -> bool:
    """Seconds, or a duration such as ``0s``."""
    if isinstance(keep_alive, str):
        return keep_alive.strip("+-hmsnuµ. ") != "" and not keep_alive.strip("+-0hmsnuµ. ")
    return isinstance(keep_alive, (int, float)) and not isinstance(keep_alive, bool) and keep_alive == 0
