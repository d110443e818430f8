"""Pictures and sounds: Ollama has bare base64 in one list, OpenAI parts that say what they are (spec 5.8, 5.9)."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, List, Tuple

from proxy.dialects.dialect import Wire
from proxy.errors import failure

SHOWN = 200  # characters of a link in a message
Begin = Tuple[int, bytes, str]
# What the first bytes say: an offset, the bytes there, the type.
PICTURES: List[Begin] = [
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG", "image/png"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
]
SOUNDS: List[Begin] = [(8, b"WAVE", "wav"), (0, b"ID3", "mp3"), (0, b"\xff\xfb", "mp3")]


def read_picture(picture: Any, where: str) -> Wire:
    """One of Ollama's ``images`` as a content part; what nobody knows is taken for a JPEG. Raises ProxyError 400."""
    if not isinstance(picture, str):
        raise failure("invalid_type", f"Invalid type for '{where}': expected a base64 string.", where)
    if picture.startswith("data:"):
        return {"type": "image_url", "image_url": {"url": picture}}
    begin = _begin(picture)
    sound = _kind(begin, SOUNDS)
    if sound:
        return {"type": "input_audio", "input_audio": {"data": picture, "format": sound}}
    return {
        "type": "image_url",
        "image_url": {"url": f"data:{_kind(begin, PICTURES) or 'image/jpeg'};base64,{picture}"},
    }


def write_picture(part: Wire, where: str) -> str:
    """The base64 of an ``image_url`` or ``input_audio`` part. Raises ProxyError ``unsupported_value`` for a link."""
    if part.get("type") == "input_audio":
        sound = part.get("input_audio")
        data = sound.get("data") if isinstance(sound, dict) else None
        if isinstance(data, str) and data:
            return data
        raise failure("invalid_value", f"'{where}.input_audio.data' has to be base64.", where)
    url = part.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url
    head, comma, data = (url if isinstance(url, str) else "").partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        return data
    text = f"The image {_shown(url)} is a link, and this provider takes images as base64 only: send the image itself."
    raise failure("unsupported_value", text, where)


def _shown(url: Any) -> str:
    """A link without what may be secret in it."""
    place = (url if isinstance(url, str) else "").partition("?")[0].partition("#")[0]
    scheme, mark, rest = place.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"[:SHOWN] if mark else "given"


def _begin(picture: str) -> bytes:
    try:
        return b64decode(picture[:24])
    except ValueError:
        return b""


def _kind(begin: bytes, kinds: List[Begin]) -> str:
    return next((kind for place, mark, kind in kinds if begin[place : place + len(mark)] == mark), "")
