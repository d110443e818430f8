"""No connection at all, or none that can be trusted."""

from __future__ import annotations

from typing import List

from provider import Close, Stall
from stories import TEXT, whole

from faults.row import Row, ends_well, fails

GROUP = "Connecting"
REFUSED = fails("connection_refused", upstream=None, asked=False)
UNREACHABLE = fails("connect_timeout", "timeout_connect", 504, None, asked=False)
UNKNOWN = fails("dns_failure", upstream=None, asked=False)
UNTRUSTED = fails("tls_failure", upstream=None, asked=False)
RESET = fails("connection_reset", upstream=None, asked=False)
GREETINGS = [  # (how the provider's side greets a connection, what becomes of it)
    ("closes", fails("connection_reset", upstream=None, asked=False, several=["tls_failure"])),
    ("resets", RESET),
    ("stalls", UNREACHABLE),
    ("speaks plain HTTP", UNTRUSTED),
    ("says garbage", UNTRUSTED),
    ("breaks off inside the handshake", fails("connection_reset", upstream=None, asked=False, several=["tls_failure"])),
    ("untrusted", UNTRUSTED),
    ("elsewhere", UNTRUSTED),
]


def rows() -> List[Row]:
    """Refused, unreachable, unknown, untrusted; and TLS that ends without saying so."""
    made = []
    for way in ("whole", "stream"):
        made.append(Row(GROUP, f"refused, {way}", [], REFUSED, way, "nobody"))
        made.append(Row(GROUP, f"unreachable, {way}", [], UNREACHABLE, way, "nowhere"))
        made.append(Row(GROUP, f"a name nobody knows, {way}", [], UNKNOWN, way, "unnamed"))
        made += [Row(GROUP, f"TLS: {name}, {way}", [], want, way, "gate", greet=name) for name, want in GREETINGS]
    made.append(Row(GROUP, "TLS: all well", [whole(TEXT.whole)], ends_well(TEXT.whole, kept=True), arena="gate"))
    made.append(
        Row(
            GROUP,
            "TLS: closes inside the body",
            [whole(TEXT.whole)[:-9], Close()],
            fails("stream_truncated", "truncated"),
            arena="gate",
        )
    )
    made.append(
        Row(
            GROUP,
            "TLS: stalls inside the body",
            [whole(TEXT.whole)[:-9], Stall()],
            fails("idle_timeout", "timeout_idle", 504),
            arena="gate",
        )
    )
    return made
