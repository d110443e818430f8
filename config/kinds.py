"""What a setting's value may be: how each kind reads a text or a TOML value, and what it says of a wrong one.

A reader returns the value or raises ValueError; the caller names the setting and where the value came from.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any, Callable, NamedTuple, NoReturn, Optional, Tuple, TypeVar
from urllib.parse import urlsplit

N = TypeVar("N", int, float)

BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
MODES = {"stream": True, "non_stream": False, "off": None}  # None: ask as the client does
LEVELS = ("debug", "info", "warning", "error")
HASHED = "sha256:"  # what stands for a key in a file
EMBEDDED = ("demo", "replay")  # schemes answered inside the process: no host, no network

_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"(\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_ALIAS = re.compile(r"([^=;\s]+)=([^=;\s]+)(?:;mode=(\w+))?")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\U0010ffff]*)")


class Kind(NamedTuple):
    """How one sort of setting is read and described; ``metavar`` stands for its value in ``--help``."""

    metavar: str
    expected: str
    read: Callable[[Any], Any]
    flag: bool = False  # may be given bare on the command line, meaning true
    separator: Optional[str] = None  # None: takes one value; else a regular expression that parts several in one text


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or any(sign in value for sign in "\r\n\0"):
        raise ValueError
    return value.strip()


def text(expected: str, metavar: str = "TEXT") -> Kind:
    """Any one line that is not empty."""
    return Kind(metavar, expected, _text)


def key() -> Kind:
    """A credential that fits into one header: printable ASCII, as RFC 6750 2.1 has it and every client can send."""

    def read(value: Any) -> str:
        given = _text(value)
        return given if re.fullmatch(r"[\x20-\x7e]+", given) else _refuse()

    return Kind("KEY", "a key of printable ASCII characters", read)


def hashable() -> Kind:
    """A credential that others show: as it is, or as ``sha256:`` and the 64 hex digits of its hash."""
    plain = key()

    def read(value: Any) -> str:
        given: str = plain.read(value)
        if not given.lower().startswith(HASHED):
            return given
        return given.lower() if re.fullmatch(r"[0-9a-f]{64}", given[len(HASHED) :], re.IGNORECASE) else _refuse()

    return plain._replace(expected=f"{plain.expected}, or {HASHED} and its 64 hex digits", read=read)


def choice(*values: str) -> Kind:
    """One of ``values``, spelled exactly so."""

    def read(value: Any) -> str:
        return values[values.index(_text(value))]

    return Kind("[" + "|".join(values) + "]", "one of " + ", ".join(values), read)


def boolean() -> Kind:
    """1, true, 0 or false in any case; in TOML also the bare words."""

    def read(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        try:
            return BOOLEANS[_text(value).lower()]
        except KeyError:
            raise ValueError from None

    return Kind("[true|false]", "1, true, 0 or false", read, flag=True)


def whole(least: int, most: Optional[int] = None, unit: str = "") -> Kind:
    """A whole number within bounds."""

    def read(value: Any) -> int:
        if isinstance(value, (bool, float)):
            raise ValueError
        number = value if isinstance(value, int) else int(_digits(value))
        return _within(number, least, most)

    return Kind(unit.upper() or "N", f"a whole number{_of(unit)}{_bounds(least, most)}", read)


def seconds(least: float = 0, most: float = 10_000_000) -> Kind:
    """A finite number of seconds; fractions are welcome. Ten million is about what a timer can count."""

    def read(value: Any) -> float:
        if isinstance(value, bool):
            raise ValueError
        number = float(value if isinstance(value, (int, float)) else _text(value))
        return _within(number, least, most) if math.isfinite(number) else _refuse()

    return Kind("SECONDS", f"a number of seconds{_bounds(least, most)}", read)


def size(least: int = 0, most: Optional[int] = None) -> Kind:
    """A number of bytes, plain or with K, M, G (KiB, MiB, GiB: powers of 1024)."""

    def read(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return _within(value, least, most)
        found = _SIZE.fullmatch(_text(value))
        return _within(int(found[1]) * _BYTES[found[2].lower()], least, most) if found else _refuse()

    return Kind("BYTES", f"a number of bytes, plain or like 64MiB{_bounds(least, most)}", read)


def optional(kind: Kind) -> Kind:
    """The same, or ``none``."""

    def read(value: Any) -> Any:
        return None if value == "none" else kind.read(value)

    return kind._replace(expected=kind.expected + ", or none", read=read)


def several(kind: Kind, separator: str) -> Kind:
    """A tuple: a flag given several times, a TOML list, or one text parted at ``separator`` (a regular expression)."""

    def read(value: Any) -> Tuple[Any, ...]:
        given = value if isinstance(value, (list, tuple)) else [value]
        parts = [part for one in given for part in re.split(separator, _plain(one)) if part.strip()]
        return tuple(kind.read(part) for part in parts) if parts or value in ([], ()) else _refuse()

    return kind._replace(read=read, separator=separator)


def alias() -> Kind:
    """One model name and what it stands for, ``ALIAS=MODEL``; ``;mode=stream`` may follow."""

    def read(value: Any) -> str:
        found = _ALIAS.fullmatch(_text(value).strip())
        if not found or (found[3] and found[3] not in MODES):
            raise ValueError
        return found[0]

    return Kind("ALIAS=MODEL", "ALIAS=MODEL, or ALIAS=MODEL;mode=stream", read)


def header() -> Kind:
    """One header line, ``Name: value``, that can be sent as it stands."""

    def read(value: Any) -> str:
        found = _HEADER.fullmatch(_text(value))
        if not found or not found[2].strip():
            raise ValueError
        found[2].encode("latin-1")  # UnicodeEncodeError is a ValueError
        return f"{found[1]}: {found[2].strip()}"

    return Kind("'NAME: VALUE'", "a header like 'Name: value'", read)


def url(expected: str, *, embedded: Tuple[str, ...] = (), bare: bool = False) -> Kind:
    """An http or https URL with a host; ``embedded`` schemes need none; ``bare`` allows neither path nor query."""

    def read(value: Any) -> str:
        given = _text(value)
        if given.partition(":")[0].lower() in embedded and ":" in given:
            return given
        parts = urlsplit(given)
        sound = parts.scheme in ("http", "https") and parts.hostname and not re.search(r"[\s#]", given)
        if not sound or parts.port == 0 or (bare and parts.path + parts.query != ""):  # .port raises ValueError
            raise ValueError
        return given

    return Kind("URL", expected, read)


def existing(expected: str) -> Kind:
    """The path of a file (or folder) that is there."""

    def read(value: Any) -> str:
        path = os.path.expanduser(_text(value))
        return path if os.path.exists(path) else _refuse()

    return Kind("PATH", expected, read)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _refuse()


def _digits(value: Any) -> str:
    given = _text(value)
    return given if re.fullmatch(r"-?[0-9]{1,18}", given) else _refuse()


def _within(number: N, least: float, most: Optional[float]) -> N:
    return number if least <= number <= (math.inf if most is None else most) else _refuse()


def _refuse() -> NoReturn:
    raise ValueError


def _of(unit: str) -> str:
    return f" of {unit}" if unit else ""


def _bounds(least: float, most: Optional[float]) -> str:
    return f", {least:,} or more" if most is None else f" from {least:,} to {most:,}"
