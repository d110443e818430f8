"""log.log: one structured line an event, at its level, for its owner alone, and without credentials."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.journal import Journal, Record, configure_log, fingerprint, log, remember, secrets_of
from proxy.journal.log import LOG_FILE, MEMORY, _recent

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} (DEBUG|INFO|WARNING|ERROR) .*")


@pytest.fixture()
def logger(tmp_path):
    logger = configure_log(tmp_path, "info", ["settings-secret-1"])
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def said(tmp_path):
    return (tmp_path / LOG_FILE).read_text("utf-8")


def test_a_line_has_time_level_message_and_fields(tmp_path, logger):
    log("exchange ended", status=200, ms=12.34567, model="a b", empty="", none=None, path="/v1/x?y=1")
    line = said(tmp_path)
    assert LINE.fullmatch(line.rstrip("\n"))
    assert line.endswith(' INFO exchange ended status=200 ms=12.346 model="a b" empty="" none=None path="/v1/x?y=1"\n')


def test_the_standard_library_s_way_of_logging_works_too(tmp_path, logger):
    logger.warning("took %d ms", 5)
    logging.getLogger("proxy.upstream").error("child")
    assert [line.split(" ", 1)[1] for line in said(tmp_path).splitlines()] == ["WARNING took 5 ms", "ERROR child"]


@pytest.mark.parametrize("level, want", [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_a_setting(tmp_path, logger, level, want):
    configure_log(tmp_path, level)
    for each in ("debug", "info", "warning", "error"):
        log("x", level=each)
    assert said(tmp_path).count("\n") == want


def test_an_unknown_level_is_one_clear_line(tmp_path):
    with pytest.raises(ValueError, match="^log_level 'loud' is not one of debug, info, warning, error$"):
        configure_log(tmp_path, "loud")


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="^output_path '.*file' is not writable: [A-Z][a-z ]+$"):
        configure_log(tmp_path / "file", "info")


def test_the_file_is_for_its_owner_alone(tmp_path, logger):
    assert stat.S_IMODE((tmp_path / LOG_FILE).stat().st_mode) == 0o600


def test_configuring_again_replaces_the_first(tmp_path, logger):
    configure_log(tmp_path, "info")
    configure_log(tmp_path / "other", "info")
    log("once")
    assert not said(tmp_path)
    assert said(tmp_path / "other").count("once") == 1
    assert configure_log(tmp_path, "info") is logger


# Not in this process, where pytest listens to every logger.
LOUD = """
import logging, sys
logging.basicConfig(level="DEBUG")
from proxy.journal import configure_log, log
configure_log(sys.argv[1], "info").error("%d", "x")
log("quiet")
"""


def test_nothing_reaches_the_root_logger_and_a_broken_format_string_breaks_nobody(tmp_path):
    command = [sys.executable, "-c", LOUD, str(tmp_path)]
    done = subprocess.run(command, cwd=str(ROOT), check=True, timeout=30, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert "a log line could not be made why=TypeError" in said(tmp_path)
    assert said(tmp_path).endswith("INFO quiet\n")


@pytest.mark.parametrize("evil", ["a\nb", "a\r\nb", "a\u2028b", "a\x1b[31mb", "a\ud800b"])
def test_no_text_can_forge_a_line(tmp_path, logger, evil):
    log(evil, field=evil)
    logger.error(evil)
    try:
        raise ValueError(evil)
    except ValueError:
        logger.exception("failed")
    lines = said(tmp_path).splitlines()
    assert all(LINE.fullmatch(line) or line.startswith("  ") for line in lines)
    assert sum(bool(LINE.fullmatch(line)) for line in lines) == 3
    assert "\x1b" not in said(tmp_path)


def test_a_traceback_follows_its_line_indented(tmp_path, logger):
    try:
        raise KeyError("missing")
    except KeyError:
        logger.exception("bug", extra={"fields": {"logging_id": "42"}})
    first, *rest = said(tmp_path).splitlines()
    assert first.endswith("ERROR bug logging_id=42")
    assert rest[0] == "  Traceback (most recent call last):"
    assert rest[-1] == "  KeyError: 'missing'"


# --- credentials

SECRETS = ["settings-secret-1", "client-secret-22", "pass/word+3"]


@pytest.fixture()
def informed(logger):
    remember(secrets_of([("Authorization", "Bearer client-secret-22")], urls=["http://u:pass%2Fword+3@h"]))


@pytest.mark.parametrize("secret", SECRETS)
def test_no_credential_of_settings_or_exchange_is_in_a_message_field_or_traceback(tmp_path, informed, secret):
    log(f"message {secret}!", field=secret, name={"nested": [secret]})
    logging.getLogger("proxy").error("%s", f"x{secret}x")
    try:
        raise RuntimeError(f"echoed {secret}")
    except RuntimeError:
        logging.getLogger("proxy").exception("failed with %s", secret)
    assert secret not in said(tmp_path)
    assert said(tmp_path).count(fingerprint(secret)) >= 5


UNKNOWN = [
    "Authorization: Bearer canary",
    "{'x-api-key': 'canary'}",
    "('api-key', 'canary')",
    "/v1/models?key=canary&x=1",
    "https://me:canary@host/v1",
    "Cookie: session=canary; other=canary",
    "HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /v1?api_key=canary",
    "AuthenticationError: Incorrect API key provided: sk-canary1234567",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_values_under_known_names_are_hidden_though_nobody_knew_them(tmp_path, logger, text):
    log(text, field=text)
    try:
        raise OSError(text)
    except OSError:
        logger.exception("failed")
    assert "canary" not in said(tmp_path)


@pytest.fixture()
def odd_credentials():
    """Credentials that are the very words by which those of others are found."""
    words = "Bearer bearer Authorization authorization x-api-key api-key api_key Cookie session ?key= /v1/models?key"
    words += " https:// https://me me sk- sk-canar provided"
    remember([*words.split(), "Authorization: "])
    yield
    _recent.clear()


@pytest.mark.parametrize("text", UNKNOWN)
def test_no_credential_of_one_client_lets_those_of_others_be_seen(tmp_path, logger, odd_credentials, text):
    log(text)
    assert "canary" not in said(tmp_path) and "y1234567" not in said(tmp_path)


def test_only_so_many_credentials_are_remembered(tmp_path, logger):
    remember(f"remembered-{number}" for number in range(MEMORY + 1))
    log("x", old="remembered-0", new=f"remembered-{MEMORY}")
    assert "remembered-0" in said(tmp_path)
    assert f"remembered-{MEMORY}" not in said(tmp_path)


CANARY = "canary-secret-0123"
EXCHANGES = [
    secrets_of([("Authorization", f"Bearer {CANARY}")]),
    secrets_of([("x-api-key", CANARY)]),
    secrets_of([("api-key", CANARY)]),
    secrets_of(query=f"key={CANARY}"),
    secrets_of(urls=[f"https://user:{CANARY}@host/v1"]),
    secrets_of([("Cookie", f"sid={CANARY}")]),
]


@pytest.mark.parametrize("secrets", EXCHANGES, ids=["authorization", "x-api-key", "api-key", "query", "url", "cookie"])
def test_no_file_of_the_folder_shows_a_canary(tmp_path, logger, secrets):
    remember(secrets)
    journal = Journal(tmp_path)
    echo = {"error": {"message": f"Incorrect API key provided: {CANARY}."}}
    record = Record(path=f"/v1/x?key={CANARY}", client_input={"a": CANARY}, provider_output=echo, secrets=secrets)
    record.error = {"message": echo["error"]["message"], "code": "invalid_api_key"}
    journal.write(record)
    try:
        raise ConnectionError(f"https://h/?key={CANARY}: {CANARY}")
    except ConnectionError:
        logger.exception("could not ask %s", CANARY)
    journal.close()
    assert [path.name for path in tmp_path.iterdir() if CANARY in path.read_text()] == []
    assert len(list(tmp_path.iterdir())) == 3


# --- trouble and other processes


def test_a_full_disk_raises_nothing_and_is_told_once_where_that_still_can_be(tmp_path, logger, capfd):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / LOG_FILE).symlink_to("/dev/full")
    configure_log(tmp_path / "full", "info")
    log("lost")
    log("lost as well")
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("log.log cannot be written (No space left on device)")
    assert err.count("\n") == 1


FORKED = """
import os, sys
from proxy.journal import configure_log, log
children = []
for number in range(4):
    child = os.fork()
    if not child:
        configure_log(sys.argv[1], "info")
        for each in range(200):
            log("line", worker=number, text="x" * (each * 37 % 5000))
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_workers_tear_no_line(tmp_path):
    subprocess.run([sys.executable, "-c", FORKED, str(tmp_path)], cwd=str(ROOT), check=True, timeout=30)
    lines = said(tmp_path).splitlines()
    assert len(lines) == 800
    assert all(re.fullmatch(r"\S+ INFO line worker=\d text=(\"\"|x*)", line) for line in lines)
