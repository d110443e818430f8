"""The messages of an OpenAI ask as DashScope has them: plain strings, or lists of one-key parts (spec 4.3, 4.6)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from proxy.chat.slots import inner_of, kind_of, text_of, word
from proxy.dialects.dashscope_forms import MULTIMODAL_MODEL
from proxy.dialects.dashscope_parts import write_part
from proxy.dialects.json_text import write_json
from proxy.errors import ProxyError, failure

Wire = Dict[str, Any]

ROLES = {"developer": "system", "function": "tool"}
MEDIA = frozenset(("image_url", "input_audio", "audio_url", "video_url", "video", "image", "audio"))
TEXTS = {"text": "text", "refusal": "refusal"}
SPOKEN_FOR = frozenset(("role", "content", "tool_calls", "function_call", "refusal", "reasoning"))
FILES_MODEL = "qwen-long"


class Written(NamedTuple):
    """Messages in DashScope's form; ``fine``: one asks that its images be looked at in high resolution."""

    messages: List[Wire]
    fine: bool


def is_multimodal(model: str, messages: List[Any]) -> bool:
    """Whether this is for the multimodal endpoint: by what is shown, or by the model's name."""
    return bool(MULTIMODAL_MODEL.search(model)) or any(_kind(part) in MEDIA for part in _parts(messages))


def write_messages(model: str, messages: List[Any], multimodal: bool) -> Written:
    """Messages for one of the two endpoints; raises ProxyError 400 naming a part that has no place there."""
    written: List[Wire] = []
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            raise failure("invalid_type", f"Invalid type for 'messages[{place}]': expected an object.", "messages")
        files = _files(model, message, place)
        written += [{"role": "system", "content": f"fileid://{identity}"} for identity in files]
        written.append(_message(message, multimodal, f"messages[{place}]"))
    return Written(written, any(_is_fine(part) for part in _parts(messages)))


def _parts(messages: List[Any]) -> List[Any]:
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    return [part for content in contents if isinstance(content, list) for part in content]


def _kind(part: Any) -> str:
    """What a part is; one without a type is spelled as DashScope does, where its key says so."""
    if not isinstance(part, dict):
        return ""
    return word(part, "type") or next((key for key in part if key in MEDIA or key == "text"), "")


def _is_fine(part: Any) -> bool:
    image = part.get("image_url") if isinstance(part, dict) else None
    return isinstance(image, dict) and image.get("detail") == "high"


def _files(model: str, message: Wire, place: int) -> List[str]:
    """The ids of uploaded files, which one family of models takes; nothing else can be said of a file."""
    content = message.get("content")
    files = [part for part in content if _kind(part) == "file"] if isinstance(content, list) else []
    said = [part.get("file") for part in files]
    ids = [file["file_id"] for file in said if isinstance(file, dict) and isinstance(file.get("file_id"), str)]
    if len(ids) < len(files) or (files and FILES_MODEL not in model):
        raise _unsupported("file", f"messages[{place}].content")
    return ids


def _message(said: Wire, multimodal: bool, where: str) -> Wire:
    role = word(said, "role") or "user"
    message: Wire = {"role": ROLES.get(role, role), "content": _content(said, multimodal, where + ".content")}
    reasoning = said.get("reasoning_content") or said.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        message["reasoning_content"] = reasoning  # it has to be sent back (C69)
    calls = _calls(said)
    if calls:
        message["tool_calls"] = calls
    if role == "function":
        message["tool_call_id"] = word(said, "name")
    message.update((key, value) for key, value in said.items() if key not in SPOKEN_FOR and key not in message)
    return message


def _content(said: Wire, multimodal: bool, where: str) -> Any:
    content = said.get("content")
    if content is None or content == "":
        content = word(said, "refusal")
    if isinstance(content, str):
        return ([{"text": content}] if content else []) if multimodal else content
    if not isinstance(content, list):
        raise failure("invalid_type", f"Invalid type for '{where}': expected a string or an array.", where)
    parts = [_part(part, f"{where}[{place}]") for place, part in enumerate(content) if _kind(part) != "file"]
    if multimodal:
        return parts
    if any("cache_control" in part for part in parts):
        return [{"type": "text", **part} for part in parts]
    return "\n".join(part["text"] for part in parts)


def _part(part: Any, where: str) -> Wire:
    kind = _kind(part)
    if kind in TEXTS:
        text = part.get(kind)
        if not isinstance(text, str):
            raise failure("invalid_type", f"Invalid type for '{where}.{kind}': expected a string.", where)
    elif kind not in MEDIA:
        raise _unsupported(kind, where)
    written: Wire = write_part(part)
    if None in written.values() or "type" in written:
        raise failure("invalid_value", f"Invalid value for '{where}': the {kind} is missing.", where)
    return written


def _calls(said: Wire) -> List[Wire]:
    """Tool calls with their places; the deprecated one and custom ones become functions'."""
    calls = said.get("tool_calls")
    items = [item for item in calls if isinstance(item, dict)] if isinstance(calls, list) else []
    legacy = said.get("function_call")
    if isinstance(legacy, dict) and not items:
        items = [{"id": word(legacy, "name"), "function": legacy}]
    return [_call(item, place) for place, item in enumerate(items)]


def _call(item: Wire, place: int) -> Wire:
    inner: Mapping[str, Any] = inner_of(item)
    if kind_of(item) == "custom":
        arguments = write_json({"input": text_of(inner.get("input"))}).decode()
    else:
        arguments = text_of(inner.get("arguments"))
    function = {"name": word(inner, "name"), "arguments": arguments}
    others = {key: value for key, value in item.items() if key not in ("index", "type", "function", "custom")}
    return {"index": place, **others, "type": "function", "function": function}


def _unsupported(kind: Optional[str], where: str) -> ProxyError:
    shown = kind or "untyped"
    return failure("unsupported_value", f"Invalid value for '{where}': this provider takes no {shown} parts.", where)
