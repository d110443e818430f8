"""The blocks of a stream under way: what each event adds to them, and which of it everybody understands."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping

from msgspec import Struct, field

from proxy.chat.events import Blank, Event, Reasoning, Text, ToolArguments, ToolCall
from proxy.chat.slots import word
from proxy.dialects.anthropic_blocks import read_head, read_input, written_input
from proxy.dialects.anthropic_tables import CALL
from proxy.dialects.dialect import Wire

# By kind of delta: the kind of block that it belongs to, for one whose beginning never came.
BLOCKS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking", "citations_delta": "text"}
REPLACED = frozenset(("signature",))


class _Open(Struct):
    """One block under way: its texts are lists of pieces until it ends; ``slot`` numbers the calls of the client."""

    block: Wire
    slot: int = -1
    json: List[str] = field(default_factory=list)
    texts: Dict[str, List[str]] = field(default_factory=dict)

    def grow(self, delta: Mapping[str, Any]) -> None:
        """Add a delta: texts append, a citation joins the others, a signature replaces what was there."""
        for key, value in delta.items():
            if key == "citation":
                cited = self.block.get("citations")
                self.block["citations"] = [*cited, value] if isinstance(cited, list) else [value]
            elif isinstance(value, str) and key not in REPLACED:
                self.texts.setdefault(key, [word(self.block, key)]).append(value)
            else:
                self.block[key] = value

    def end(self) -> None:
        """Join what came in pieces; pieces of JSON become the block's input."""
        self.block.update((key, "".join(pieces)) for key, pieces in self.texts.items())
        text = "".join(self.json)
        if text:
            self.block["input"] = read_input(text)


class Growing:
    """The blocks so far, in the order of their beginnings; ``names`` restores what tools were called by the client."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.blocks: List[Wire] = []
        self.calls = 0
        self.texts = False
        self._names = names
        self._open: Dict[Any, _Open] = {}

    def read(self, kind: str, said: Mapping[str, Any]) -> Iterator[Event]:
        """What ``start``, ``delta`` or ``stop`` of a block says."""
        index = said.get("index")
        index = index if isinstance(index, (int, str)) else None  # whatever else came is no name of anything
        if kind == "start" and isinstance(said.get("content_block"), dict):
            yield from self._close(index)
            yield from self._start(index, dict(said["content_block"]))
        elif kind == "delta" and isinstance(said.get("delta"), dict):
            yield from self._add(index, said["delta"])
        elif kind == "stop":
            yield from self._close(index)

    def end(self) -> Iterator[Event]:
        """Whatever was not ended ends now."""
        for index in list(self._open):
            yield from self._close(index)

    def _start(self, index: Any, block: Wire) -> Iterator[Event]:
        opened = self._open[index] = _Open(block)
        self.blocks.append(block)
        kind = word(block, "type")
        if kind == CALL:
            opened.slot = self.calls
            self.calls += 1
            if not self.texts and opened.slot == 0:
                yield Blank("content", None)  # OpenAI's way to say that there is no text; a later text replaces it
            name = word(block, "name")
            head = read_head(block)
            yield ToolCall(opened.slot, word(block, "id"), self._names.get(name, name), "function", 0, head)
        else:
            yield from self._tell(f"{kind}_delta", word(block, kind))

    def _add(self, index: Any, delta: Mapping[str, Any]) -> Iterator[Event]:
        kind = word(delta, "type")
        opened = self._open.get(index)
        if opened is None:
            if kind not in BLOCKS:
                return
            yield from self._start(index, {"type": BLOCKS[kind]})
            opened = self._open[index]
        if kind == "input_json_delta":
            piece = word(delta, "partial_json")
            opened.json.append(piece)
            if opened.slot >= 0 and piece:
                yield ToolArguments(opened.slot, piece)
            return
        opened.grow({key: value for key, value in delta.items() if key != "type"})
        yield from self._tell(kind, word(delta, kind[: -len("_delta")]))

    def _tell(self, kind: str, text: str) -> Iterator[Event]:
        """A piece of what everybody understands."""
        if text and kind == "text_delta":
            self.texts = True
            yield Text(text)
        elif text and kind == "thinking_delta":
            yield Reasoning(text)

    def _close(self, index: Any) -> Iterator[Event]:
        """The end of a block; a call that got no arguments has those it began with."""
        opened = self._open.pop(index, None)
        if opened is None:
            return
        opened.end()
        if opened.slot >= 0 and not any(opened.json):
            yield ToolArguments(opened.slot, written_input(opened.block.get("input")))
