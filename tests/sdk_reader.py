"""The openai SDK as a reader: its own decoder and accumulator, on the bytes of one stream."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable

from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk


def sdk_read(wire: bytes, cut: int = 7) -> Dict[str, Any]:
    """What the SDK's stream helper ends with; the bytes are fed in pieces of ``cut``. Fails as the SDK fails."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    pieces = (wire[start : start + cut] for start in range(0, len(wire), cut))
    for data in sdk_data(pieces):
        said = json.loads(data)
        assert not said.get("error")
        state.handle_chunk(construct_type(type_=ChatCompletionChunk, value=said))  # type: ignore[arg-type]
    return state.current_completion_snapshot.to_dict()


def sdk_data(pieces: Iterable[bytes]) -> Iterable[str]:
    """The data of each event up to ``[DONE]``, which has to come."""
    for event in SSEDecoder().iter_bytes(iter(pieces)):
        if event.data.startswith("[DONE]"):
            return
        yield event.data
    raise AssertionError("the stream ended without [DONE]")
