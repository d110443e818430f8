"""What is true of every exchange: the shape of its two records, and how two spellings of one answer are compared."""

from __future__ import annotations

import json
import re
from typing import Any

from proxy_process import Pair

FIELDS = {
    "timestamp",
    "logging_id",
    "input",
    "output",
    "send_mode",
    "return_mode",
    "path",
    "method",
    "model",
    "status",
    "upstream_status",
    "outcome",
    "attempts",
    "ttft_ms",
    "duration_ms",
    "chunks",
    "usage",
    "error",
}
OUTCOMES = {
    "complete",
    "truncated",
    "upstream_error",
    "timeout_connect",
    "timeout_first_byte",
    "timeout_idle",
    "timeout_total",
    "client_abort",
    "cancelled",
    "refused",
    "shutdown",
}
# One process for the settings that do not get into each other's way: a start costs more than most tests.
UNUSUAL = {"verbatim": True, "ask_usage": True, "fallback": False, "max_ask_bytes": 1000}
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
SHARED = ("timestamp", "logging_id", "path", "method", "model", "outcome", "send_mode", "return_mode", "attempts")


def ask(model: str, stream: bool | None = None, **more: Any) -> bytes:
    """An ask as a client spells it: not compact, so that a body written anew can be told from the original."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello?"}], **more}
    if stream is not None:
        body["stream"] = stream
    return json.dumps(body, indent=1).encode()


def tidy(value: Any) -> Any:
    """A reply without the keys that say nothing (null, empty), ``object``, and what the SDK's accumulator adds."""
    if isinstance(value, dict):
        dropped = ("parsed", "parsed_arguments", "object")
        kept = {key: tidy(one) for key, one in value.items() if key not in dropped and one not in (None, "", [])}
        return {key: one for key, one in kept.items() if key != "index" or "function" not in kept}
    return [tidy(one) for one in value] if isinstance(value, list) else value


def sound(pair: Pair, **expected: Any) -> Pair:
    """Check what holds for every exchange, then ``expected`` fields in both records; returns the pair."""
    for record in pair:
        assert set(record) >= FIELDS, f"fields missing: {FIELDS - set(record)}"
        assert UUID4.fullmatch(record["logging_id"]), record["logging_id"]
        assert MOMENT.fullmatch(record["timestamp"]), record["timestamp"]
        assert record["outcome"] in OUTCOMES, record["outcome"]
        assert record["duration_ms"] >= (record["ttft_ms"] or 0) >= 0
        assert record["send_mode"] == ([None] + [attempt["mode"] for attempt in record["attempts"]])[-1]
        assert all({"mode", "status", "code", "ms"} <= set(attempt) for attempt in record["attempts"])
        assert (record["error"] is None) == (record["outcome"] == "complete"), record["error"]
        assert record["usage"] is None or any(record["usage"].values()), "usage is null, never zeros"
        for name, value in expected.items():
            assert record[name] == value, f"{name}: {record[name]!r}, not {value!r}"
    assert [pair.client[name] for name in SHARED] == [pair.server[name] for name in SHARED]
    return pair
