"""The journal's files as they lie in the folder: the two of today, and whatever rotation has left, compressed or not.

A file is known by its first line and not by its name or inode: so it stays the same file when it is renamed, copied
aside and cut to nothing, or compressed, and another one when its name or inode is used again.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

CLIENT, PROVIDER = 0, 1
SIDES = {"client_interaction.jsonl": CLIENT, "server_interaction.jsonl": PROVIDER}
BLOCK = 1 << 18  # bytes read at a time from the end
HEAD = 4096  # bytes of a first line that tell a file from others
LONGEST_LINE = 512 << 20

_NAME = re.compile(r"((?:client|server)_interaction\.jsonl)(?:[.-].*)?")
_GZIP = b"\x1f\x8b"


class Found(NamedTuple):
    """A file that is there: ``mark`` tells its content, ``stat`` changes whenever anything about it may have."""

    name: str
    side: int
    stat: str
    mark: str
    packed: bool
    size: int


def listing(folder: Path, known: Dict[Tuple[str, str], Tuple[str, bool]]) -> Tuple[List[Found], bool]:
    """The journal's files, newest first, and whether all of them could be looked at.

    ``known``: what was found before, mark and packing by name and stat, which need not be looked at again. Of several
    files with the same content one is taken: rather a plain one, rather the largest.
    """
    best: Dict[Tuple[int, str], Tuple[Tuple[bool, int], float, Found]] = {}
    certain = True
    for entry, side in _entries(folder):
        try:
            stat = os.stat(entry)
            one = _look(entry, side, stat, known)
        except OSError:  # it was moved at this very moment
            certain = False
            continue
        if one is not None:
            rank = (not one.packed, one.size)
            before = best.get((side, one.mark))
            if before is None or rank > before[0]:
                best[side, one.mark] = (rank, stat.st_mtime, one)
    newest = sorted(best.values(), key=lambda item: (item[1], item[2].name), reverse=True)
    return [one for _, _, one in newest], certain


def _entries(folder: Path) -> List[Tuple[str, int]]:
    matches = [(name, _NAME.fullmatch(name)) for name in os.listdir(str(folder))]
    return [(str(folder / name), SIDES[match[1]]) for name, match in matches if match]


def _look(
    path: str, side: int, stat: os.stat_result, known: Dict[Tuple[str, str], Tuple[str, bool]]
) -> Optional[Found]:
    name, told = os.path.basename(path), f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
    mark, packed = known.get((name, told)) or _mark(path)
    return Found(name, side, told, mark, packed, stat.st_size) if mark else None


def mark_of(path: str) -> str:
    """What tells a file from others, whatever it is called; empty while it has no whole first line. Raises OSError."""
    return _mark(path)[0]


def _mark(path: str) -> Tuple[str, bool]:
    """What tells this content from others, empty while there is no whole first line; and whether it is compressed."""
    with _opened(path) as (file, packed):
        try:
            head = file.read(HEAD)
        except (OSError, EOFError, ValueError, struct.error):  # a broken or unfinished compressed file
            return "", packed
    line, end, _ = head.partition(b"\n")
    if not end and len(head) < HEAD:
        return "", packed
    return hashlib.sha256(line).hexdigest()[:32], packed


@contextmanager
def _opened(path: str) -> Iterator[Tuple[IO[bytes], bool]]:
    with open(path, "rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if not packed:
            yield raw, False
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield unpacked, True  # type: ignore[misc]


class Reader:
    """One file read from an offset on, whole lines at a time; offsets count the bytes of the uncompressed content."""

    def __init__(self, folder: Path, found: Found, offset: int) -> None:
        """Raises OSError if it is not there any more."""
        self.found = found
        self.offset = offset
        self._rest = b""
        self._context = _opened(str(folder / found.name))
        self._file, _ = self._context.__enter__()
        try:
            stat = os.fstat(self._file.fileno())
            if not found.stat.startswith(f"{stat.st_dev}:{stat.st_ino}:"):
                raise OSError("another file has this name now")
            if found.packed and offset == unpacked_size(folder, found):
                self._file = io.BytesIO()  # all was taken in before it was compressed
            with suppress(EOFError):
                self._file.seek(offset)
        except BaseException:
            self.close()
            raise

    def lines(self, size: int) -> bytes:
        """The next whole lines, about ``size`` bytes of them; empty at the end, where a line may be under way.

        Raises OSError (gzip's own errors are of that kind).
        """
        parts = [self._rest]
        held = len(self._rest)
        while True:
            piece = self._read(size)
            cut = piece.rfind(b"\n") + 1
            if cut:
                parts.append(piece[:cut])
                self._rest = piece[cut:]
                whole = b"".join(parts)
                self.offset += len(whole)
                return whole
            parts.append(piece)
            held += len(piece)
            if not piece or held > LONGEST_LINE:
                return self._unfinished(b"".join(parts), bool(piece))
            size = min(size * 2, 16 << 20)

    def _unfinished(self, text: bytes, endless: bool) -> bytes:
        if not endless:
            self._rest = text
            return b""
        self._rest = b""  # what nobody can read as one line is no line: it counts as a foreign one, piece by piece
        self.offset += len(text)
        return text

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except EOFError:  # compressed and cut: what there was, was given
            return b""

    def close(self) -> None:
        """Close the file."""
        self._context.__exit__(None, None, None)


def unpacked_size(folder: Path, found: Found) -> int:
    """How many bytes a file holds; of a compressed one its last four bytes say it, if it is below 4 GB."""
    if not found.packed:
        return found.size
    try:
        with open(str(folder / found.name), "rb") as file:
            file.seek(-4, os.SEEK_END)
            return int(struct.unpack("<I", file.read(4))[0])
    except (OSError, struct.error):
        return 0


def line_at(folder: Path, name: str, offset: int, size: int) -> bytes:
    """The bytes at an offset of a file. Raises OSError if they are not there."""
    with _opened(str(folder / name)) as (file, _):
        try:
            file.seek(offset)
            data = file.read(size)
        except (EOFError, ValueError) as exc:
            raise OSError(f"{name} ends before {offset}") from exc
    if len(data) != size:
        raise OSError(f"{name} ends before {offset + size}")
    return data


def numbered_lines(path: Path) -> Iterator[Tuple[int, bytes]]:
    """The lines of a file, the last one whether it is finished or not, each with its offset. Raises OSError."""
    offset = 0
    with _opened(str(path)) as (file, _):
        for line in file:
            yield offset, line
            offset += len(line)


def newest_lines(folder: Path, found: Found, end: Optional[int] = None) -> Iterator[bytes]:
    """The whole lines of a file (up to offset ``end``), the last one first. Raises OSError."""
    with _opened(str(folder / found.name)) as (file, packed):
        if packed:
            with suppress(EOFError):
                yield from reversed(file.read().split(b"\n")[:-1])
            return
        place = found.size if end is None else end
        rest = b""
        while place > 0:
            start = max(0, place - BLOCK)
            file.seek(start)
            lines = (file.read(place - start) + rest).split(b"\n")
            rest, place = lines[0], start
            yield from reversed(lines[1:])
        yield rest


def read_lines(folder: Path, name: str, places: Iterable[Tuple[int, int]]) -> Iterator[bytes]:
    """The bytes at each offset of a file, which only grow; ends where the file does. Raises OSError."""
    with _opened(str(folder / name)) as (file, _):
        for offset, size in places:
            file.seek(offset)
            try:
                data = file.read(size)
            except EOFError:
                return
            if len(data) == size:
                yield data
