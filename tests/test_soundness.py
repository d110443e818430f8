"""Settings that cannot work are refused before anything is opened for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config import ConfigError, Settings
from proxy import create_app
from proxy.soundness import check

ROOT = Path(__file__).resolve().parent.parent


def settings(tmp_path, **given):
    return Settings(**{"url": "https://h/v1", "output_path": str(tmp_path), **given})


@pytest.mark.parametrize(
    "given, told",
    [
        ({"url": "http://ex\\ample/v1"}, "url: the URL has a backslash"),
        ({"url": "http://%zz/v1"}, "url: the URL has no valid host"),
        ({"url": "http://[fe80::1%25eth0]/v1"}, "url: the URL has no valid host"),
        ({"url": "http://.\xe9/v1"}, "url: the URL has no valid host"),
        ({"proxy": "http://a..b:3128"}, "proxy: the URL has no valid host"),
        ({"header": ("Host: x",)}, "header: 'Host' "),
        ({"header": ("Connection: x",)}, "header: 'Connection' "),
        ({"dialect": "morse"}, "dialect 'morse' is not one of"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(tmp_path, given, told):
    for refuse in (check, create_app):
        with pytest.raises(ConfigError) as caught:
            refuse(settings(tmp_path, **given))
        assert caught.value.message.startswith(told) and "\n" not in caught.value.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [None, b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_certificates_that_are_none_are_refused(tmp_path, content):
    bundle = tmp_path / "bundle.pem"
    bundle.mkdir() if content is None else bundle.write_bytes(content)
    for refuse in (check, create_app):
        with pytest.raises(ConfigError, match="ca_bundle: .*bundle.pem (cannot be read|is no PEM file)"):
            refuse(settings(tmp_path / "out", ca_bundle=str(bundle)))


def test_certificates_are_taken(tmp_path, certificate):
    check(settings(tmp_path, ca_bundle=str(certificate[0])))


def test_the_check_imports_nothing_that_must_be_patched_first():
    code = "import sys, proxy.reload; print({'requests', 'urllib3', 'flask', 'gevent'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert told.stdout == "set()\n", told.stderr
