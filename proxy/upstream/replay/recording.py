"""Recorded answers, found by what was asked: an index in memory, the bodies stay in the files."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from proxy.archive.files import PROVIDER, SIDES, line_at, listing, mark_of, numbered_lines
from proxy.dialects import DEFAULT
from proxy.upstream.replay.asked import ANYWHERE, Asked, exact_of, features_of, key_of
from proxy.upstream.replay.differing import Difference, differences, told
from proxy.upstream.replay.lines import FullLine, Line, dialect_of, flaw_of, place_in, read_full, read_line

LOOKED_AT = 20  # recordings that are compared in full when none fits

Files = Tuple[Tuple[str, str, int, int], ...]


class Entry(NamedTuple):
    """Where a recording is, and what tells it from others with the same key."""

    file: int
    offset: int
    size: int
    streams: bool
    exact: bytes


class Recording:
    """All answers in a journal folder, a journal, or a recording. Knows no network and is never changed once made."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._entries: Dict[bytes, List[Entry]] = {}
        self._near: Dict[str, List[Tuple[Entry, Any]]] = {}
        self._families: Dict[str, int] = {}
        self._marks = [mark_of(str(Path(folder) / name)) for folder, name, _, _ in files]
        self._now: Dict[int, str] = {}
        self.flaws: Dict[str, int] = {}
        for number in range(len(files)):
            for offset, data in numbered_lines(Path(files[number][0]) / files[number][1]):
                line = read_line(data)
                if line is not None:
                    self._take(line, number, offset, len(data))

    @property
    def answers(self) -> int:
        """How many recorded answers there are."""
        return sum(map(len, self._entries.values()))

    @property
    def told(self) -> str:
        """What there is to replay, and what is not."""
        left_out = ", ".join(f"{count} {flaw}" for flaw, count in self.flaws.items())
        return f"{self.answers} answers" + (f"; left out: {left_out}" if left_out else "")

    @property
    def family(self) -> str:
        """What most of the recorded providers spoke."""
        return max(self._families, key=lambda name: self._families[name], default=DEFAULT)

    def fitting(self, asked: Asked) -> List[Entry]:
        """The recordings of an ask, oldest first: those of the very same one, else in the same mode, else any."""
        found = self._entries.get(asked.key, [])
        if not found and asked.dialect is None and asked.value is not None:
            method = asked.place.partition(" ")[0]
            found = self._entries.get(key_of(f"{method} {ANYWHERE}", asked.value, None), [])
        exact = [entry for entry in found if entry.exact == asked.exact]
        return exact or [entry for entry in found if entry.streams == asked.streams] or found

    def line(self, entry: Entry) -> FullLine:
        """The line of a recording, wherever rotation has put it. Raises OSError where it is gone."""
        folder, name = self._files[entry.file][:2]
        for one in chain([self._now.get(entry.file, name)], self._others(entry.file, folder)):
            with suppress(OSError, ValueError):
                line = read_full(line_at(Path(folder), one, entry.offset, entry.size))
                if exact_of(line.input, entry.streams) == entry.exact:
                    self._now[entry.file] = one
                    return line
        raise OSError(f"{name} has changed")

    def _others(self, file: int, folder: str) -> Iterator[str]:
        """What a file may be called by now: it is the one with the same first line."""
        found, _ = listing(Path(folder), {})
        yield from (one.name for one in found if one.mark == self._marks[file])

    def hint(self, asked: Asked) -> str:
        """What was recorded instead: the nearest ask, and in what it differs."""
        near = self._near.get(asked.place)
        if not near:
            places = sorted(self._near, key=lambda place: -len(self._near[place]))[:8]
            known = ", ".join(f"{place} ({len(self._near[place])})" for place in places)
            return f"Nothing is recorded of {asked.place}; there is {known}."
        mine = set(features_of(asked.value))
        ranked = sorted(near, key=lambda one: -len(mine.intersection(one[1])))[:LOOKED_AT]
        line, found = min((self._compared(asked, entry) for entry, _ in ranked), key=lambda one: len(one[1]))
        return f"The nearest is {line.logging_id} of {line.timestamp}; it differs in {told(found)}."

    def _compared(self, asked: Asked, entry: Entry) -> Tuple[FullLine, List[Difference]]:
        line = self.line(entry)
        found = list(differences(asked.value, line.input))
        unlike = [one for one in found if one.path.partition(".")[0] not in ("stream", "stream_options")]
        return line, unlike or found or [Difference("the mode", asked.streams, not asked.streams)]

    def _take(self, line: Line, file: int, offset: int, size: int) -> None:
        flaw = flaw_of(line)
        if flaw:
            self.flaws[flaw] = self.flaws.get(flaw, 0) + 1
            return
        dialect, place = dialect_of(line), place_in(line)
        streams = line.send_mode == "stream"
        entry = Entry(file, offset, size, streams, exact_of(line.input, streams))
        self._entries.setdefault(key_of(place, line.input, dialect), []).append(entry)
        self._near.setdefault(place, []).append((entry, features_of(line.input)))
        if dialect is not None:
            self._families[dialect.family] = self._families.get(dialect.family, 0) + 1


def recorded(path: str) -> Recording:
    """What can be replayed from a path. Raises ValueError, in one line, if nothing can."""
    try:
        recording = _made(files_at(Path(os.path.expanduser(path))))
    except (OSError, EOFError) as exc:
        raise ValueError(f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}") from None
    if not recording.answers:
        why = ", ".join(f"{count} {flaw}" for flaw, count in recording.flaws.items())
        raise ValueError(f"{path} has no recorded answer" + (f" ({why})" if why else ""))
    return recording


def files_at(path: Path) -> Files:
    """The files that hold the provider's side, oldest first, each with what changes when it does. Raises OSError."""
    if not path.is_dir():
        if path.name.startswith("client_interaction"):
            raise ValueError(f"{path} has the client's side; answers come from server_interaction.jsonl, or its folder")
        return (_known(path),)
    found, _ = listing(path, {})
    if not any(one.side == PROVIDER for one in found):
        raise ValueError(f"{path} has no server_interaction.jsonl (--log_content off writes none)")
    return tuple(_known(path / one.name) for one in reversed(found) if one.side == PROVIDER)


def is_being_written(path: str, folder: str) -> bool:
    """Whether a proxy that journals in ``folder`` would write into what is being replayed."""
    given, written = Path(os.path.expanduser(path)).resolve(), Path(folder).resolve()
    return given == written or (given.parent == written and given.name in SIDES)


def _known(path: Path) -> Tuple[str, str, int, int]:
    stat = os.stat(str(path))
    return str(path.parent), path.name, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1)
def _made(files: Files) -> Recording:
    """Made once in a process, for its checks and its application, and handed down to the workers it forks."""
    return Recording(files)
