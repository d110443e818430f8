"""Log files that grew too large or too old: put aside under a name with the time, compressed, and some day removed.

Whoever writes holds the file's lock. Whoever puts it aside renames it under that lock and takes the right to write from
it, which tells every other process that finds it so to open the new one. It is compressed when the last of them has had
time to see that, and removed only if nobody has written to it meanwhile.
"""

from __future__ import annotations

import gzip
import os
import re
from calendar import timegm
from contextlib import suppress
from pathlib import Path
from time import gmtime, strftime, strptime, time
from typing import BinaryIO, Dict, List, NamedTuple

from proxy.aside import Sleep
from proxy.journal.locks import lock_within, try_to_lock, unlock

SEALED = 0o400
SETTLE = 2.0  # seconds until a file that was put aside is compressed
PIECE = 1 << 18
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_ASIDE = re.compile(r"\.(\d{8}T\d{6})(?:-(\d+))?(?:\.gz)?")


class Rotation(NamedTuple):
    """When a file is put aside: over so many ``bytes``, ``age`` seconds after its first line; 0 is never.

    ``keep``: how many that were put aside stay; 0: all.
    """

    bytes: int = 0
    age: float = 0.0
    keep: int = 0

    @property
    def wanted(self) -> bool:
        """Whether there is any."""
        return bool(self.bytes or self.age)

    def due(self, size: int, more: int, born: float) -> bool:
        """Whether a file of ``size`` bytes, begun at ``born``, is to be put aside before ``more`` bytes are added."""
        if not size:
            return False
        return bool((self.bytes and size + more > self.bytes) or (self.age and time() - born >= self.age))


def is_sealed(stat: os.stat_result) -> bool:
    """Whether a file was put aside."""
    return stat.st_mode & 0o777 == SEALED


def born(fd: int) -> float:
    """When a file was begun, as its first line says; now, if it has none."""
    found = _MOMENT.search(os.pread(fd, 64, 0))
    with suppress(ValueError):
        if found:
            return float(timegm(strptime(found[0].decode(), "%Y-%m-%dT%H:%M:%S")))
    return time()


def put_aside(path: Path, fd: int) -> None:
    """Rename the file of ``path``, open as ``fd`` and locked, and seal it; raises OSError.

    Nothing happens if another process has just done it.
    """
    if not os.path.samestat(os.stat(path), os.fstat(fd)):
        return
    os.rename(path, _free_name(path))
    os.fchmod(fd, SEALED)


def tidy(path: Path, keep: int, sleep: Sleep) -> None:
    """Compress what was put aside of ``path`` and remove the oldest; several processes may try at once."""
    known = _put_aside(path)
    names = sorted(known, key=lambda stamp: (stamp[:15], len(stamp), stamp))
    for old in names[:-keep] if keep else []:
        for one in (*known.pop(old), _part(path.with_name(f"{path.name}.{old}"))):
            with suppress(OSError):
                one.unlink()
    for files in known.values():
        for one in files:
            if one.suffix != ".gz":
                with suppress(OSError):
                    _compress(one, sleep)


def _free_name(path: Path) -> Path:
    stamp = strftime("%Y%m%dT%H%M%S", gmtime())
    taken, number = _put_aside(path), 0
    name = stamp
    while name in taken:
        number += 1
        name = f"{stamp}-{number}"
    return path.with_name(f"{path.name}.{name}")


def _put_aside(path: Path) -> Dict[str, List[Path]]:
    """What was put aside of a file, by its stamp: the file itself, its compressed form, or for a moment both."""
    found: Dict[str, List[Path]] = {}
    for one in path.parent.iterdir():
        rest = one.name[len(path.name) :]
        if one.name.startswith(path.name) and _ASIDE.fullmatch(rest):
            stamp = rest[1:-3] if rest.endswith(".gz") else rest[1:]
            found.setdefault(stamp, []).append(one)
    return found


def _part(source: Path) -> Path:
    """Where the compressed form grows, under a name that no reader of the journals takes for one."""
    return source.with_name(f".{source.name}.gz.part")


def _compress(source: Path, sleep: Sleep) -> None:
    part = _part(source)
    fd = os.open(part, os.O_CREAT | os.O_RDWR, 0o600)
    with os.fdopen(fd, "r+b") as out:
        try_to_lock(fd)  # BlockingIOError: another process is at it
        if not os.path.samestat(os.stat(part), os.fstat(fd)):
            return
        if not source.exists():
            part.unlink()
            return
        out.truncate()
        with source.open("rb") as whole:
            os.chmod(source, SEALED)
            with gzip.GzipFile(source.name, "wb", 6, out) as packed:
                _copied(whole, packed, sleep)
                locked = lock_within(whole.fileno(), 1.0)
                _copied(whole, packed, sleep)  # somebody may have been about to write when it was sealed
            out.flush()
            os.fsync(fd)
            _replace(source, part)
            if locked:
                unlock(whole.fileno())


def _replace(source: Path, part: Path) -> None:
    os.rename(part, source.with_name(source.name + ".gz"))
    source.unlink()


def _copied(whole: BinaryIO, packed: gzip.GzipFile, sleep: Sleep) -> None:
    for piece in iter(lambda: whole.read(PIECE), b""):
        packed.write(piece)
        sleep(0.005)  # exchanges go first
