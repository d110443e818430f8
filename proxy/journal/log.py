"""log.log: what happens to the proxy itself, one structured and redacted line an event, on the same kind of file."""

from __future__ import annotations

import logging
import re
import sys
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any, Callable, Sequence, Tuple

import msgspec

from proxy.journal.appender import NEVER, Appender
from proxy.journal.record import Record, arrival
from proxy.journal.redact import Needles, hide, needles
from proxy.journal.rotation import Rotation

LOG_FILE = "log.log"
LEVELS = ("debug", "info", "warning", "error")
# How many credentials of recent exchanges are kept out of the log although nobody handed them to it.
MEMORY = 256
# Characters of a path or a model that a line shows.
LONGEST = 200

_PLAIN = re.compile(r"[^\s\"=\\]+")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LOGGER = logging.getLogger("proxy")
_recent: OrderedDict[str, Needles] = OrderedDict()
_last: Tuple[str, ...] = ()
_recent_lock = RLock()


def configure_log(
    folder: str | Path, level: str, secrets: Sequence[str] = (), rotation: Rotation = NEVER
) -> logging.Logger:
    """Point the logger "proxy" at log.log; a second call replaces the first. Raises ValueError as Journal does."""
    if level not in LEVELS:
        raise ValueError(f"log_level {level!r} is not one of {', '.join(LEVELS)}")
    try:
        file = Appender(Path(folder) / LOG_FILE, rotation)
    except OSError as exc:
        raise ValueError(f"output_path {str(folder)!r} is not writable: {exc.strerror or exc}") from exc
    logger = logging.getLogger("proxy")
    for old in [handler for handler in logger.handlers if isinstance(handler, _LogFile)]:
        logger.removeHandler(old)
        old.close()
    logger.addHandler(_LogFile(file, tuple(secrets)))
    logger.setLevel(level.upper())
    logger.propagate = False
    return logger


def log(event: str, /, level: str = "info", **fields: Any) -> None:
    """Log one event with its fields; ``event`` says what happened in a few constant words."""
    logging.getLogger("proxy").log(getattr(logging, level.upper()), "%s", event, extra={"fields": fields})


def log_exchange(record: Record) -> None:
    """Log an exchange that is over. There is one such line an exchange, so it takes the short way to the file."""
    logger = _LOGGER
    if not logger.isEnabledFor(logging.INFO):
        return
    for handler in logger.handlers:
        if isinstance(handler, _LogFile):
            handler.tell(record)
        else:
            handler.handle(logger.makeRecord("proxy", logging.INFO, __file__, 0, "%s", (_told_of(record),), None))


def _told_of(record: Record) -> str:
    said = f"{record.method} {_shown(record.path.partition('?')[0][:LONGEST])} {record.outcome}"
    model = _shown(str(record.model)[:LONGEST])
    return f"{said} logging_id={record.logging_id} status={record.status} ms={_value(record.duration_ms)} model={model}"


@lru_cache(maxsize=1024)
def _shown(text: str) -> str:
    return hide(_value(text))


def remember(secrets: Tuple[str, ...]) -> None:
    """Keep the credentials of an exchange that begins out of log.log, also where an exception's text shows them."""
    global _last
    if secrets == _last:  # clients say the same ones again and again
        return
    with _recent_lock:
        _last = secrets
        for secret in secrets:
            known = _recent.pop(secret) if secret in _recent else Needles((secret,))
            _recent[secret] = known
        while len(_recent) > MEMORY:
            _recent.popitem(last=False)


class _LogFile(logging.Handler):
    """Writes log records: each is one line, or more for a traceback, and leaves in one write."""

    def __init__(self, file: Appender, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self.setFormatter(_Structured())
        self._file = file
        self._secrets = secrets
        self._needles = Needles(secrets)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; never raises, and never prints what it could not write."""
        try:
            text = self._redacted(self.format(record))
        except Exception as exc:  # a broken format string must not break the exchange that logs
            text = f"{_time(record)} ERROR a log line could not be made why={type(exc).__name__} line={record.lineno}"
        self._put(text)

    def tell(self, record: Record) -> None:
        """Write the line of an exchange, clean of the credentials that it and the settings have; never raises."""
        try:
            text = needles((*self._secrets, *record.secrets)).clean(_told_of(record))
        except Exception as exc:
            text = f"a log line could not be made why={type(exc).__name__} logging_id={record.logging_id}"
        self._put(f"{arrival()} INFO {text}", self._file.append_aside)

    def _put(self, text: str, append: Callable[[bytes], bool] | None = None) -> None:
        before = self._file.trouble
        if (append or self._file.append)(text.encode("utf-8", "replace") + b"\n"):
            if before:
                self._file.append(f"{arrival()} WARNING log.log writes again drops={self._file.drops}\n".encode())
        elif not before:
            with suppress(Exception):  # the last resort, and it is used once
                told = f"log.log cannot be written ({self._file.trouble}); the proxy serves on, and counts what is lost"
                print(told, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _redacted(self, text: str) -> str:
        with _recent_lock:
            known = (self._needles, *_recent.values())

        def clean(text: str) -> str:
            for one in known:
                text = one.clean(text)
            return text

        return clean(hide(text, clean))


class _Structured(logging.Formatter):
    """``timestamp LEVEL message key=value ...``; a traceback follows, indented, so that no text can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Spell one record."""
        fields = "".join(f" {name}={_value(value)}" for name, value in getattr(record, "fields", {}).items())
        line = f"{_time(record)} {record.levelname} {_one_line(record.getMessage())}{fields}"
        if record.exc_info and record.exc_info[0] is not None:
            line += _indented(self.formatException(record.exc_info))
        return line + (_indented(self.formatStack(record.stack_info)) if record.stack_info else "")


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def _value(value: Any) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if _PLAIN.fullmatch(text) and not _UNPRINTABLE.search(text):
        return text
    return msgspec.json.encode(_one_line(text)).decode()


def _one_line(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: ascii(found.group())[1:-1], text)


def _indented(text: str) -> str:
    return "".join(f"\n  {_one_line(line)}" for line in text.splitlines())
