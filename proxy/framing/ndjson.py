"""JSON lines: one object a line, however the bytes were cut; the last line may lack its end."""

from __future__ import annotations

from typing import Iterable, Iterator, List

from proxy.errors import failure
from proxy.framing import Frame

FRAME_LIMIT = 32 * 1024 * 1024


def read_ndjson(pieces: Iterable[bytes], limit: int = FRAME_LIMIT) -> Iterator[List[Frame]]:
    """Yield the lines that each piece completed, together, blank ones left out; ``limit`` bounds one line's bytes.

    An empty piece says that nothing has come, and so does an empty list.

    ``raw`` is the line as it came, with its end. Raises ProxyError ``upstream_too_large`` for a line over the limit.
    """
    rest = bytearray()
    for piece in pieces:
        searched = len(rest)
        rest += piece
        end = rest.rfind(b"\n", searched)
        if end >= 0:
            frames = [frame for frame in map(_frame, _lines(bytes(rest[: end + 1]))) if frame.data]
            del rest[: end + 1]
            if frames:
                yield frames
        elif not piece:
            yield []
        if len(rest) > limit:
            raise failure("upstream_too_large", f"One line of the provider's stream is over {limit} bytes.")
    last = _frame(bytes(rest) + b"\n")
    if last.data:
        yield [last]


def _lines(text: bytes) -> List[bytes]:
    """Lines end with a line feed only: a carriage return alone is white space of JSON."""
    return [line + b"\n" for line in text.split(b"\n")[:-1]]


def _frame(line: bytes) -> Frame:
    return Frame(line.strip(b" \t\r\n"), line)
