"""What the kernel says about a process and all its descendants: CPU time, memory. Knows nothing of what they are."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import List

SCHED = 2  # CPUCLOCK_SCHED: all threads of a process, in nanoseconds; what clock_getcpuclockid(3) gives on Linux


def family(pid: int) -> List[int]:
    """A process and all its descendants; of 0, nobody."""
    if not pid:
        return []
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [one for word in path.read_text().split() for one in family(int(word))]
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU that a process and its living descendants have used: user and system, all threads."""
    total = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            total += time.clock_gettime((~one << 3) | SCHED)
    return total


def _kilobytes(pid: int, name: str, file: str) -> int:
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.M)
        return int(found.group(1)) if found else 0
    return 0


def memory(pid: int) -> int:
    """Bytes of memory that belong to the family: pages shared by several processes count in parts (PSS)."""
    return 1024 * sum(_kilobytes(one, "Pss", "smaps_rollup") for one in family(pid))


def resident(pid: int) -> int:
    """Resident memory of one process, in bytes."""
    return 1024 * _kilobytes(pid, "VmRSS", "status")


def forget_peak(pid: int) -> None:
    """Let the peak of resident memory begin anew, for each of the family."""
    for one in family(pid):
        with contextlib.suppress(OSError):
            Path(f"/proc/{one}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """The peaks of resident memory of the family, added up, in bytes."""
    return 1024 * sum(_kilobytes(one, "VmHWM", "status") for one in family(pid))


def waited(pid: int) -> float:
    """Seconds that the family's living threads were ready to run and had no processor."""
    total = 0
    for one in family(pid):
        for path in Path(f"/proc/{one}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(path.read_text().split()[1])
    return total / 1e9
