"""The blocks of a stream that is being told, and their frames: begin, pieces, end."""

from __future__ import annotations

from typing import Iterator, List, Mapping

from proxy.chat.events import ToolCall
from proxy.chat.slots import is_object
from proxy.dialects.anthropic_blocks import Ids, own_of, read_input, written_input
from proxy.dialects.anthropic_failures import write_frame
from proxy.dialects.anthropic_tables import CALL, UNSIGNED
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import write_json

EMPTY = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}


def write_delta(index: int, kind: str, key: str, text: str) -> bytes:
    """One piece of a block; built by hand, for there is one a token."""
    head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":'
    return head % (index, kind.encode(), key.encode()) + write_json(text) + b"}}\n\n"


def write_start(index: int, block: Wire) -> bytes:
    """The begin of a block."""
    return write_frame({"type": "content_block_start", "index": index, "content_block": block})


def write_stop(index: int) -> bytes:
    """The end of a block."""
    return write_frame({"type": "content_block_stop", "index": index})


class PlainBlock:
    """A block of ``text`` or ``thinking``; thinking that nobody signed gets our own mark, for clients want one."""

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.shown = True
        self.signature = UNSIGNED
        self._index = index

    def start(self) -> bytes:
        """Its first frame."""
        return write_start(self._index, {"type": self.kind, **EMPTY[self.kind]})

    def delta(self, text: str) -> bytes:
        """A piece of it."""
        return write_delta(self._index, f"{self.kind}_delta", self.kind, text)

    def stop(self) -> Iterator[bytes]:
        """Its last frames."""
        if self.kind == "thinking":
            yield write_delta(self._index, "signature_delta", "signature", self.signature)
        yield write_stop(self._index)


class CallBlock:
    """A ``tool_use`` block: it begins with its first argument, for until then a provider may add to its name.

    Arguments that are no JSON object cannot be told in pieces; they wait for the block's end.
    """

    def __init__(self, index: int, event: ToolCall, ids: Ids, names: Mapping[str, str]) -> None:
        self.slot = event.slot
        self.shown = False
        self._index = index
        self._ids = ids
        self._names = names
        self._kind = event.kind
        self._id, self._name = "", ""
        self._own: Wire = {}
        self._pieces: List[str] = []
        self._live = self._odd = False
        self.head(event)

    @property
    def whole(self) -> bool:
        """Whether the arguments are complete; asked often, so the last character answers first."""
        ends = bool(self._pieces) and self._pieces[-1].rstrip()[-1:] == "}"
        return ends and self._kind != "custom" and is_object(self._joined())

    def head(self, event: ToolCall) -> None:
        """What a head adds: an id, more of the name, further keys."""
        self._id, self._name = self._id or event.id, self._name + event.name
        self._own = {**self._own, **own_of(event.extra)}

    def add(self, text: str) -> Iterator[bytes]:
        """A piece of the arguments."""
        if text:
            self._pieces.append(text)
        if self._live:
            yield write_delta(self._index, "input_json_delta", "partial_json", text)
        elif self._name and self._kind != "custom" and self._begins_object():
            self._live = True
            yield self._start()
            yield write_delta(self._index, "input_json_delta", "partial_json", self._joined())

    def stop(self) -> Iterator[bytes]:
        """Its last frames; a call without arguments has an empty object."""
        if not self._live:
            told = self._joined()
            text = written_input({"input": told} if self._kind == "custom" else read_input(told))
            yield self._start()
            yield write_delta(self._index, "input_json_delta", "partial_json", text)
        yield write_stop(self._index)

    def _begins_object(self) -> bool:
        """Whether the arguments are an object, as far as they go; once they are something else they stay that."""
        self._odd = self._odd or self._joined().lstrip()[:1] not in ("", "{")
        return not self._odd and self._joined().lstrip()[:1] == "{"

    def _start(self) -> bytes:
        self.shown = True
        name = self._names.get(self._name, self._name) or "unknown"
        block = {"type": CALL, "id": self._ids.clean(self._id, self.slot), "name": name, "input": {}}
        return write_start(self._index, {**block, **self._own})

    def _joined(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""


def write_block(index: int, block: Wire) -> Iterator[bytes]:
    """A whole block as Anthropic streams it: what grows by deltas is told in one, anything else stands in the begin."""
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        cited = block.get("citations")
        yield write_start(index, {**block, "text": "", **({"citations": []} if cited else {})})
        for citation in cited or ():
            delta = {"type": "citations_delta", "citation": citation}
            yield write_frame({"type": "content_block_delta", "index": index, "delta": delta})
        if block["text"]:
            yield write_delta(index, "text_delta", "text", block["text"])
    elif kind == "thinking" and isinstance(block.get("thinking"), str):
        signature = block.get("signature")
        signed = {"signature": ""} if isinstance(signature, str) else {}
        yield write_start(index, {**block, "thinking": "", **signed})
        yield write_delta(index, "thinking_delta", "thinking", block["thinking"])
        if isinstance(signature, str):
            yield write_delta(index, "signature_delta", "signature", signature)
    elif isinstance(block.get("input"), dict):
        yield write_start(index, {**block, "input": {}})
        yield write_delta(index, "input_json_delta", "partial_json", written_input(block["input"]))
    else:
        yield write_start(index, block)
    yield write_stop(index)
