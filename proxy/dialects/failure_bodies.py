"""The bytes of a failure: which of the many framings a body has, and what it says (spec 3.6 steps 1 and 2)."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

import msgspec

from proxy.dialects.failure_shapes import Said, is_failure, read_shape
from proxy.dialects.failure_text import MESSAGE_LIMIT, PLAIN_LIMIT, is_page, read_page, readable
from proxy.framing import Frame
from proxy.framing.sse import read_sse

# A body is understood as far as this; what is longer is shown as text, so that its cost is bounded.
BODY_SEEN = 4 * 1024 * 1024
# A message is searched for a message inside it as far as this.
INSIDE_SEEN = 65_536
# A body made of frames is read as far as this many lines.
FRAME_LINES = 500
LINE_END = re.compile(r"\r\n|\n|\r")
# Without one of these keys no JSON tells of a failure.
SIGNS = (b'"error"', b'"detail"', b'"code"')
FRAMED = re.compile(r"(?:data|event|id|retry|error)?:")
FRAME_STATUS = re.compile(r"(?:^|[\r\n]):? ?(?:HTTP_STATUS/|status: ?)([45]\d\d)(?!\d)")
PREFIXED_STATUS = re.compile(r"<([45]\d\d)>")
# What a Python program prints for a JSON error: {'error': {'message': "...", 'code': None}}
PRINTED = re.compile(r"\{'(?:error|detail|object|message)': ")
PRINTED_FIELD = re.compile(
    r"'(message|type|param|code|detail)': (?:'((?:[^'\\]|\\.){0,8000})'|\"((?:[^\"\\]|\\.){0,8000})\"|(-?\d{1,9})|None)"
)
# Half a surrogate pair, from a provider that cut its text by UTF-16 units; whole pairs are group 1.
HALF_PAIR = re.compile(r"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..")
ESCAPED = re.compile(r"\\([\\'\"])")


def read_body(body: bytes) -> Said:
    """What a body says of a failure, whatever it is made of; an empty message if nothing can be read. Never raises."""
    return finish(_read_text(body[:BODY_SEEN].decode("utf-8", "replace").strip("\ufeff \t\r\n")))


def read_frame(frame: Frame) -> Said:
    """What a frame that is known to be a failure says, with the status that its comment may carry."""
    text = frame.data.decode("utf-8", "replace").strip() if frame.data else error_lines(frame.raw)
    said = _read_text(text, framed=False)
    if said.status is None:
        beside = FRAME_STATUS.search("\n" + frame.comment) or FRAME_STATUS.search(_head(frame.raw))
        said.status = int(beside.group(1)) if beside else None
    return finish(said)


def finish(said: Said) -> Said:
    """Look for the failure inside the message, and make the message one that can be shown."""
    said = _unwrapped(said)
    prefixed = PREFIXED_STATUS.match(said.message.lstrip())
    if said.status is None and prefixed:
        said.status = int(prefixed.group(1))
    said.message = readable(said.message, PLAIN_LIMIT if said.plain else MESSAGE_LIMIT)
    return said


def error_lines(raw: bytes) -> str:
    """What a record without data says of an error; empty if it says nothing.

    That is what stands in its lines whose field is ``error`` (old llama.cpp), or JSON without any field (C36).
    """
    if not (b"error:" in raw or any(sign in raw for sign in SIGNS)):
        return ""
    lines = LINE_END.split(raw.decode("utf-8", "replace"))
    told = "\n".join(line[6:].strip() for line in lines if line.startswith("error:"))
    if told:
        return told
    bare = "\n".join(line for line in lines if not FRAMED.match(line)).strip()
    return bare if bare[:1] == "{" and _tells(bare.encode("utf-8", "replace")) else ""


def _head(raw: bytes) -> str:
    return "\n" + raw[:4096].decode("utf-8", "replace")


def _read_text(text: str, framed: bool = True) -> Said:
    """What a text says; ``framed``: it may be made of server-sent events."""
    if framed and FRAMED.match(text):
        said = _read_frames(text)
        if said is not None:
            return said
    if text[:1] in ("{", "[", '"'):
        value = _json(text)
        said = read_shape(value) if value is not None else _read_lines(text)
        if said is not None:
            return said if said.message or not value else said.over(Said(text[:PLAIN_LIMIT]))
    if is_page(text):
        return Said(read_page(text), plain=True)
    return Said("" if text == "null" else text[:INSIDE_SEEN], plain=True)


def _json(text: str) -> Any:
    """The JSON value, or None for what is not JSON and for JSON's null."""
    for tried in (text, HALF_PAIR.sub(lambda pair: pair.group(1) or "\\ufffd", text) if "\\u" in text else ""):
        try:
            return msgspec.json.decode(tried)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
    return None


def _read_frames(text: str) -> Optional[Said]:
    """A body made of server-sent events: the first frame that tells of a failure, else the first with data."""
    try:
        lines = LINE_END.split(text, FRAME_LINES)[:FRAME_LINES]
        frames = [frame for batch in read_sse(["\n".join([*lines, "", ""]).encode()]) for frame in batch]
    except RecursionError:
        return None
    frames = [frame for frame in frames if frame.data[:6] != b"[DONE]" and (frame.data or error_lines(frame.raw))]
    telling = next((frame for frame in frames if frame.event == "error" or _tells(frame.data)), None)
    frame = telling or (frames[0] if frames else None)
    return None if frame is None else read_frame(frame)


def _read_lines(text: str) -> Optional[Said]:
    """A body made of JSON lines: the one that tells of a failure."""
    line = next((line for line in LINE_END.split(text) if _tells(line.encode("utf-8", "replace"))), None)
    return None if line is None else read_shape(_json(line))


def _tells(data: bytes) -> bool:
    if not any(sign in data for sign in SIGNS):
        return False
    value = _json(data.decode("utf-8", "replace"))
    return isinstance(value, dict) and is_failure(value)


def _unwrapped(said: Said) -> Said:
    """A message that holds a failure's JSON, also after other text, gives way to the one inside it (once)."""
    message = said.message[:INSIDE_SEEN]
    begin, end = message.find("{"), message.rfind("}")
    if not 0 <= begin < end:
        return said
    value = _json(message[begin : end + 1])
    inner = read_shape(value) if isinstance(value, dict) and _is_told_again(value) else _read_printed(message)
    if inner is None or not inner.message.strip():
        return said
    found = inner.over(said)
    around = message[:begin].strip() + message[end + 1 :].strip()
    if around:
        found.extra["upstream_message"] = readable(message, PLAIN_LIMIT)
    return found


def _is_told_again(value: Any) -> bool:
    """Only what is surely a provider's error counts: a message may well quote some JSON of the user's."""
    error = value.get("error")
    if isinstance(error, dict):
        return bool(error.get("message") or error.get("code") or error.get("type"))
    return isinstance(error, str) or value.get("object") == "error" or ("code" in value and "message" in value)


def _read_printed(message: str) -> Optional[Said]:
    """A failure as a Python program prints it; read by pattern, for nothing a provider says is ever evaluated."""
    begin = PRINTED.search(message)
    if begin is None:
        return None
    fields: Dict[str, Any] = {}
    for name, single, double, number in PRINTED_FIELD.findall(message, begin.start()):
        text = ESCAPED.sub(r"\1", single or double).replace("\\n", "\n")
        fields.setdefault(name, int(number) if number else text or None)
    return read_shape({name: value for name, value in fields.items() if value is not None}) if fields else None
