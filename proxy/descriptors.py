"""File descriptors: as many as may be, and how many clients they are enough for."""

from __future__ import annotations

import sys

from config import Settings

OWN = 32  # that a worker has for itself: files, the loop, its door for the other workers


def clients_allowed() -> int:
    """How many there may be, each of whom may need another descriptor for a connection to the provider."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, (soft - OWN) // 2)


def warn_of_few_descriptors(settings: Settings) -> None:
    """Raise the soft limit of open files as far as one may, and warn if an exchange's two sockets will not fit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    needed = 2 * (settings.max_exchanges + settings.queue) + 128
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != resource.RLIM_INFINITY and soft < needed:
        told = f"{settings.max_exchanges} exchanges need {needed} open files and only {soft} are allowed (ulimit -n)"
        print(f"Warning: {told}", file=sys.stderr, flush=True)
