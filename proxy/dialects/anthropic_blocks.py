"""An answer's blocks: which of them the vocabulary can say, and what is kept of those that it cannot.

Thinking, then one text, then calls: that order says itself. Any other content (citations, tools that the provider ran,
thinking between texts) is kept as it came, beside the text, the reasoning and the calls that everybody understands.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Mapping, Set

from proxy.chat.reply import Call, Choice
from proxy.chat.slots import call_id, word
from proxy.dialects.anthropic_tables import CALL, OWN, THINKING, UNSIGNED
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import read_json, write_json

Blocks = List[Wire]

CALL_KEYS = frozenset(("type", "id", "name", "input"))
TEXT_KEYS = frozenset(("type", "text"))
ORDER = {"thinking": 0, "redacted_thinking": 0, "text": 1, CALL: 2}
SIGNED = "thinking_blocks"  # the name under which gateways show signed thinking to OpenAI's clients
DETAILS = "reasoning_details"
SPOILT = re.compile(r"[^A-Za-z0-9_-]")
RAW = "_raw_arguments"


def says_itself(content: Any) -> bool:
    """Whether the vocabulary alone can say this content, with the thinking blocks beside it."""
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return False
    ranks = [ORDER.get(word(block, "type"), -1) for block in content]
    if -1 in ranks or ranks != sorted(ranks) or ranks.count(1) > 1:
        return False
    ids = [block.get("id") for block in content if block.get("type") == CALL]
    return all(_is_plain(block) for block in content) and len(set(ids)) == len(ids)


def _is_plain(block: Mapping[str, Any]) -> bool:
    if block["type"] == "text":
        return block.keys() == TEXT_KEYS and isinstance(block["text"], str) and block["text"] != ""
    if block["type"] == CALL:
        words = (block.get("id"), block.get("name"))
        named = all(isinstance(word, str) and word for word in words)
        return isinstance(block.get("input"), dict) and named and not SPOILT.search(block["id"])
    return True


def kept(content: Any) -> Wire:
    """What must be kept of a content for its way back: its thinking with signatures, and all of it where it is odd."""
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    thinking = [block for block in blocks if word(block, "type") in THINKING]
    bag: Wire = {SIGNED: thinking} if thinking else {}
    # A block that is no object has no place in any message, and no writer could say it
    return bag if says_itself(content) else {**bag, OWN: {"content": blocks if isinstance(content, list) else content}}


def nothing_said(texts: bool, calls: bool) -> Wire:
    """OpenAI's ``content`` where no text came: null beside calls, else empty."""
    return {} if texts else {"content": None if calls else ""}


def write_content(choice: Choice, names: Mapping[str, str], ids: Ids) -> Blocks:
    """The blocks of an answer: as they came, if they came from this dialect; ``names`` restores shortened tools."""
    own = choice.blank.get(OWN)
    if isinstance(own, dict) and isinstance(own.get("content"), list):
        return list(own["content"])
    blocks = thinking_of(choice)
    text = "".join([said_text(choice), choice.refusal or "", _transcript(choice)])
    if text:
        blocks.append({"type": "text", "text": text})
    blocks += [write_call(call, ids, place, names) for place, call in enumerate(choice.calls)]
    return blocks


def thinking_of(choice: Choice) -> Blocks:
    """The thinking blocks: signed ones as they came, else the reasoning under the mark of what nobody signed."""
    told = signed_thinking(choice.blank.get(SIGNED) or choice.note.get(SIGNED))
    if told:
        return told
    texts = [*choice.reasoning.values(), _part_texts(choice.content, "thinking"), read_details(choice.note)]
    reasoning = next((text for text in texts if text), "")
    return [{"type": "thinking", "thinking": reasoning, "signature": UNSIGNED}] if reasoning else []


def read_details(note: Mapping[str, Any]) -> str:
    """Reasoning that a provider tells in ``reasoning_details`` alone."""
    told = note.get(DETAILS)
    details = [detail for detail in told if isinstance(detail, dict)] if isinstance(told, list) else []
    return "".join(word(detail, "text") or word(detail, "summary") for detail in details)


def signed_thinking(told: Any) -> Blocks:
    """The thinking blocks of a list that a reply or a client brings, without the numbers that streams give them."""
    blocks = [block for block in told if isinstance(block, dict)] if isinstance(told, list) else []
    return [
        {key: value for key, value in block.items() if key != "index"}
        for block in blocks
        if word(block, "type") in THINKING
    ]


def said_text(choice: Choice) -> str:
    """The visible text, whatever form the content has."""
    if choice.text is not None or choice.content is None:
        return choice.text or ""
    if isinstance(choice.content, list):
        return _part_texts(choice.content, "text")
    return write_json(choice.content).decode()


def _part_texts(content: Any, kind: str) -> str:
    """The texts of one kind among content parts; a thinking part has a list of parts of its own."""
    texts: List[str] = []
    for part in content if isinstance(content, list) else []:
        said = part.get(kind) if isinstance(part, dict) and part.get("type", kind) == kind else None
        texts.append(said if isinstance(said, str) else _part_texts(said, "text"))
    return "".join(texts)


def _transcript(choice: Choice) -> str:
    said = (choice.audio or {}).get("transcript")
    return said if isinstance(said, str) else ""


class Ids:
    """Ids of calls as Anthropic wants them: of few characters, and none twice in an answer."""

    def __init__(self, reply_id: str = "") -> None:
        self.reply_id = reply_id
        self._used: Set[str] = set()

    def clean(self, told: str, place: int = 0) -> str:
        """An id for the call that the provider calls ``told``; made from its place where it was not told at all."""
        base = SPOILT.sub("_", told) or "toolu_" + call_id(self.reply_id, 0, place)[5:]
        identity, times = base, 1
        while identity in self._used:
            times += 1
            identity = f"{base}_{times}"
        self._used.add(identity)
        return identity


def write_call(call: Call, ids: Ids, place: int, names: Mapping[str, str]) -> Wire:
    """One ``tool_use`` block."""
    block: Wire = {"type": CALL, "id": ids.clean(call.id, place), "name": names.get(call.name, call.name) or "unknown"}
    block["input"] = {"input": call.arguments} if call.kind == "custom" else read_input(call.arguments)
    return {**block, **own_of(call.extra)}


def read_head(block: Mapping[str, Any]) -> Wire:
    """What a ``tool_use`` block says besides a call's own fields."""
    others = {key: value for key, value in block.items() if key not in CALL_KEYS}
    return {OWN: others} if others else {}


def own_of(extra: Mapping[str, Any]) -> Wire:
    """What a bag of unknown keys holds for this dialect."""
    own = extra.get(OWN)
    return own if isinstance(own, dict) else {}


def read_input(arguments: str) -> Dict[str, Any]:
    """Argument text as the object that a block needs; what is no object is kept as text rather than refused."""
    if not arguments.strip():
        return {}
    try:
        value = read_json(arguments.encode("utf-8", "surrogatepass"))
    except ValueError:
        return {RAW: arguments}
    return value if isinstance(value, dict) else {RAW: arguments}


def written_input(value: Any) -> str:
    """A block's input as the argument text of a call."""
    return write_json({} if value is None else value).decode()


def citations_of(blocks: Iterable[Mapping[str, Any]]) -> Blocks:
    """Citations of the web as OpenAI's annotations, with their places in the joined text."""
    found: Blocks = []
    place = 0
    for block in blocks:
        text = block.get("text") if block.get("type") == "text" else None
        if not isinstance(text, str):
            continue
        cited = block.get("citations")
        for citation in cited if isinstance(cited, list) else []:
            if isinstance(citation, dict) and isinstance(citation.get("url"), str):
                about: Wire = {"start_index": place, "end_index": place + len(text), "url": citation["url"]}
                about["title"] = citation.get("title") or ""
                found.append({"type": "url_citation", "url_citation": about})
        place += len(text)
    return found
