"""`gunicorn wsgi:app` takes host, port, workers and limits from the same settings as everything else."""

from typing import Any

from config import clear_errors, gunicorn_options, load

with clear_errors():
    settings = load()

globals().update(gunicorn_options(settings))


def post_worker_init(worker: Any) -> None:
    """In each worker, once it can serve: leave well when told to stop."""
    from proxy.leaving import prepare  # not above: the worker patches sockets first

    prepare(worker, settings)
