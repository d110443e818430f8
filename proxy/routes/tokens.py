"""The operator's token: how it is shown, what stands for it in a cookie, and how often a wrong one may be tried."""

from __future__ import annotations

import hmac
from hashlib import sha256
from time import monotonic, time
from typing import Dict, List

COOKIE = "forward_admin"
LIFETIME = 7 * 24 * 3600  # seconds until the token has to be typed again

WINDOW = 60.0  # seconds
TRIES = 10  # wrong tokens of one peer in that time, per worker
PEERS = 1000  # peers that are remembered; more at once are an attack, and then all of them have to wait


def is_token(shown: str, token: str) -> bool:
    """Whether this is the token; as long for a wrong one as for the right one, whatever the length."""
    return hmac.compare_digest(_digest(shown), _digest(token))


def cookie_for(token: str) -> str:
    """A cookie's value that is good for ``LIFETIME`` and tells nothing of the token."""
    until = str(int(time()) + LIFETIME)
    return f"{until}.{_sealed(until, token)}"


def is_cookie(value: str, token: str) -> bool:
    """Whether a cookie is one of ours, for this token, and still good."""
    until, _, seal = value.partition(".")
    sound = hmac.compare_digest(seal.encode("utf-8", "replace"), _sealed(until, token).encode())
    return sound and until.isdecimal() and int(until) > time()


class Tries:
    """Wrong tokens of late, by peer: after too many of them not even the right one is looked at for a while."""

    def __init__(self) -> None:
        self._wrong: Dict[str, List[float]] = {}

    def wait(self, peer: str) -> float:
        """Seconds until this peer may try again; 0 if it may now."""
        now = monotonic()
        recent = [at for at in self._wrong.get(peer, []) if at > now - WINDOW]
        if len(recent) >= TRIES:
            return recent[-TRIES] + WINDOW - now
        return WINDOW if not recent and len(self._wrong) >= PEERS else 0.0

    def wrong(self, peer: str) -> None:
        """This peer has shown a wrong one."""
        now = monotonic()
        self._wrong[peer] = [*self._wrong.get(peer, [])[-TRIES:], now]
        if len(self._wrong) >= PEERS:
            self._wrong = {one: times for one, times in self._wrong.items() if times[-1] > now - WINDOW}


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "replace")).digest()


def _sealed(until: str, token: str) -> str:
    return hmac.new(token.encode(), b"openai-forward " + until.encode("utf-8", "replace"), sha256).hexdigest()
