"""What the operator asks of all workers at once: what is under way, how they are, and to cancel an exchange."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from flask import Response

from proxy.crew import Crew
from proxy.metrics.exposition import exposed, installed
from proxy.routes.visit import Visit, refused, told

PATIENCE = 5.0  # seconds; a worker under load may be late, and only it can cancel what it holds


def live(visit: Visit) -> Response:
    """The exchanges under way in all workers, the latest first; ``silent``: process ids of workers that did not say."""
    rows, silent = under_way(visit.parts.crew)
    return told({"exchanges": rows, "silent": silent})


def under_way(crew: Crew) -> Tuple[List[Dict[str, Any]], List[int]]:
    """What is under way in all workers, the latest first, and the process ids of those that did not say."""
    answers, silent = crew.asked({"do": "list"})
    rows = [{**row, "worker": answer["worker"]} for answer in answers for row in answer.get("exchanges", [])]
    return sorted(rows, key=lambda row: str(row["timestamp"]), reverse=True), silent


def health(visit: Visit) -> Response:
    """How each worker is."""
    answers, silent = visit.parts.crew.asked({"do": "health"})
    return told({"workers": answers, "silent": silent, "alone": visit.parts.crew.trouble or None})


def metrics(visit: Visit) -> Response:
    """The metrics of all workers, for Prometheus."""
    if not installed():
        text = "Metrics need prometheus-client: pip install 'openai-forward[metrics]', or prometheus-client alone."
        return Response(text + "\n", 501, content_type="text/plain; charset=utf-8")
    crew = visit.parts.crew
    answers = crew.ask({"do": "metrics"})
    body, kind = exposed(crew.tally.sums(), answers, visit.came.header("Accept"))
    return Response(body, content_type=kind)


def cancel(visit: Visit) -> Response:
    """End one exchange, in whichever worker it is."""
    answers = visit.parts.crew.ask({"do": "cancel", "logging_id": visit.words[0]}, seconds=PATIENCE)
    if any(answer.get("cancelled") for answer in answers):
        return told({"cancelled": True})
    return refused(404, "not_found", "No exchange with this logging_id is under way.")
