"""One append-only file: whole lines, one write each, over disk trouble, rotation and other processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from proxy.aside import WRITING, aside, begin, system_lock
from proxy.journal.locks import lock_within, unlock
from proxy.journal.rotation import SETTLE, Rotation, born, is_sealed, put_aside, tidy

_FLAGS = os.O_APPEND | os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Seconds between two tries to open a file that could not be opened, and between two looks at whether it was rotated.
PATIENCE = 1.0
# Seconds to wait while another process writes its line; one that was stopped in the middle must not stop us.
COURTESY = 0.05
NEVER = Rotation()
# Files that may fill up and be put aside while this process waits for its turn to write one line.
TRIES = 100
# Bytes of a line, and seconds that the line before took, from which on a line is written beside the exchanges.
LONG = 1 << 19
SLOW = 0.02


class Appender:
    """A file that many processes append to. ``drops`` counts the lines that could not be written."""

    def __init__(self, path: Path, rotation: Rotation = NEVER) -> None:
        """Create the file (0600) and its folder (0700), or continue the file; raises OSError if that cannot be done."""
        self.path = path
        self.drops = 0
        self.trouble = ""
        self._rotation = rotation
        self._rotates = rotation.wanted
        # Re-entrant, as a signal's handler may log while this very thread is writing.
        self._lock = system_lock()
        self._took = 0.0
        self._fd = -1
        self._look_at = 0.0
        self._end = -1
        self._born = 0.0
        self._open()
        if self._rotates:
            self._tidy()

    def append(self, line: bytes) -> bool:
        """Write one line, newline included; False if it could not be written, and then ``trouble`` says why."""
        with self._lock:
            try:
                tries = 0
                self._keep_open()
                while not self._write(line):
                    tries += 1
                    if tries == TRIES:
                        raise OSError(0, "the file is put aside again and again")
                    self._open()
            except OSError as exc:
                self.drops += 1
                self.trouble = exc.strerror or type(exc).__name__
                return False
            self.trouble = ""
            return True

    def append_aside(self, line: bytes) -> bool:
        """As ``append``; a long line, or one for a disk that was slow the last time, holds up no other exchange."""
        if len(line) < LONG and self._took < SLOW:
            return self.append(line)
        return aside(lambda: self.append(line), WRITING)

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        with self._lock:
            self._close()

    def _write(self, line: bytes) -> bool:
        """Write a line, or say that the file is not the one to write to any more."""
        # Appending alone keeps whole lines apart. The lock is for what follows a line that its writer could not finish,
        # on a full disk or killed inside a page: only with it one can tell that from a line that is being written.
        held = lock_within(self._fd, COURTESY)
        began = time.monotonic()
        try:
            stat = os.fstat(self._fd)
            size = stat.st_size
            if stat.st_nlink == 0 or is_sealed(stat):
                return False
            if held and self._rotates and self._put_aside(size, len(line)):
                return False
            if held and size != self._end and self._torn(size):
                line = b"\n" + line
            sent = os.write(self._fd, line)
            try:
                while sent < len(line):  # a full disk or a limit is near: the rest fits or raises
                    sent += os.write(self._fd, line[sent:])
            except OSError:
                self._take_back(size, sent, held)
                raise
            self._end = size + sent
            return True
        finally:
            self._took = time.monotonic() - began
            if held:
                unlock(self._fd)

    def _take_back(self, size: int, sent: int, held: bool) -> None:
        """Half a line is worse than none, if it is ours and still the last."""
        if held and os.fstat(self._fd).st_size == size + sent:
            os.ftruncate(self._fd, size)

    def _torn(self, size: int) -> bool:
        """Say whether the file ends inside a line; nobody has to ask if it ends where this process left it."""
        return size > 0 and os.pread(self._fd, 1, size - 1) not in (b"\n", b"")

    def _put_aside(self, size: int, more: int) -> bool:
        if not self._rotation.due(size, more, self._born):
            return False
        try:
            put_aside(self.path, self._fd)
        except OSError:  # a folder that cannot be changed: the line goes where it can
            self._born = time.time()
            return False
        self._tidy()
        return True

    def _tidy(self) -> None:
        path, keep = self.path, self._rotation.keep
        begin(lambda sleep: tidy(path, keep, sleep), SETTLE)

    def _keep_open(self) -> None:
        now = time.monotonic()
        if self._fd < 0:
            if now < self._look_at:
                raise OSError(0, self.trouble or "closed")
            self._open()
        elif now >= self._look_at and self._moved(now):
            self._open()

    def _moved(self, now: float) -> bool:
        self._look_at = now + PATIENCE
        try:
            return not os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            return True

    def _open(self) -> None:
        self._close()
        self._look_at = time.monotonic() + PATIENCE
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(str(self.path), _FLAGS, 0o600)
        self._born = born(self._fd) if self._rotation.age else 0.0

    def _close(self) -> None:
        fd, self._fd, self._look_at, self._end = self._fd, -1, 0.0, -1
        if fd >= 0:
            os.close(fd)
