"""Where settings come from: flags before the environment before a TOML file before the defaults."""

from __future__ import annotations

import difflib
import os
import re
import sys
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import unquote_plus

from config import kinds
from config.command import given_flags
from config.settings import SETTINGS, ConfigError, Setting, Settings
from config.showing import mask_wrong

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NO_URL = "give --url, for example https://api.openai.com/v1/chat/completions, demo: or replay:PATH"
NO_KEY = "--client_keys needs --api_key: clients' keys are removed, so the provider would get none"

OPEN = (
    "with {}, whoever reaches {} could ask at your cost: give --api_key with --client_keys, "
    "or --expose_host 127.0.0.1, or --allow_open if that is meant"
)

# Names of headers and of query parameters under which providers take a credential
_CREDENTIAL = re.compile(
    r"(?:.*[-_.])?(?:authorization|auth|api[-_.]?key|apikey|key|token|secret|password|passwd|sig|signature|credential|cookie)"
    r"|.*(?:apikey|token|secret)",
    re.IGNORECASE,
)


class Given(NamedTuple):
    """A value somebody gave: as it came, what kind of place it came from, and the words that name the very place."""

    value: Any
    origin: str
    place: str


def load(argv: Sequence[str] = (), environ: Optional[Mapping[str, str]] = None, *, serving: bool = True) -> Settings:
    """Read settings from flags, then the environment, then the TOML file they name, then the defaults.

    Raises ConfigError, whose text is one line that names setting, value and place. ``serving`` also asks for what a
    proxy cannot run without; the ``config`` command does not.
    """
    given = {**_from_environment(os.environ if environ is None else environ), **_from_flags(argv)}
    named = given.get("config")
    filed = {} if named is None else _from_file(_read(SETTINGS["config"], named))
    values = {name: _read(SETTINGS[name], one) for name, one in {**filed, **given}.items()}
    if "model_map" in filed and "model_map" in given:
        values["model_map"] = _joined(values["model_map"], _read(SETTINGS["model_map"], filed["model_map"]))
    given = {**filed, **given}
    origins = {name: given[name].origin if name in given else "default" for name in SETTINGS}
    settings = Settings(**values, origins=origins)
    if serving:
        _check(settings)
    return settings


def _check(settings: Settings) -> None:
    if not settings.url:
        raise ConfigError(NO_URL)
    if settings.client_keys and not settings.api_key:
        raise ConfigError(NO_KEY)
    guard(settings, settings.expose_host)


def guard(settings: Settings, host: str) -> None:
    """Raise ConfigError if the operator's own credential would be lent to whoever can reach the address ``host``."""
    lent = credential(settings)
    if lent and not (settings.client_keys or settings.allow_open or is_loopback(host)):
        raise ConfigError(OPEN.format(lent, host))


def credential(settings: Settings) -> str:
    """Where the operator's own credential for the provider comes from, in words; empty if there is none."""
    if settings.api_key:
        return "--api_key"
    for line in settings.header:
        name = line.partition(":")[0]
        if _CREDENTIAL.fullmatch(name):
            return f"--header {name}"
    rest = settings.url.partition(":")[2].partition("#")[0]
    place, _, query = rest.partition("?")
    if "@" in place.lstrip("/").partition("/")[0]:
        return "a user in --url"
    names = (unquote_plus(pair.partition("=")[0]) for pair in re.split("[&;]", query))
    return next((f"{name} in --url" for name in names if _CREDENTIAL.fullmatch(name)), "")


def hashed(given: str) -> str:
    """What a file holds in place of a client key. Raises ConfigError for what no client could show."""
    try:
        return kinds.HASHED + sha256(kinds.key().read(given.strip()).encode()).hexdigest()
    except ValueError:
        raise ConfigError(f"that is not {kinds.key().expected}") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _from_flags(argv: Sequence[str]) -> Dict[str, Given]:
    return {name: Given(value, "flag", flag) for name, (value, flag) in given_flags(argv).items()}


def _from_environment(environ: Mapping[str, str]) -> Dict[str, Given]:
    # An empty variable is one that was not set: container files pass FORWARD_X="${X}" along.
    found = {name: (setting.environment, environ.get(setting.environment, "")) for name, setting in SETTINGS.items()}
    return {name: Given(value, "environment", place) for name, (place, value) in found.items() if value.strip()}


def _from_file(path: str) -> Dict[str, Given]:
    given: Dict[str, Given] = {}
    for key, value in _parsed(path).items():
        if key == "models" and isinstance(value, dict):
            given["model_map"] = Given(_aliases(path, value), "file", f"{path}:[models]")
            continue
        name = key.replace("-", "_")
        if name not in SETTINGS or not SETTINGS[name].in_file or isinstance(value, dict):
            raise ConfigError(f"{path}: {_unknown(key, value)}")
        if name in given:
            raise ConfigError(f"{path}: {name} is given twice, as {key} and {given[name].place.rpartition(':')[2]}")
        given[name] = Given(value, "file", f"{path}:{key}")
    return given


def _joined(entries: Tuple[str, ...], filed: Tuple[str, ...]) -> Tuple[str, ...]:
    """The map of models from both places: an alias means what was said nearer to the start."""
    said = {entry.partition("=")[0].strip() for entry in entries}
    return (*entries, *(entry for entry in filed if entry.partition("=")[0].strip() not in said))


def _aliases(path: str, table: Dict[str, Any]) -> List[str]:
    """The [models] table as --model_map has it: ``alias = "model"`` or ``alias = {model = "...", mode = "stream"}``."""
    entries = []
    for alias, target in table.items():
        told = target if isinstance(target, dict) else {"model": target}
        model, mode = told.get("model"), told.get("mode")
        if not isinstance(model, str) or not isinstance(mode, (str, type(None))) or set(told) - {"model", "mode"}:
            raise ConfigError(f"{path}: models.{alias} must be a model's name, or {{model = ..., mode = ...}}")
        entries.append(f"{alias}={model}" + (f";mode={mode}" if mode else ""))
    return entries


def _parsed(path: str) -> Dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from None
    except ValueError as exc:  # TOMLDecodeError and UnicodeDecodeError
        raise ConfigError(f"{path} is not TOML: {' '.join(str(exc).split())}") from None


def _unknown(key: str, value: Any) -> str:
    what = f"[{key}] is not a table of settings" if isinstance(value, dict) else f"{key} is not a setting"
    if key in SETTINGS and not SETTINGS[key].in_file:
        what = f"{key} cannot be set in a file"
    names = [name for name in SETTINGS if SETTINGS[name].in_file and name != key]
    near = difflib.get_close_matches(key.replace("-", "_").lower(), names, n=1)
    return f"{what}; did you mean {near[0]}?" if near else what


def _read(setting: Setting, given: Given) -> Any:
    try:
        return setting.kind.read(given.value)
    except ValueError:
        told = mask_wrong(setting, given.value)
        expected = setting.kind.expected
        raise ConfigError(f"{setting.name} must be {expected}, not {told} (from {given.place})") from None
