"""log.log: what happens to the proxy itself, one structured and redacted line an event, on the same kind of file."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from datetime import datetime, timezone
from pathlib import Path
from threading import RLock
from typing import Any, Iterable, Sequence

import msgspec

from proxy.journal.appender import Appender
from proxy.journal.redact import Needles, hide

LOG_FILE = "log.log"
LEVELS = ("debug", "info", "warning", "error")
# How many credentials of recent exchanges are kept out of the log although nobody handed them to it.
MEMORY = 256

_PLAIN = re.compile(r"[^\s\"=\\]+")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_recent: OrderedDict[str, Needles] = OrderedDict()
_recent_lock = RLock()


def configure_log(folder: str | Path, level: str, secrets: Sequence[str] = ()) -> logging.Logger:
    """Point the logger "proxy" at log.log; a second call replaces the first. Raises ValueError as Journal does."""
    if level not in LEVELS:
        raise ValueError(f"log_level {level!r} is not one of {', '.join(LEVELS)}")
    try:
        file = Appender(Path(folder) / LOG_FILE)
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


def remember(secrets: Iterable[str]) -> None:
    """Keep the credentials of an exchange that begins out of log.log, also where an exception's text shows them."""
    with _recent_lock:
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
        self._needles = Needles(secrets)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; never raises, and never prints what it could not write."""
        try:
            text = self._redacted(self.format(record))
        except Exception as exc:  # a broken format string must not break the exchange that logs
            text = f"{_time(record)} ERROR a log line could not be made why={type(exc).__name__} line={record.lineno}"
        self._file.append(text.encode("utf-8", "replace") + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _redacted(self, text: str) -> str:
        with _recent_lock:
            recent = tuple(_recent.values())
        text = self._needles.clean(text)
        for needles in recent:
            text = needles.clean(text)
        return hide(text)


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
