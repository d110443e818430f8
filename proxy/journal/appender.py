"""One append-only file: whole lines, one write each, over disk trouble, rotation from outside and other processes."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Callable

if sys.platform == "win32":  # where one process serves alone

    def _try_to_lock(fd: int) -> None:
        raise OSError("no locks here")

    def _unlock(fd: int) -> None:
        pass

else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

    def _try_to_lock(fd: int) -> None:
        flock(fd, LOCK_EX | LOCK_NB)

    def _unlock(fd: int) -> None:
        flock(fd, LOCK_UN)


_FLAGS = os.O_APPEND | os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_give_way: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
# Seconds between two tries to open a file that could not be opened, and between two looks at whether it was rotated.
PATIENCE = 1.0
# Seconds to wait while another process writes its line; one that was stopped in the middle must not stop us.
COURTESY = 0.05


class Appender:
    """A file that many processes append to. ``drops`` counts the lines that could not be written."""

    def __init__(self, path: Path) -> None:
        """Create the file (0600) and its folder (0700), or continue the file; raises OSError if that cannot be done."""
        self.path = path
        self.drops = 0
        self.trouble = ""
        # Re-entrant, as a signal's handler may log while this very thread is writing.
        self._lock = threading.RLock()
        self._fd = -1
        self._look_at = 0.0
        self._end = -1
        self._open()

    def append(self, line: bytes) -> bool:
        """Write one line, newline included; False if it could not be written, and then ``trouble`` says why."""
        with self._lock:
            try:
                self._keep_open()
                self._write(line)
            except OSError as exc:
                self.drops += 1
                self.trouble = exc.strerror or type(exc).__name__
                return False
            self.trouble = ""
            return True

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        with self._lock:
            self._close()

    def _write(self, line: bytes) -> None:
        # Appending alone keeps whole lines apart. The lock is for what follows a line that its writer could not finish,
        # on a full disk or killed inside a page: only with it one can tell that from a line that is being written.
        held = self._hold()
        try:
            size = os.fstat(self._fd).st_size
            line = b"\n" + line if held and self._torn(size) else line
            sent = os.write(self._fd, line)
            while sent < len(line):  # a full disk or a limit is near: the rest fits or raises
                sent += os.write(self._fd, line[sent:])
            self._end = size + sent
        finally:
            if held:
                _unlock(self._fd)

    def _hold(self) -> bool:
        """Be the only writer, or go ahead as one of several after ``COURTESY``; never switches greenlets."""
        until = 0.0
        while True:
            try:
                _try_to_lock(self._fd)
                return True
            except BlockingIOError:
                now = time.monotonic()
                until = until or now + COURTESY
                if now > until:
                    return False
                _give_way()
            except OSError:  # a file system without locks
                return False

    def _torn(self, size: int) -> bool:
        """Say whether the file ends inside a line; nobody has to look if it ends where this process left it."""
        return size > 0 and size != self._end and os.pread(self._fd, 1, size - 1) not in (b"\n", b"")

    def _keep_open(self) -> None:
        now = time.monotonic()
        if self._fd < 0:
            if now < self._look_at:
                raise OSError(0, self.trouble or "closed")
            self._open()
        elif os.fstat(self._fd).st_nlink == 0 or (now >= self._look_at and self._moved(now)):
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

    def _close(self) -> None:
        fd, self._fd, self._look_at, self._end = self._fd, -1, 0.0, -1
        if fd >= 0:
            os.close(fd)
