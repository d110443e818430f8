"""OpenAI's messages as Anthropic's, which follow rules that OpenAI's do not (reference 1.2, 1.13, golden V6).

Turns alternate and the user begins; the results of calls are the first thing in the turn after them, one for each call;
texts are never empty.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from proxy.chat.slots import text_of, word
from proxy.dialects.anthropic_blocks import SIGNED, Ids, own_of, read_input, signed_thinking
from proxy.dialects.anthropic_media import write_parts, write_texts
from proxy.dialects.anthropic_names import clean_name
from proxy.dialects.anthropic_tables import CALL, REMINDER, UNSIGNED
from proxy.dialects.dialect import Wire
from proxy.errors import failure

Blocks = List[Wire]

SYSTEM = ("system", "developer")
RESULTS = ("tool", "function")
NOTHING = "."  # what stands where Anthropic wants a text and there is none
NO_RESULT = "No result"


class Told(NamedTuple):
    """An ask's messages: what the system says first, the turns, and the names of the tools that were called."""

    system: Blocks
    turns: List[Wire]
    called: List[str]


def write_messages(messages: List[Any]) -> Told:
    """All messages of an ask. Raises ProxyError 400 for what has no place here."""
    spoken = [message for message in messages if isinstance(message, dict)]
    first = next((at for at, message in enumerate(spoken) if message.get("role") not in SYSTEM), len(spoken))
    system = [block for message in spoken[:first] for block in _marked(message, write_texts(message.get("content")))]
    writing = _Writing()
    for message in spoken[first:]:
        writing.add(message)
    return Told(system, writing.turns(), list(writing.called))


class _Writing:
    """The turns so far, and under which clean ids the last calls are known."""

    def __init__(self) -> None:
        self.called: Dict[str, None] = {}
        self._turns: List[Tuple[str, Blocks]] = []
        self._ids = Ids()
        self._known: Dict[str, str] = {}

    def add(self, message: Mapping[str, Any]) -> None:
        """The next message."""
        role = word(message, "role")
        if role == "assistant":
            self._put("assistant", _marked(message, self._assistant(message)))
        elif role in RESULTS:
            self._put("user", [self._result(message)])
        elif role in SYSTEM:
            # In place, never at the top: what came before must not change from turn to turn (prompt caches).
            text = "\n\n".join(word(block, "text") for block in write_texts(message.get("content")))
            self._put("user", [{"type": "text", "text": text.join(REMINDER)}] if text else [])
        elif role == "user":
            self._put("user", _marked(message, write_parts(message.get("content"))) or [_text(NOTHING)])
        else:
            raise failure("invalid_value", f"messages: {role!r} is no role that the provider knows.", "messages")

    def turns(self) -> List[Wire]:
        """The turns as Anthropic wants them."""
        turns = self._turns
        if not turns or turns[0][0] != "user":
            turns = [("user", [_text(NOTHING)]), *turns]
        if any(block.get("type") == CALL for block in turns[-1][1]):
            turns = [*turns, ("user", [])]
        settled: List[Wire] = []
        calls: List[str] = []
        for role, blocks in turns:
            said = _stripped(blocks) if role == "assistant" else _settled(blocks, calls)
            settled.append({"role": role, "content": said})
            calls = [block["id"] for block in blocks if block.get("type") == CALL]
        return settled

    def _put(self, role: str, blocks: Blocks) -> None:
        if blocks and self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(blocks)
        elif blocks:
            self._turns.append((role, list(blocks)))

    def _assistant(self, message: Mapping[str, Any]) -> Blocks:
        """Signed thinking first, then text, then calls; all as it once came, if the client kept that unchanged."""
        calls = message.get("tool_calls")
        items = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
        if isinstance(message.get("function_call"), dict):
            items.append({"id": "", "function": message["function_call"]})
        text = write_texts(message.get("content")) + write_texts(message.get("refusal"))
        kept = _kept(message, text, items)
        if kept:
            for block in kept:
                if block.get("type") == CALL:
                    self._ids.clean(block["id"])
                    self._known[block["id"]] = block["id"]
                    self.called[word(block, "name")] = None
            return kept
        return [*_signed(message.get(SIGNED)), *text, *map(self._call, items)]

    def _call(self, item: Mapping[str, Any]) -> Wire:
        custom = item.get("custom")
        told: Any = custom if isinstance(custom, dict) else item.get("function")
        inner: Wire = told if isinstance(told, dict) else {}
        name = clean_name(word(inner, "name"))
        self.called[name] = None
        identity = self._known[word(item, "id")] = self._ids.clean(word(item, "id"), len(self._known))
        value = {"input": word(inner, "input")} if inner is custom else read_input(text_of(inner.get("arguments")))
        return {"type": CALL, "id": identity, "name": name, "input": value, **own_of(item)}

    def _result(self, message: Mapping[str, Any]) -> Wire:
        identity = word(message, "tool_call_id")
        blocks = write_parts(message.get("content"))
        plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
        said: Wire = {"type": "tool_result", "tool_use_id": self._known.get(identity, "")}
        if blocks:
            said["content"] = blocks[0]["text"] if plain else blocks
        return {**said, "cache_control": message["cache_control"]} if message.get("cache_control") else said


def _text(text: str) -> Wire:
    return {"type": "text", "text": text}


def _marked(message: Mapping[str, Any], blocks: Blocks) -> Blocks:
    """A mark for the cache on the whole message is one on its last block."""
    mark = message.get("cache_control")
    return [*blocks[:-1], {**blocks[-1], "cache_control": mark}] if mark and blocks else blocks


def _signed(told: Any) -> Blocks:
    """Thinking that came from Anthropic: what nobody signed would be refused, and so is left out."""
    blocks = signed_thinking(told)
    return [
        block
        for block in blocks
        if (word(block, "data") if block["type"] != "thinking" else word(block, "signature") not in ("", UNSIGNED))
    ]


def _kept(message: Mapping[str, Any], text: Blocks, calls: Blocks) -> Blocks:
    """The content as this dialect showed it to the client, if text and calls are still the same."""
    told = own_of(message).get("content")
    blocks = [block for block in told if isinstance(block, dict)] if isinstance(told, list) else []
    same = "".join(word(block, "text") for block in blocks) == "".join(word(block, "text") for block in text)
    ids = [word(block, "id") for block in blocks if block.get("type") == CALL]
    return blocks if blocks and same and ids == [word(call, "id") for call in calls] else []


def _settled(blocks: Blocks, calls: List[str]) -> Blocks:
    """A user's turn after these calls: a result for each of them first, in their order; a stray one becomes text."""
    results: Dict[str, Wire] = {}
    others: Blocks = []
    for block in blocks:
        identity = block.get("tool_use_id")
        if identity in calls and identity not in results:
            results[identity] = block
        elif block.get("type") == "tool_result":
            content = block.get("content", "")
            others += content if isinstance(content, list) else [_text(content)] if content.strip() else []
        else:
            others.append(block)
    missing = {"type": "tool_result", "is_error": True, "content": NO_RESULT}
    told = [results.get(identity) or {**missing, "tool_use_id": identity} for identity in calls]
    return [*told, *others] or [_text(NOTHING)]


def _stripped(blocks: Blocks) -> Blocks:
    """The model's turn without blanks at its end, which Anthropic refuses in the last turn, and blank texts nowhere."""
    kept = [block for block in blocks if block.get("type") != "text" or word(block, "text").strip()]
    if kept and kept[-1].get("type") == "text":
        kept = [*kept[:-1], {**kept[-1], "text": kept[-1]["text"].rstrip()}]
    return kept or [_text(NOTHING)]
