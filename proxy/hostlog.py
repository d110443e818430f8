"""Keeps credentials out of what a host writes by itself: its complaints, its tracebacks, its access log."""

from __future__ import annotations

import errno
import logging
import re

from proxy.journal import hide

HOSTS = ("gunicorn.error", "gunicorn.access", "werkzeug", "waitress", "waitress.queue")

# gunicorn quotes a header line that it cannot read: of that only the first word may be a name, the rest a credential.
_LINE = re.compile(
    r"(Invalid HTTP Header: b?[\"'][^\s:\"']*)[\s:][^\n]*|(Obsolete line folding is unacceptable: )[^\n]*"
)
# Of a client that has gone, or takes nothing (--client_timeout), gunicorn makes a traceback unless it says so itself.
_AWAY = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


def guard_host_logs() -> None:
    """Redact what hosts log in this process from now on; can be repeated."""
    for name in HOSTS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Redacting) for one in logger.filters):
            logger.addFilter(_Redacting())


class _Redacting(logging.Filter):
    """Lets every record through, redacted as text and without its arguments; but none about a client that is away."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact one record in place; one that cannot be spelled says only where it came from."""
        if record.exc_info and getattr(record.exc_info[1], "errno", None) in _AWAY:
            return False
        try:
            record.msg, record.args = _hidden(record.getMessage()), ()
            if record.exc_info and record.exc_info[0] is not None:
                text = record.exc_text or logging.Formatter().formatException(record.exc_info)
                record.exc_text = _hidden(text)
        except Exception as exc:
            record.msg, record.args = f"a log line could not be made: {type(exc).__name__}", ()
            record.exc_info = record.exc_text = None
        return True


def _hidden(text: str) -> str:
    return hide(_LINE.sub(lambda found: (found[1] or found[2]) + " [redacted]", text))
