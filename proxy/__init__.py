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
    from flask import Flask

    from config import ConfigError, load
    from proxy.archive import Archive
    from proxy.crew import Crew
    from proxy.dialects import family_of
    from proxy.exchange import Parts
    from proxy.hostlog import guard_host_logs
    from proxy.journal import Journal, configure_log, secrets_of
    from proxy.models import Models
    from proxy.routes.dispatch import mount
    from proxy.soundness import check
    from proxy.upstream.learned import Learned
    from proxy.upstream.provider import Provider

    settings = settings if settings is not None else load()
    check(settings)
    guard_host_logs()
    fixed = [(name, value) for name, _, value in (line.partition(":") for line in settings.header)]
    own = [settings.api_key, *settings.client_keys, settings.admin_token]
    keys = secrets_of(fixed, keys=own, urls=[settings.url, settings.proxy])
    app = Flask(__name__, static_folder=None)
    try:
        configure_log(settings.output_path, settings.log_level, keys)
        family = family_of(settings.url, settings.dialect)
        parts = Parts(
            settings,
            Provider(settings, family.endpoints, family.base),
            Journal(settings.output_path, keys),
            Learned(settings.fallback_ttl),
            family,
            Models(settings.model_map),
            Crew(same_proxy(settings)),
            Archive(settings.output_path),
        )
    except (ValueError, OSError) as exc:
        raise ConfigError(str(exc)) from None
    mount(app, parts)
    return app


def same_proxy(settings: Settings) -> list[str]:
    """What all workers of one proxy say of themselves and no other program does: whose children they are, and where."""
    import os

    place = os.path.realpath(settings.output_path)
    return [str(os.getppid()), place, settings.expose_host, str(settings.expose_port)]
