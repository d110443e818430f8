"""The metrics' names, what they say, and where their buckets end. docs/METRICS.md has OpenTelemetry's names."""

from __future__ import annotations

from typing import NamedTuple, Tuple

Bounds = Tuple[float, ...]

# The first two are what OpenTelemetry's GenAI conventions advise for the same measures.
DURATIONS: Bounds = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 300, 1200)
FIRST: Bounds = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)
BETWEEN: Bounds = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
STALLS: Bounds = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
FRAMES: Bounds = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 10.0)
OVERHEAD: Bounds = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Histogram(NamedTuple):
    """A measure in seconds, and the upper ends of its buckets (the last one, infinity, is not written down)."""

    name: str
    help: str
    bounds: Bounds


REQUESTS = "forward_requests"
TOKENS = "forward_tokens"
DROPS = "forward_journal_dropped_lines"
LOST = "forward_metrics_lost"

HISTOGRAMS = (
    Histogram("forward_request_duration_seconds", "From the request's last byte to the answer's", DURATIONS),
    Histogram("forward_time_to_first_token_seconds", "From the request's last byte to the first meaning", FIRST),
    Histogram("forward_time_per_output_token_seconds", "A stream's time after its first token, by token", BETWEEN),
    Histogram("forward_longest_gap_seconds", "The longest silence inside a provider's stream", STALLS),
    Histogram("forward_overhead_seconds", "What the proxy itself has added", OVERHEAD),
    Histogram("forward_time_between_frames_seconds", "Each gap between two frames of a provider's stream", FRAMES),
)

# Name, what it says, labels: the counters that are kept over workers.
COUNTERS = (
    (REQUESTS, "Exchanges that have ended", ("path", "model", "send_mode", "return_mode", "status", "outcome")),
    (TOKENS, "Tokens that providers have counted", ("path", "model", "type")),
    (DROPS, "Journal lines that could not be written", ()),
    (LOST, "Series that there was no room for", ()),
)
# What living workers say of themselves at the moment; the dead have none.
GAUGES = (
    ("forward_in_flight", "Exchanges under way"),
    ("forward_waiting", "Exchanges that wait for a place"),
    ("forward_provider_connections_idle", "Open connections to the provider that are kept for the next exchange"),
    ("forward_provider_connections_opened", "Connections to the provider that the workers of the moment have opened"),
    ("forward_resident_memory_bytes", "Resident memory of all workers"),
)
TIMED = ("path", "model", "send_mode", "return_mode")
