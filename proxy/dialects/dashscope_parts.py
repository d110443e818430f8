"""Content made of parts: DashScope's have one key that is their kind, OpenAI's have a type (spec 4.3, 4.6, 4.11)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

Wire = Dict[str, Any]

SHOWN = {"image": "image_url", "video": "video_url"}  # a part that is told by its address


def is_plain(part: Any) -> bool:
    """Whether a DashScope part is text and nothing else."""
    return isinstance(part, dict) and part.keys() == {"text"} and isinstance(part["text"], str)


def read_answer(content: List[Any]) -> Tuple[Any, Optional[Wire]]:
    """The content of an answer in OpenAI's form (text, or a list of typed parts), and its speech."""
    audio: Wire = {}
    rest = []
    for part in content:
        said = part.get("audio") if isinstance(part, dict) else None
        if isinstance(said, dict):
            audio.update(said)
        else:
            rest.append(part)
    if all(map(is_plain, rest)):
        return "".join(part["text"] for part in rest), audio or None
    return [read_part(part) for part in rest], audio or None


def read_part(part: Any) -> Any:
    """A part as OpenAI types it; one of a kind that OpenAI does not know stays as it is."""
    if not isinstance(part, dict) or "type" in part:
        return part
    if isinstance(part.get("text"), str):
        return {"type": "text", **part}
    for kind, typed in SHOWN.items():
        if isinstance(part.get(kind), str):
            others = {key: value for key, value in part.items() if key != kind}
            return {"type": typed, typed: {"url": part[kind]}, **others}
    if isinstance(part.get("video"), list):
        return {"type": "video", **part}
    if isinstance(part.get("audio"), str):
        return _read_audio(part)
    return part


def write_part(part: Any) -> Any:
    """The same part without its type; what is no typed part stays as it is."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    others = {key: value for key, value in part.items() if key not in ("type", kind)}
    if kind in ("text", "refusal"):
        return {"text": part.get(kind), **others}
    for name, typed in SHOWN.items():
        if kind == typed:
            return {name: address(part.get(typed)), **others}
    if kind == "video":
        return {"video": part.get("video"), **others}
    if kind == "audio_url":
        return {"audio": address(part.get("audio_url")), **others}
    if kind == "input_audio":
        return {"audio": _spoken(part.get("input_audio")), **others}
    return part


def address(value: Any) -> Any:
    """The URL of a part, which some give bare."""
    return value.get("url") if isinstance(value, dict) else value


def _spoken(said: Any) -> Any:
    """A recording as a data URL; the data may be an address already."""
    sound = said if isinstance(said, Mapping) else {"data": said}
    data = sound.get("data")
    if not isinstance(data, str) or data.startswith(("data:", "http:", "https:", "oss:", "file:")):
        return data
    return f"data:audio/{sound.get('format') or 'wav'};base64,{data}"


def _read_audio(part: Wire) -> Wire:
    """A recording: a data URL becomes data and format, any other address stays one."""
    others = {key: value for key, value in part.items() if key != "audio"}
    head, comma, data = part["audio"].partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        name = head[len("data:") : -len(";base64")].partition("/")[2].partition(";")[0]
        return {"type": "input_audio", "input_audio": {"data": data, "format": FORMATS.get(name, name)}, **others}
    return {"type": "audio_url", "audio_url": {"url": part["audio"]}, **others}


FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "": "wav"}
