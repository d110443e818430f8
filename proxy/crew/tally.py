"""Numbers that only grow, kept where they outlive their worker: in memory that is a file of the crew's folder.

A worker adds to an array in memory, and nothing else happens. Whoever sums up reads the files of all workers, of those
that were killed too; the next worker to come takes such a one's numbers over, so that there are never many files. That
its owner is gone is what the lock says, which the kernel takes away with the process.
"""

from __future__ import annotations

import mmap
import os
import sys
from array import array
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, BinaryIO, Dict, Iterator, List, Optional, Set, Tuple

import msgspec

if sys.platform == "win32":  # where a worker is alone, and keeps its numbers to itself

    def _locked(file: BinaryIO) -> bool:
        return False

else:
    from fcntl import LOCK_EX, LOCK_NB, flock

    def _locked(file: BinaryIO) -> bool:
        """Whether the lock could be had, which lasts until the file is closed."""
        try:
            flock(file.fileno(), LOCK_EX | LOCK_NB)
        except OSError:
            return False
        return True


Series = Tuple[str, ...]
Sums = Dict[Series, List[float]]

ROOM = 1 << 18  # numbers; a file that has no pages where nothing was written
KEYS, NUMBERS, LOCK = ".keys", ".numbers", "lock"
COURTESY = 0.2  # seconds to wait for who takes numbers over


class Tally:
    """The numbers of this worker: for each series as many as it was given when it was first named."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 8 * ROOM)  # where nothing was written there is no memory either
        self.numbers: Any = memoryview(self._map).cast("d")
        self.lost = 0
        self._places: Dict[Series, int] = {}
        self._sizes: Dict[Series, int] = {}
        self._end = 0
        self._home: Optional[Path] = None
        self._keys: Optional[BinaryIO] = None
        self._file: Optional[BinaryIO] = None

    def place(self, series: Series, size: int = 1) -> int:
        """Where the first of this series' numbers is; -1 if there is no room for another series, which is counted."""
        place = self._places.get(series, -1)
        if place >= 0:
            return place
        if self._end + size > ROOM:
            self.lost += 1
            return -1
        place = self._places[series] = self._end
        self._sizes[series] = size
        self._end += size
        self._note(series)
        return place

    def words(self, name: str, at: int) -> Set[str]:
        """What stands at this place of all series that begin with ``name``, those taken over included."""
        return {series[at] for series in list(self._places) if series[0] == name}

    def share(self, home: Path) -> None:
        """From now on keep the numbers in a file of this folder, and take over what workers that are gone have left.

        Raises OSError.
        """
        stem = str(home / str(os.getpid()))
        with _alone(home):
            for name in (KEYS, NUMBERS):  # of a process that had this id before
                with suppress(FileNotFoundError):
                    os.rename(stem + name, f"{stem}-before{name}")
            self._open(stem)
            self._home = home
            for series, values in _left_behind(home).items():
                place = self.place(series, len(values))
                for offset, value in enumerate(values if place >= 0 else ()):
                    self.numbers[place + offset] += value

    def sums(self) -> Sums:
        """The numbers of all workers that share the folder, dead ones included, added up."""
        sums: Sums = {}
        if self._home is not None:
            with _alone(self._home):
                for stem in _stems(self._home):
                    if stem != str(self._home / str(os.getpid())):
                        _add(sums, _read(stem))
        _add(sums, {series: self._values(series) for series in list(self._places)})
        return sums

    def _values(self, series: Series) -> List[float]:
        place = self._places[series]
        return [self.numbers[at] for at in range(place, place + self._sizes[series])]

    def _open(self, stem: str) -> None:
        before = self.numbers[: self._end].tolist()
        self._keys = open(stem + KEYS, "wb", 0)  # noqa: SIM115 - open for as long as the worker lives
        self._file = open(stem + NUMBERS, "w+b", 0)  # noqa: SIM115
        self._file.truncate(8 * ROOM)
        _locked(self._file)
        self._map = mmap.mmap(self._file.fileno(), 8 * ROOM)
        self.numbers = memoryview(self._map).cast("d")
        self.numbers[: self._end] = array("d", before)
        for series in self._places:
            self._note(series)

    def _note(self, series: Series) -> None:
        if self._keys is not None:
            with suppress(OSError):  # a full disk: others do not see this series
                self._keys.write(msgspec.json.encode([self._places[series], self._sizes[series], series]) + b"\n")

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._file, self._keys):
            if file is not None:
                file.close()
        self._file = self._keys = self._home = None


def _stems(home: Path) -> List[str]:
    with suppress(OSError), os.scandir(home) as entries:
        return [entry.path[: -len(KEYS)] for entry in entries if entry.name.endswith(KEYS)]
    return []


def _left_behind(home: Path) -> Sums:
    """The numbers of workers that are gone, whose files are removed."""
    left: Sums = {}
    for stem in _stems(home):
        with suppress(OSError), open(stem + NUMBERS, "rb") as file:
            if _locked(file):
                _add(left, _read(stem))
                os.unlink(stem + KEYS)
                os.unlink(stem + NUMBERS)
    return left


def _read(stem: str) -> Sums:
    found: Sums = {}
    with suppress(OSError, ValueError, msgspec.MsgspecError):
        keys, numbers = Path(stem + KEYS).read_bytes(), array("d")
        for line in keys.splitlines():
            place, size, series = msgspec.json.decode(line, type=Tuple[int, int, Series])
            found[series] = [float(place), float(size)]
        end = max((int(place + size) for place, size in found.values()), default=0)
        with open(stem + NUMBERS, "rb") as file:
            numbers.frombytes(file.read(8 * end))
        return {series: numbers[int(place) : int(place + size)].tolist() for series, (place, size) in found.items()}
    return {}


def _add(sums: Sums, more: Sums) -> None:
    for series, values in more.items():
        had = sums.get(series)
        sums[series] = [one + other for one, other in zip(had, values)] if had else values


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """While nobody takes numbers over; but whoever was stopped in the middle of that stops nobody else."""
    with open(home / LOCK, "ab") as lock:
        end = monotonic() + COURTESY
        while not _locked(lock) and monotonic() < end:
            sleep(0.005)
        yield
