"""The spans of an exchange, with attributes of OpenTelemetry's GenAI and HTTP conventions. No content is in them."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List
from urllib.parse import urlsplit

from proxy.journal import Record
from proxy.metrics.values import usage_of
from proxy.tracing.context import Trace, new_span
from proxy.version import VERSION

CHAT, OPERATIONS = "chat", {"/v1/completions": "text_completion", "/v1/embeddings": "embeddings"}
MS = 1_000_000  # nanoseconds

Attributes = Dict[str, Any]


class Spans:
    """Makes them; ``family`` is the provider's kind, ``where`` its URL, ``label`` a path's name out of a table."""

    def __init__(self, family: str, where: str, label: Callable[[str], str]) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        server = urlsplit(where)
        self._family = family
        self._server: Attributes = {"server.address": server.hostname or where}
        if server.port:
            self._server["server.port"] = server.port
        self._label = label
        own = Resource({"service.name": "openai-forward", "service.version": VERSION})
        self._common: Attributes = {
            "resource": own.merge(Resource.create()) if _is_named() else Resource.create().merge(own),
            "instrumentation_scope": InstrumentationScope("openai-forward", VERSION),
        }

    def of(self, record: Record, trace: Trace) -> List[Any]:
        """The exchange's span and those of its attempts; called when it has just ended."""
        from opentelemetry.trace import SpanKind

        begin = _nanoseconds(record.timestamp)
        end = begin + int((record.duration_ms or 0) * MS)
        shared = self._shared(record)
        name = f"{shared['gen_ai.operation.name']} {shared['gen_ai.request.model']}" if shared else ""
        name = name or f"{record.method} {self._label(record.path)}"
        spans = [self._span(name, trace, SpanKind.SERVER, begin, end, {**shared, **_whole(record)})]
        below = trace._replace(parent=trace.span)
        starts = record.asked_at
        for number, (attempt, start) in enumerate(zip(record.attempts, starts)):
            last = number == len(starts) - 1
            start = min(max(begin, start), end)
            until = end if last else min(end, start + int(attempt.get("ms", 0) * MS), max(start, starts[number + 1]))
            about = {**shared, **self._server, "http.request.method": record.method, **_attempted(attempt)}
            spans.append(self._span(name, below._replace(span=new_span()), SpanKind.CLIENT, start, until, about))
        return spans

    def _shared(self, record: Record) -> Attributes:
        """What is said of each span of a conversation with a model; nothing of what is only forwarded."""
        model = record.sent_model or record.model
        label = self._label(record.path)
        if not model or (record.client_dialect is None and label not in OPERATIONS):
            return {}
        return {
            "gen_ai.operation.name": OPERATIONS.get(label, CHAT),
            "gen_ai.provider.name": self._family,
            "gen_ai.request.model": model,
        }

    def _span(self, name: str, trace: Trace, kind: Any, begin: int, end: int, attributes: Attributes) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

        def context(span: int, remote: bool) -> Any:
            return SpanContext(trace.trace, span, remote, TraceFlags(int(trace.sampled)))

        return ReadableSpan(
            name,
            context(trace.span, False),
            parent=None if trace.parent is None else context(trace.parent, kind.name == "SERVER"),
            kind=kind,
            attributes={key: value for key, value in attributes.items() if value is not None},
            status=Status(StatusCode.ERROR if "error.type" in attributes else StatusCode.UNSET),
            start_time=begin,
            end_time=end,
            **self._common,
        )


def _nanoseconds(timestamp: str) -> int:
    """A record's time of arrival since 1970; the moments at which the provider was asked are of the same clock."""
    arrived = datetime.fromisoformat(timestamp).replace(tzinfo=timezone.utc)
    return int(arrived.timestamp()) * 1000 * MS + arrived.microsecond * 1000


def _whole(record: Record) -> Attributes:
    """What only the exchange's own span says."""
    usage = usage_of(record.usage)
    said: Attributes = {
        "http.request.method": record.method,
        "http.response.status_code": record.status,
        "url.path": record.path.partition("?")[0],
        "gen_ai.response.model": record.answered_model,
        "gen_ai.usage.input_tokens": usage.input if usage else None,
        "gen_ai.usage.output_tokens": usage.output if usage else None,
        "forward.logging_id": record.logging_id,
        "forward.outcome": record.outcome,
        "forward.send_mode": record.send_mode,
        "forward.return_mode": record.return_mode,
        "forward.time_to_first_token": None if record.ttft_ms is None else record.ttft_ms / 1000,
        "forward.overhead": None if record.overhead_ms is None else record.overhead_ms / 1000,
    }
    if record.outcome != "complete":
        said["error.type"] = record.outcome or "unknown"
    return said


def _attempted(attempt: Attributes) -> Attributes:
    said: Attributes = {"forward.mode": attempt["mode"], "http.response.status_code": attempt["status"]}
    if attempt["code"] or (attempt["status"] or 0) >= 400:
        said["error.type"] = str(attempt["code"] or attempt["status"])
    return said


def _is_named() -> bool:
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in attributes
