"""Whether settings can be used at all, found out before anybody listens, asks, or gives up older ones.

Needs no host and no patched sockets: gunicorn's master asks before its workers patch theirs.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import Iterator

from config import ConfigError, Settings
from proxy.dialects import family_of
from proxy.headers import fixed_headers
from proxy.models import Models
from proxy.upstream.address import read_address
from proxy.upstream.replay import family_for, replayed
from proxy.upstream.replay.recording import is_being_written


def check(settings: Settings) -> None:
    """Raise ConfigError, in one line, for settings that ``create_app`` or every later request would fail on."""
    with _blaming():
        family_of("", settings.dialect)
    check_replay(settings)
    with _blaming("url: "):
        family = family_for(settings)
    with _blaming("url: "):
        read_address(settings.url, family.endpoints, family.base)
    with _blaming("proxy: "):
        read_address(settings.proxy or "demo:")
    with _blaming("header: "):
        fixed_headers(settings.header)
    with _blaming("model_map: "):
        Models(settings.model_map)
    if settings.ca_bundle:
        with _blaming("ca_bundle: "):
            check_certificates(settings.ca_bundle)


def check_replay(settings: Settings) -> None:
    """Raise ConfigError for what says how to reach a provider where none is reached, and the other way round."""
    path = replayed(settings.url)
    if path is None:
        if settings.replay_speed != 1:
            raise ConfigError("replay_speed is of use with --url replay:PATH only")
        return
    for name in ("proxy", "ca_bundle"):
        if getattr(settings, name):
            raise ConfigError(f"{name} is of no use with --url replay:PATH, which reaches no provider")
    if settings.transport != "auto":
        raise ConfigError("transport is of no use with --url replay:PATH, which reaches no provider")
    if not path:
        raise ConfigError("url: give a journal folder, a server_interaction.jsonl or a recording after replay:")
    if settings.log_content != "off" and is_being_written(path, settings.output_path):
        raise ConfigError(f"output_path {settings.output_path} is being replayed: the replay would record itself")


def check_certificates(path: str) -> None:
    """Raise ValueError unless the file can be read and has certificates in it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:  # a kind of OSError
        raise ValueError(f"{path} is no PEM file of certificates") from None
    except OSError as exc:
        raise ValueError(f"{path} cannot be read: {exc.strerror or type(exc).__name__}") from None


@contextmanager
def _blaming(setting: str = "") -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise ConfigError(setting + " ".join(str(exc).split())) from None
