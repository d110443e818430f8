"""Embeddings and moderations of the demo provider: numbers that follow from the words of a text."""

from __future__ import annotations

import math
import re
import struct
from base64 import b64encode
from hashlib import shake_256
from typing import Any

from proxy.upstream.demo import models
from proxy.upstream.demo.asked import EMBEDDINGS, MODERATIONS, read_asked
from proxy.upstream.demo.completions import prompts_of
from proxy.upstream.demo.said import Answered, Refused, answered_json, refusal
from proxy.upstream.demo.words import identity, text_of

DIMENSIONS = 1536
MARKS = 16  # how many places of a vector one word marks
TEXT = re.compile(r"\w+")
FLAGGED = {
    "harassment": ("idiot", "stupid"),
    "harassment/threatening": (),
    "hate": ("hate",),
    "hate/threatening": (),
    "illicit": ("drugs", "smuggle"),
    "illicit/violent": ("bomb",),
    "self-harm": ("suicide",),
    "self-harm/instructions": (),
    "self-harm/intent": (),
    "sexual": ("porn",),
    "sexual/minors": (),
    "violence": ("kill", "murder"),
    "violence/graphic": ("gore",),
}


def embeddings(_: str, body: bytes) -> Answered:
    """One unit vector for each text; raises Refused."""
    asked = read_asked(body, EMBEDDINGS, "input")
    models.check(models.find(asked.model))
    form, size = asked.body.get("encoding_format") or "float", asked.number("dimensions", DIMENSIONS)
    if form not in ("float", "base64"):
        message = f"Invalid value: '{form}'. Supported values are: 'float' and 'base64'."
        raise Refused(refusal(400, message, "encoding_format", "invalid_value"))
    given = asked.body["input"]
    texts = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    vectors = [vector(str(text), size) for text in texts]
    spelled = [packed(one) if form == "base64" else one for one in vectors]
    count = sum(prompt.size for prompt in prompts_of(given))
    data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(spelled)]
    cost = {"prompt_tokens": count, "total_tokens": count}
    return answered_json(200, {"object": "list", "data": data, "model": asked.model, "usage": cost})


def vector(text: str, size: int) -> list[float]:
    """A unit vector of ``size``: every word marks the same few places wherever it occurs."""
    marks = [0.0] * size
    for word in TEXT.findall(text.lower()) or [text]:
        digest = shake_256(word.encode("utf-8", "replace")).digest(3 * MARKS)
        for place in range(0, len(digest), 3):
            marks[int.from_bytes(digest[place : place + 2], "big") % size] += 1.0 if digest[place + 2] & 1 else -1.0
    length = math.sqrt(sum(mark * mark for mark in marks))
    if not length:
        marks[0] = length = 1.0
    return [mark / length for mark in marks]


def packed(numbers: list[float]) -> str:
    """The numbers as OpenAI packs them: little-endian float32, in base64."""
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def moderations(_: str, body: bytes) -> Answered:
    """One verdict for each text, from single words; raises Refused."""
    asked = read_asked(body, MODERATIONS, "input")
    models.check(models.find(asked.model))
    given = asked.body["input"]
    texts = (
        [given] if isinstance(given, str) else [item if isinstance(item, str) else text_of([item]) for item in given]
    )
    name, _created = identity(asked, "modr")
    return answered_json(200, {"id": name, "model": asked.model, "results": [_verdict(text) for text in texts]})


def _verdict(text: str) -> dict[str, Any]:
    words = set(TEXT.findall(text.lower()))
    found = {name: bool(words.intersection(marked)) for name, marked in FLAGGED.items()}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {name: 0.98 if flagged else 0.0001 for name, flagged in found.items()},
        "category_applied_input_types": {name: ["text"] for name in found},
    }
