"""OpenAI-Forward: a truthful LLM proxy. ``create_app`` is the only place where its parts are wired together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from flask import Flask

    from config import Settings


def create_app(settings: Optional[Settings] = None) -> Flask:
    """The WSGI application for ``settings``, or for what the environment and the file say.

    Nothing is imported before it is called, so that a host may patch its sockets first. Raises ConfigError.
    """
    import os

    from flask import Flask

    from config import ConfigError, load
    from proxy.archive import Archive
    from proxy.crew import Crew
    from proxy.crew.place import about
    from proxy.dialects import family_of
    from proxy.exchange import Parts
    from proxy.hostlog import guard_host_logs
    from proxy.journal import Journal, configure_log, policy_of, rotation_of, secrets_of
    from proxy.metrics import Metrics
    from proxy.metrics.exposition import installed
    from proxy.metrics.paths import Paths
    from proxy.models import Models
    from proxy.routes.dispatch import mount, paths_of
    from proxy.soundness import check
    from proxy.upstream.learned import Learned
    from proxy.upstream.provider import Provider

    settings = settings if settings is not None else load()
    check(settings)
    guard_host_logs()
    fixed = [(name, value) for name, _, value in (line.partition(":") for line in settings.header)]
    own = [settings.api_key, *settings.client_keys, settings.admin_token]
    keys = secrets_of(fixed, keys=own, urls=[settings.url, settings.proxy])
    app = Flask(__name__, static_folder=None, template_folder="viewer/templates")
    try:
        configure_log(settings.output_path, settings.log_level, keys, rotation_of(settings))
        family = family_of(settings.url, settings.dialect)
        parts = Parts(
            settings,
            Provider(settings, family.endpoints, family.base),
            Journal(settings.output_path, keys, policy_of(settings)),
            Learned(settings.fallback_ttl),
            family,
            Models(settings.model_map),
            Crew(about(settings, os.getppid())),
            Archive(settings.output_path),
        )
    except (ValueError, OSError) as exc:
        raise ConfigError(str(exc)) from None
    if installed():
        metrics = Metrics(parts.crew.tally, parts.journal, Paths(paths_of(parts)).label)
        parts.observers.append(metrics.observe)
    mount(app, parts)
    return app
