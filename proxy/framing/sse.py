"""Server-sent events: find the records in a byte stream, however it was cut.

The rules are WHATWG's, with three leniences that real providers need: two records without a blank line between them
are two, a last record without its blank line counts when it is complete, and a byte that is not UTF-8 becomes U+FFFD.
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import re
from typing import Iterable, Iterator, List

import msgspec

from proxy.errors import failure
from proxy.framing import Frame

BOM = b"\xef\xbb\xbf"
DONE = b"[DONE]"
LINE_END = re.compile(rb"\r\n|\n|\r")
# A carriage return that a line feed follows is half of one line end, never a line end of its own.
RECORD_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
# How often a record's unfinished data is tried as JSON: each try reads all of it, so a hostile record gets few.
LOOKS = 16
FRAME_LIMIT = 32 * 1024 * 1024


def read_sse(pieces: Iterable[bytes], limit: int = FRAME_LIMIT) -> Iterator[List[Frame]]:
    """Yield the frames that each piece completed, together; ``limit`` bounds one frame's bytes.

    An empty piece says that nothing has come, and so does an empty list. Raises ProxyError ``upstream_too_large`` for a
    frame over the limit (C32: loudly).
    """
    reader = SseReader(limit)
    for piece in pieces:
        frames = reader.feed(piece) if piece else []
        if frames or not piece:
            yield frames
    frames = reader.end()
    if frames:
        yield frames


class SseReader:
    """The bytes of an unfinished record, and where the search for its end goes on."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._searched = 0
        self._began = False
        self._half_end = False

    def feed(self, piece: bytes) -> List[Frame]:
        """Take one piece of the stream and return the frames that are complete now."""
        if not (self._began or self._rest) and piece[:5] == b"data:":
            self._began = True
        if self._began and not self._rest and not self._half_end and piece[-2:] == b"\n\n" and b"\r" not in piece:
            return _whole_frames(piece)
        if self._half_end and piece:
            self._half_end = False
            piece = piece[1:] if piece[:1] == b"\n" else piece
        self._rest += piece
        return self._complete() if self._past_bom() else []

    def end(self) -> List[Frame]:
        """The stream is over: return the last record if it is whole without its blank line."""
        rest = bytes(self._rest).strip(b"\r\n")
        self._rest.clear()
        return [frame for frame in _frames(rest, b"\n\n") if _is_whole(frame.data) or is_stray(frame)]

    def _past_bom(self) -> bool:
        if not self._began:
            if len(self._rest) < len(BOM) and BOM.startswith(bytes(self._rest)):
                return False
            if self._rest.startswith(BOM):
                del self._rest[: len(BOM)]
            self._began = True
        return True

    def _complete(self) -> List[Frame]:
        frames: List[Frame] = []
        start = 0
        for found in RECORD_END.finditer(self._rest, max(0, self._searched - 3)):
            frames += _frames(bytes(self._rest[start : found.start()]), found.group())
            start = found.end()
        if start:
            # "\r\r" may be followed by the "\n" of its second line end in the next piece.
            self._half_end = start == len(self._rest) and self._rest.endswith(b"\r")
            del self._rest[:start]
        self._searched = len(self._rest)
        if self._searched > self._limit:
            raise failure("upstream_too_large", f"One frame of the provider's stream is over {self._limit} bytes.")
        return frames


def is_stray(frame: Frame) -> bool:
    """An error written into the stream without ``data:``, as a field of its own or as bare JSON (C36)."""
    return not frame.data and (frame.raw[:6] == b"error:" or frame.raw.lstrip()[:1] == b"{")


def _whole_frames(piece: bytes) -> List[Frame]:
    """The frames in a piece of whole records; those of one line of data each, as nearly all, need no second look."""
    if piece[:6] == b"data: " and (piece.isascii() or _utf8(piece) is piece):
        if piece.find(b"\n") == len(piece) - 2:
            return [Frame(piece[6:-2], piece)]
        records = piece[:-2].split(b"\n\n")
        if piece.count(b"\n") == 2 * len(records) and piece.count(b"\n\ndata: ") == len(records) - 1:
            return [Frame(record[6:], record + b"\n\n") for record in records]
    return [frame for record in piece[:-2].split(b"\n\n") for frame in _frames(record, b"\n\n")]


def _frames(record: bytes, end: bytes) -> List[Frame]:
    """The frames in one record: none if it is blank, two or more where blank lines are missing."""
    if record[:5] == b"data:" and b"\n" not in record and b"\r" not in record:
        text = record if record.isascii() else _utf8(record)
        return [Frame(text[6:] if text[5:6] == b" " else text[5:], text + end)]
    text = _utf8(record)
    if b"\r" not in text and text.count(b"\ndata:") == 1 and text[:5] != b"data:" and text[:1] != b"\n":
        return [_frame(text.split(b"\n"), text + end)]
    groups = _groups([line for line in LINE_END.split(text) if line])
    if len(groups) == 1:
        return [_frame(groups[0], text + end)]
    return [_frame(group, b"\n".join(group) + b"\n\n") for group in groups]


def _utf8(record: bytes) -> bytes:
    """The record itself where it is UTF-8; else a copy in which U+FFFD stands for what is not."""
    try:
        record.decode()
    except UnicodeDecodeError:
        return record.decode("utf-8", "replace").encode()
    return record


def _groups(lines: List[bytes]) -> List[List[bytes]]:
    """Split lines where a second data line follows one that was complete JSON (providers that send no blank line)."""
    groups: List[List[bytes]] = []
    group: List[bytes] = []
    after_data = 0
    looks = LOOKS
    for line in lines:
        if line[:5] == b"data:" and after_data and group[after_data - 1][-1:] in b"}]" and looks:
            looks -= 1
            if _is_whole(_data(group)):
                groups.append(group[:after_data])
                group, after_data, looks = group[after_data:], 0, LOOKS
        group.append(line)
        after_data = len(group) if line[:5] == b"data:" else after_data
    return [*groups, group] if group else groups


def _frame(lines: List[bytes], raw: bytes) -> Frame:
    event, comments, has_id = "", [], False
    for line in lines:
        name, _, value = line.partition(b":")
        if not name:
            comments.append(_value(value))
        elif name == b"event":
            event = _value(value).decode()
        elif name == b"id":
            has_id = True
    return Frame(_data(lines), raw, event, b"\n".join(comments).decode(), has_id)


def _data(lines: List[bytes]) -> bytes:
    return b"\n".join(_value(line[5:]) for line in lines if line[:5] == b"data:")


def _value(text: bytes) -> bytes:
    return text[1:] if text[:1] == b" " else text


def _is_whole(data: bytes) -> bool:
    """Is this a complete JSON object or array, or the terminator?"""
    if data[:6] == DONE:
        return True
    if data.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
