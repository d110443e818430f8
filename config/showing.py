"""How settings are shown to people: masked where they are secret, as a table for the README, as a list for `config`."""

from __future__ import annotations

import re
from typing import Any, Dict, List

from config.settings import SETTINGS, Setting, Settings

MASK = "***"

_QUERY_SECRET = re.compile(
    r"(?i)([?&][^=&#]*(?:key|token|secret|password|signature|sig|auth|credential)[^=&#]*=)[^&#]*"
)


def mask_url(url: str) -> str:
    """``url`` without its userinfo and without what its query calls a key, fit for a terminal or a log."""
    scheme, mark, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        rest = MASK + rest[authority.rindex("@") :]
    return _QUERY_SECRET.sub(r"\1" + MASK, scheme + mark + rest)


def mask_wrong(setting: Setting, value: Any) -> str:
    """A value that could not be read, as an error may quote it: at most 80 characters, nothing secret in it."""
    if setting.mask in ("all", "value"):
        return MASK
    told = value if isinstance(value, str) else repr(value)
    if setting.mask == "url":  # nobody knows where the userinfo of a broken URL ends: all before the last @ may be it
        told = _QUERY_SECRET.sub(r"\1" + MASK, re.sub(r"^(\w+:/*)?.*@", r"\1" + MASK + "@", told, flags=re.DOTALL))
    quoted = repr(told) if isinstance(value, str) else told
    return quoted if len(quoted) <= 80 else quoted[:77] + "..."


def shown(name: str, value: Any) -> Any:
    """The value of the setting ``name`` as it may be shown; the same type where nothing is secret."""
    if isinstance(value, tuple):
        return tuple(_masked(SETTINGS[name].mask, one) for one in value)
    return _masked(SETTINGS[name].mask, value) if value else value


def _masked(mask: str, value: Any) -> Any:
    if mask == "all":
        return MASK
    if mask == "value":
        return value.partition(":")[0] + ": " + MASK
    return mask_url(value) if mask == "url" else value


def spelled(value: Any) -> str:
    """A value as one would type it."""
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_force(settings: Settings) -> List[Dict[str, Any]]:
    """Every setting with its ``value`` (masked) and its ``origin``, in the order of their declaration."""
    return [
        {"name": name, "value": shown(name, getattr(settings, name)), "origin": settings.origins.get(name, "default")}
        for name in SETTINGS
    ]


def listing(settings: Settings) -> str:
    """What ``config`` prints: a line for each setting, with its value and where that came from."""
    rows = [(row["name"], spelled(row["value"]), row["origin"]) for row in in_force(settings)]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:<{wide[0]}}  {value:<{wide[1]}}  {origin}" for name, value, origin in rows)


def table() -> str:
    """The README's table of settings, in Markdown, without a trailing newline."""
    head = ["| flag | environment | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join(head + [_row(setting) for setting in SETTINGS.values()])


def _row(setting: Setting) -> str:
    flags = ", ".join(f"`{flag}`" for flag in [setting.flag, *setting.aliases])
    bounded = setting.kind.expected.startswith(("one of", "a number", "a whole number"))
    meaning = f"{setting.help} ({setting.kind.expected})" if bounded else setting.help
    return f"| {flags} | `{setting.environment}` | `{default_of(setting)}` | {meaning} |"


def default_of(setting: Setting) -> str:
    """The default as help and table show it."""
    value = setting.default
    if "number of bytes" in setting.kind.expected and value and value % (1 << 20) == 0:
        return f"{value >> 20}MiB"
    return spelled(value)
