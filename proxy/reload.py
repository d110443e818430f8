"""Reading the settings again while serving: what is wrong changes nothing, and is told once here and in log.log."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import Any, Callable, Iterable, List, Optional

from config import ConfigError, Settings, guard, load
from proxy.soundness import check

RESTART_ONLY = ("expose_host", "expose_port", "output_path", "workers")

# The settings that gunicorn's master has accepted; its workers, being forks of it, find them here.
_accepted: List[Settings] = []

# The addresses that gunicorn's own command listens at, which --bind may have chosen.
_hosts: List[str] = []


def listens_at(settings: Settings, places: Iterable[Any]) -> None:
    """The master listens at these ``places``, as sockets name them. Raises ConfigError if it must not."""
    for place in places:
        if isinstance(place, tuple):  # a socket in the file system is for those who may open it
            guard(settings, place[0])
            _hosts.append(place[0])


def accept() -> Settings:
    """The settings for gunicorn's own command: those now in force, or after the first time the last sound ones.

    Raises ConfigError the first time only.
    """
    if _accepted:
        settings = again(_accepted[-1], load)
    else:
        settings = load()
        check(settings)
    _accepted[:] = [settings]
    return settings


def accepted() -> Optional[Settings]:
    """What the master of this worker has accepted; None where there is no such master."""
    return _accepted[-1] if _accepted else None


def again(settings: Settings, read: Callable[[], Settings]) -> Settings:
    """What ``read`` gives, but for what only a restart can change; ``settings`` if that cannot be used."""
    try:
        fresh = dataclasses.replace(read(), **{name: getattr(settings, name) for name in RESTART_ONLY})
        check(fresh)
        for host in (fresh.expose_host, *_hosts):  # a closed one in the file would count only from the next start
            guard(fresh, host)
    except ConfigError as exc:
        complain(settings, exc)
        return settings
    return fresh


def complain(settings: Settings, problem: ConfigError) -> None:
    """One line on standard error, and one in log.log, which a master otherwise leaves to its workers."""
    from proxy.journal import configure_log, log, secrets_in

    problem.show()
    with suppress(ValueError):  # the folder is gone: nothing more can be done
        logger = configure_log(settings.output_path, settings.log_level, secrets_in(settings))
        log("the old settings stay", "error", why=problem.message)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
