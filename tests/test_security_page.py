"""SECURITY.md says what is true: the settings, commands and headers it names are those that exist."""

from __future__ import annotations

import re
from pathlib import Path

from config import SETTINGS
from proxy.headers import HOP_BY_HOP, PREFIXES, PRIVATE
from proxy.routes.tokens import TRIES, WINDOW
from proxy.upstream.decoding import FREE, GROWTH

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_flag_it_names_exists():
    named = set(re.findall(r"`--(\w+)", PAGE)) - {"version", "bind"}  # the latter is gunicorn's
    assert len(named) > 6 and named <= set(SETTINGS)


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", PAGE)) <= targets


def test_the_headers_it_says_stop_here_do():
    assert {"cookie", "forwarded", "x-real-ip", "via"} <= PRIVATE and {"proxy-", "x-forwarded-"} <= set(PREFIXES)
    assert "transfer-encoding" in HOP_BY_HOP


def test_the_numbers_it_says_are_those_in_force():
    assert (FREE >> 20, GROWTH) == (64, 10) and "64 MB" in PAGE and "ten times" in PAGE
    assert (TRIES, WINDOW) == (10, 60.0) and "ten wrong ones in a minute" in PAGE
