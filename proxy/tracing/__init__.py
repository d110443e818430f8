"""A trace per exchange, for OpenTelemetry: one span for the exchange, one below it for each ask of the provider.

Spans are made when the exchange has ended, and leave in small batches from a thread (under gevent, a greenlet) of their
own. Where nobody takes them, the oldest are forgotten; no answer waits for them.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections import deque
from contextlib import suppress
from threading import Event, Thread
from time import sleep
from typing import Any, Callable, Deque, List, Optional

from config import ConfigError, Settings
from proxy.journal import Record, log
from proxy.tracing.context import Trace, told, trace_of
from proxy.tracing.spans import Spans

__all__ = ["Trace", "Tracing", "told", "trace_of", "tracing_of"]

KEPT = 2048  # exchanges that wait to be exported
BATCH = 32  # exchanges whose spans are encoded at once: nobody else runs meanwhile under gevent
PAUSE = 0.5  # seconds between two batches that are not full
LAST = 2.0  # seconds for what is left when the worker ends

STANDARD = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracing:
    """Collects what has ended and exports it; ``export`` takes spans and says whether they were taken."""

    def __init__(self, spans: Spans, export: Callable[[List[Any]], bool]) -> None:
        self._spans = spans
        self._export = export
        self._ended: Deque[Any] = deque(maxlen=KEPT)
        self._awake = Event()
        self._pid = 0
        self._trouble = False

    def observe(self, record: Record) -> None:
        """Make the spans of an exchange that has ended, if its trace is recorded."""
        trace = record.trace
        if trace is None or not trace.sampled:
            return
        self._ended.append(self._spans.of(record, trace))
        if self._pid != os.getpid():
            self._pid = os.getpid()
            Thread(target=self._serve, daemon=True).start()
            atexit.register(self._flush)
        self._awake.set()

    def _serve(self) -> None:
        while True:
            self._awake.wait()
            self._awake.clear()
            sleep(PAUSE)
            while self._ended:
                self._send()
                sleep(0)

    def _send(self) -> None:
        batch = [self._ended.popleft() for _ in range(min(BATCH, len(self._ended)))]
        taken = False
        with suppress(Exception):  # whatever an exporter may raise
            taken = self._export([span for spans in batch for span in spans])
        if taken == self._trouble:
            self._trouble = not taken
            log("traces are exported again" if taken else "traces cannot be exported", level="warning")

    def _flush(self) -> None:
        if self._pid == os.getpid() and self._ended:
            last = Thread(target=self._send, daemon=True)
            last.start()
            last.join(LAST)


def tracing_of(settings: Settings, family: str, where: str, label: Callable[[str], str]) -> Optional[Tracing]:
    """What the settings, or OpenTelemetry's own variables, ask for; None if nobody wants traces. Raises ConfigError."""
    environ = os.environ
    wanted = any(environ.get(name) for name in STANDARD) and environ.get("OTEL_TRACES_EXPORTER") != "none"
    if not settings.otlp_endpoint and (not wanted or environ.get("OTEL_SDK_DISABLED", "").lower() == "true"):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError:
        if settings.otlp_endpoint:
            raise ConfigError("otlp_endpoint needs the extra: pip install 'openai-forward[otlp]'") from None
        log("OTEL_EXPORTER_OTLP_ENDPOINT is set, but the extra is not installed: no traces", level="warning")
        return None
    silence()
    base = settings.otlp_endpoint
    exporter = OTLPSpanExporter(endpoint=base.rstrip("/") + "/v1/traces") if base else OTLPSpanExporter()
    return Tracing(Spans(family, where, label), lambda spans: exporter.export(spans) is SpanExportResult.SUCCESS)


def silence() -> None:
    """Whether export works is said in log.log; the library would fill standard error with it."""
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
