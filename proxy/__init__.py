"""OpenAI-Forward: a truthful LLM proxy. ``create_app`` is the only place where its parts are wired together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from flask import Flask

    from config import Settings
    from proxy.exchange import Parts


def create_app(settings: Optional[Settings] = None) -> Flask:
    """The WSGI application for ``settings``, or for what the environment and the file say.

    Nothing is imported before it is called, so that a host may patch its sockets first. Raises ConfigError.
    """
    from flask import Flask

    from config import load
    from proxy.hostlog import guard_host_logs
    from proxy.observing import observed
    from proxy.routes.dispatch import mount, paths_of
    from proxy.soundness import check

    settings = settings if settings is not None else load()
    check(settings)
    guard_host_logs()
    app = Flask(__name__, static_folder=None, template_folder="viewer/templates")
    parts = _parts(settings)
    mount(app, observed(parts, paths_of(parts)))
    return app


def _parts(settings: Settings) -> Parts:
    """What the application is made of. Raises ConfigError where a setting is of no use here."""
    from config import ConfigError
    from proxy.archive import Archive
    from proxy.crew import Crew
    from proxy.crew.place import about
    from proxy.exchange import Parts
    from proxy.journal import Journal, configure_log, policy_of, rotation_of, secrets_in
    from proxy.models import Models
    from proxy.upstream.learned import Learned
    from proxy.upstream.provider import Provider
    from proxy.upstream.replay import family_for

    keys = secrets_in(settings)
    try:
        configure_log(settings.output_path, settings.log_level, keys, rotation_of(settings))
        family = family_for(settings)
        return Parts(
            settings,
            Provider(settings, family.endpoints, family.base),
            Journal(settings.output_path, keys, policy_of(settings)),
            Learned(settings.fallback_ttl),
            family,
            Models(settings.model_map),
            Crew(about(settings)),
            Archive(settings.output_path),
        )
    except (ValueError, OSError) as exc:
        raise ConfigError(str(exc)) from None
