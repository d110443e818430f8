"""What is pulled to answer: blocks for the client. Whoever pulls them is ``flow``'s business."""

from __future__ import annotations

import logging
from typing import Any, Iterator, Protocol, Union

from proxy.deadlines import Deadlines
from proxy.errors import ProxyError, failure

log = logging.getLogger("proxy")

# Seconds to wait for the end of a body whose last word was said: nobody waits for a greenlet, a thread's client does.
LINGER, LINGER_INLINE = 1.0, 0.05


class Pending:
    """Nothing arrived in the time given."""


class End:
    """The answer is over."""


PENDING = Pending()
END = End()
Item = Union[bytes, Pending, End]


class Walk(Protocol):
    """What a flow pulls: blocks for the client, its limits, and a way to let go of the provider."""

    deadlines: Deadlines

    def blocks(self) -> Iterator[bytes]:
        """Blocks of bytes; the first one says that the status is certain, and may be empty. Raises ProxyError."""

    def hang_up(self, linger: float = 0.0) -> None:
        """Let go of the provider's connection; ``linger``: seconds to wait for its end; idempotent."""


class Surprises:
    """Turns what nobody foresaw into a failure that is logged with its traceback and told without it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, ProxyError):
            raise surprise(error) from error


def surprise(error: Exception) -> ProxyError:
    """Log what nobody foresaw, and give what is told of it."""
    log.error("internal error", exc_info=(type(error), error, error.__traceback__))
    return failure("internal_error", "The proxy failed; its log.log says more.")
