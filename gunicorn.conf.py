"""`gunicorn wsgi:app` takes host, port, workers and limits from the same settings as everything else."""

from typing import Any, Callable

from config import clear_errors, gunicorn_options
from proxy.descriptors import warn_of_few_descriptors
from proxy.leaving import expecting, newborn, unhurried
from proxy.reload import accept, listens_at

with clear_errors():
    settings = accept()  # after SIGHUP the last sound ones, whatever the file says now

warn_of_few_descriptors(settings)
globals().update(gunicorn_options(settings))


def when_ready(master: Any) -> None:
    """In the master, which listens and has no worker yet: ``--bind`` may have said more than the settings know."""
    with clear_errors():
        listens_at(settings, [listener.getsockname() for listener in master.LISTENERS])


def pre_fork(master: Any, worker: Any) -> None:
    """In the master, before each worker."""
    expecting()


def post_fork(master: Any, worker: Any) -> None:
    """In each worker, before anything else: being told to stop counts from the first moment."""
    newborn(worker)


def post_worker_init(worker: Any) -> None:
    """In each worker, once it can serve: leave well when told to stop."""
    from proxy.leaving import prepare  # not above: the worker patches sockets first

    prepare(worker, settings)


def ssl_context(config: Any, usual: Callable[[], Any]) -> Any:
    """Where ``--certfile`` is given: who never agrees on TLS is waited for as long as for a request."""
    return unhurried(usual(), settings.client_timeout)


def on_exit(master: Any) -> None:
    """In the master, when all workers have ended: nothing stays behind."""
    from proxy.crew.place import leave_nothing

    leave_nothing(settings)
