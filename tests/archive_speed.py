"""How quick the archive is: ``python tests/archive_speed.py [EXCHANGES]`` makes a journal, takes it in and asks.

Prints what the issue names: exchanges taken in a second, and milliseconds of each kind of question.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from journals import lid, write  # noqa: E402 - found by the line above

from proxy.archive import Archive, Filter  # noqa: E402

FILTERS: list[dict[str, str]] = [
    {},
    {"outcome": "shutdown"},
    {"status": "404"},
    {"model": "*none*"},
    {"path": "/none*"},
    {"text": "question"},
    {"text": "number77"},
    {"text": "nowhere"},
    {"since": "2026-02-15T13:00", "until": "2026-02-15T13:01"},
]


def quickest(work: Callable[[], Any]) -> float:
    """Milliseconds of the quickest of five tries."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took) * 1000


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for start in range(0, count, 5000):
            write(folder, range(start, min(count, start + 5000)))
        archive = Archive(folder)
        began = time.perf_counter()
        archive.refresh()
        print(f"taking in          {count / (time.perf_counter() - began):9.0f} exchanges/s")
        print(f"nothing new        {quickest(archive.refresh):9.1f} ms")
        for wanted in FILTERS:
            found = Filter.read(wanted)
            print(f"rows               {quickest(lambda found=found: archive.rows(found)):9.1f} ms  {wanted}")
        print(f"histogram          {quickest(lambda: archive.histogram(Filter())):9.1f} ms")
        print(f"stats              {quickest(lambda: archive.stats(Filter())):9.1f} ms")
        print(f"one exchange       {quickest(lambda: archive.one(lid(count // 2))):9.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
