"""The workers of one proxy, each asking all: a unix socket per worker, in a folder that only this user can enter.

A question is one JSON object whose ``do`` names it; so is the answer. Workers are asked side by side and with a
deadline: one that hangs is left out, one that died is removed. Where no such socket can be, a crew is its one worker.
"""

from __future__ import annotations

import atexit
import os
import socket
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import msgspec

from proxy.crew.line import LineError, hear, say
from proxy.crew.place import SUFFIX, NoPlaceError, clear, doors_in, place_of, private, sweep
from proxy.crew.tally import Tally
from proxy.journal import log

Question = Dict[str, Any]
Answer = Dict[str, Any]

BACKLOG = 64  # questions that wait while a worker is busy
PATIENCE = 5.0  # seconds for a question to be told and its answer to be taken
TRIES = 3  # a folder may be cleared by who leaves last while who comes first enters it


class Crew:
    """This worker among those that say the same ``about`` themselves; ``answers`` are what it can be asked.

    ``trouble`` says why it is alone, where it could not meet the others. ``tally`` are numbers that all of them add to.
    ``supervised``: there is a master who removes the folder, so that numbers outlive the last worker of a reload.
    """

    def __init__(self, about: Sequence[str]) -> None:
        self.answers: Dict[str, Callable[[Question], Answer]] = {}
        self.trouble = ""
        self.home: Optional[Path] = None
        self.tally = Tally()
        self.supervised = False
        self._about = about
        self._pid = 0
        self._door: Optional[socket.socket] = None

    def join(self) -> None:
        """Be there for the others, in the process that serves: where workers are forked, each has to say it for itself.

        Costs nothing when repeated; never raises.
        """
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        if self._door is not None:  # the parent's, of which a fork has a copy
            self._door.close()
        self._door = self._opened()
        if self._door is not None:
            Thread(target=self._serve, args=(self._door,), daemon=True).start()
        atexit.register(self.leave)

    def leave(self) -> None:
        """Be there no longer; who leaves last removes the folder, unless a master does."""
        door, self._door = self._door, None
        if door is None or self.home is None or self._pid != os.getpid():
            return
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)  # closing alone would not wake a thread that waits there
        door.close()
        with suppress(OSError):
            os.unlink(self._path(self.home))
        self.tally.close()
        if not self.supervised and not doors_in(self.home):
            clear(self.home)

    def ask(self, question: Question, *, seconds: float = 1.0) -> List[Answer]:
        """The answers of all workers that gave one in time, this one's first; each has its process id as ``worker``."""
        return self.asked(question, seconds=seconds)[0]

    def asked(self, question: Question, *, seconds: float = 1.0) -> Tuple[List[Answer], List[int]]:
        """The answers, and the process ids of workers that live and gave none in time."""
        self.join()
        end = monotonic() + seconds
        told: Dict[int, Optional[Answer]] = {}
        own = self._path(self.home) if self.home is not None else None
        doors = [door for door in doors_in(self.home) if door != own] if self.home is not None else []
        calls = [Thread(target=_call, args=(door, question, end, told), daemon=True) for door in doors]
        for call in calls:
            call.start()
        first = {**self._answered(question), "worker": os.getpid()}
        for call in calls:
            call.join(max(0.0, end - monotonic()))
        heard = dict(told)
        answers = [answer for _, answer in sorted(heard.items()) if answer is not None]
        gone = {pid for pid, answer in heard.items() if answer is None}
        silent = [int(door.stem) for door in doors if int(door.stem) not in gone | {one["worker"] for one in answers}]
        return [first, *answers], silent

    def _opened(self) -> Optional[socket.socket]:
        try:
            self.home = place_of(self._about)
            sweep(self.home)
            door = self._listen(self.home)
            self.tally.share(self.home)
            return door
        except OSError as exc:
            self.home = None
            self.trouble = str(exc) if isinstance(exc, NoPlaceError) else exc.strerror or type(exc).__name__
            log("this worker cannot meet others", level="warning", why=self.trouble)
            return None

    def _listen(self, home: Path) -> socket.socket:
        for left in reversed(range(TRIES)):
            door = socket.socket(socket.AF_UNIX)
            entering = private(home) / f"{self._pid}.new"
            try:
                with suppress(FileNotFoundError):
                    os.unlink(entering)  # of a process that had this id before
                door.bind(str(entering))
                door.listen(BACKLOG)
                os.rename(entering, self._path(home))  # only now, when nobody can take it for a dead one's any more
                return door
            except FileNotFoundError:
                door.close()
                if not left:
                    raise
            except OSError:
                door.close()
                raise
        raise AssertionError("unreachable")

    def _path(self, home: Path) -> Path:
        return home / f"{self._pid}{SUFFIX}"

    def _serve(self, door: socket.socket) -> None:
        while door.fileno() >= 0:
            try:
                line, _ = door.accept()
            except OSError:  # closed; or there are no descriptors left for the moment
                sleep(0.1)
                continue
            Thread(target=self._reply, args=(line,), daemon=True).start()

    def _reply(self, line: socket.socket) -> None:
        end = monotonic() + PATIENCE
        with line, suppress(OSError, LineError):
            say(line, self._answered(hear(line, end)), end)

    def _answered(self, question: Question) -> Answer:
        answer = self.answers.get(str(question.get("do")))
        if answer is None:
            return {"error": "there is no such question"}
        try:
            return answer(question)
        except Exception as exc:  # whoever asks must get the others' answers all the same
            log("a question of another worker failed", level="error", do=question["do"], why=type(exc).__name__)
            return {"error": type(exc).__name__}


def _call(door: Path, question: Question, end: float, told: Dict[int, Optional[Answer]]) -> None:
    """Ask one worker; note its answer, or None if it is dead, or nothing if it gave none."""
    pid = int(door.stem)
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(max(0.001, end - monotonic()))
            line.connect(str(door))
            say(line, question, end)
            told[pid] = {**hear(line, end), "worker": pid}
    except (ConnectionRefusedError, FileNotFoundError):
        with suppress(OSError):
            os.unlink(door)
        told[pid] = None
    except (OSError, LineError, msgspec.MsgspecError):
        return
