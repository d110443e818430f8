"""The settings: declared once, read from flags, environment and file, shown to people. Knows nothing of the proxy."""

from __future__ import annotations

from config.command import COMMANDS, command, program, secret_flags
from config.hosting import KEEPALIVE, address, clear_errors, gunicorn_options
from config.reading import guard, hashed, is_loopback, load
from config.settings import SETTINGS, ConfigError, Setting, Settings
from config.showing import in_force, listing, mask_url, table

__all__ = [
    "COMMANDS",
    "KEEPALIVE",
    "SETTINGS",
    "ConfigError",
    "Setting",
    "Settings",
    "address",
    "clear_errors",
    "command",
    "guard",
    "gunicorn_options",
    "hashed",
    "in_force",
    "is_loopback",
    "listing",
    "load",
    "mask_url",
    "program",
    "secret_flags",
    "table",
]
