"""Where the workers of one proxy meet: a folder that only its user can enter."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, List, Sequence

if TYPE_CHECKING:
    from config import Settings

SUFFIX = ".sock"
# A socket's path may have 108 bytes on Linux and 104 on macOS and BSD, a closing zero among them (unix(7), unix(4)).
LONGEST = 103
OLD = 24 * 3600  # seconds
_NAME = len("/4194304" + SUFFIX)  # a process id of Linux at its longest


class NoPlaceError(OSError):
    """There is no folder where workers could meet; the text says why."""


def about(settings: Settings, parent: int = 0) -> List[str]:
    """What all workers of one proxy say of themselves and no other program does: whose children they are, and where."""
    place = os.path.realpath(settings.output_path)
    return [str(parent or os.getppid()), place, settings.expose_host, str(settings.expose_port)]


def leave_nothing(settings: Settings) -> None:
    """Remove the folder where this process's workers have met."""
    with suppress(OSError):
        clear(place_of(about(settings, os.getpid())))


def place_of(said: Sequence[str], temporary: str = "") -> Path:
    """The folder for those that have ``said`` the same about themselves, made if absent. Raises NoPlaceError.

    It lies in one folder per user below the system's ``temporary`` one, or below /tmp where that one's name is long.
    """
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "geteuid"):
        raise NoPlaceError("this system has no unix sockets")
    name = hashlib.sha256("\n".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    user = f"openai-forward-{os.geteuid()}"
    for top in (temporary or tempfile.gettempdir(), "/tmp"):  # noqa: S108 - what is made there is private
        home = Path(top) / user / name
        if len(os.fsencode(home)) + _NAME <= LONGEST:
            return private(home)
    raise NoPlaceError("the path of the temporary folder is too long for sockets")


def private(home: Path) -> Path:
    """``home`` and the folder it is in, made if absent. Raises NoPlaceError unless both are this user's alone."""
    for folder in (home.parent, home):
        try:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            found = os.lstat(folder)
        except OSError as exc:
            raise NoPlaceError(f"{folder}: {exc.strerror or exc}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise NoPlaceError(f"{folder} is not a folder of this user's")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise NoPlaceError(f"{folder} is open to others")
    return home


def doors_in(home: Path) -> List[Path]:
    """The sockets of the workers that meet there, dead ones included."""
    with suppress(OSError), os.scandir(home) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.name.endswith(SUFFIX))
    return []


def is_dead(door: Path) -> bool:
    """Whether nobody listens at this socket any more."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(0)
        try:
            line.connect(str(door))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:  # a worker that is too busy to be called at once lives
            return False
    return False


def clear(home: Path) -> None:
    """Remove what is left in a folder where nobody meets any more, and the folder."""
    with suppress(OSError):
        with os.scandir(home) as entries:
            for entry in entries:
                os.unlink(entry.path)
        os.rmdir(home)


def sweep(home: Path) -> None:
    """Clear the folders beside ``home`` that proxies which were killed have left behind.

    One without doors may be one that is just being entered, or between the workers of a reload; but not for ``OLD``.
    """
    with suppress(OSError), os.scandir(home.parent) as entries:
        for entry in entries:
            doors = doors_in(Path(entry.path))
            old = time.time() - entry.stat().st_mtime > OLD
            if entry.name != home.name and (doors or old) and all(is_dead(door) for door in doors):
                clear(Path(entry.path))
