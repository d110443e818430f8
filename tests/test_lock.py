"""requirements.lock pins what requirements.txt allows, once for each Python we promise and each system."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
MINORS = range(8, 14)
SYSTEMS = {
    "linux": ("linux", "Linux", "posix"),
    "win32": ("win32", "Windows", "nt"),
    "darwin": ("darwin", "Darwin", "posix"),
}
ENTRY = re.compile(r"^(\S[^\\\n]*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M)


def wanted() -> list[Requirement]:
    """What we depend on, as declared."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def locked() -> list[Requirement]:
    """Every pin of the lock."""
    return [Requirement(text) for text, _ in ENTRY.findall((ROOT / "requirements.lock").read_text())]


def environment(minor: int, system: str) -> dict[str, str]:
    """The markers' variables on a Python 3.``minor`` of that system."""
    platform, name, kind = SYSTEMS[system]
    version = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9"}
    return {**version, "sys_platform": platform, "platform_system": name, "os_name": kind}


def here(requirements: list[Requirement], where: dict[str, str]) -> dict[str, list[Requirement]]:
    """Those that count there, by name."""
    found: dict[str, list[Requirement]] = {}
    for one in requirements:
        if one.marker is None or one.marker.evaluate(where):
            found.setdefault(canonicalize_name(one.name), []).append(one)
    return found


def pin_of(one: Requirement) -> str:
    """The one version that a pin allows."""
    (only,) = one.specifier
    assert only.operator == "==" and "*" not in only.version, one
    return only.version


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("minor", MINORS)
def test_what_we_depend_on_is_pinned_once_and_within_its_bounds(minor, system):
    where = environment(minor, system)
    pins = here(locked(), where)
    assert [name for name, several in pins.items() if len(several) > 1] == []
    needs = here(wanted(), where)
    assert {"flask", "gevent", "requests", "msgspec"} <= set(needs) and ("gunicorn" in needs) == (system != "win32")
    for name, several in needs.items():
        for need in several:
            assert need.specifier.contains(pin_of(pins[name][0])), f"{need} is locked as {pins[name][0]}: make lock"


def test_what_is_pinned_for_this_python_is_all_that_the_pinned_releases_need():
    pins = here(locked(), {})
    installed = {canonicalize_name(one.metadata["Name"]): one for one in metadata.distributions()}
    for name, (pin,) in pins.items():
        if name in installed and installed[name].version == pin_of(pin):
            needs = [Requirement(text) for text in installed[name].requires or []]
            for other in here(needs, {"extra": ""}):
                assert other in pins, f"{name} needs {other}, which is not locked: make lock"


def test_every_line_of_the_lock_is_a_pin_with_hashes_and_names_no_registry():
    text = (ROOT / "requirements.lock").read_text()
    rest = [line for line in ENTRY.sub("", text).splitlines() if line and not line.startswith("#")]
    assert rest == [] and len(locked()) > 20
    assert "://" not in text and "index" not in text
