"""The edge's metrics, all of them, in one list."""

from __future__ import annotations

from prometheus_client import Counter

ANSWERS = Counter("viworks_edge_answers", "Answers of the edge.", ["endpoint", "status"])
"""By route and HTTP status."""

TAMPER_EVENTS = Counter(
    "viworks_edge_tamper_events", "Security events that the edge made of refusals.", ["reason", "outcome"]
)
"""By the refusal's reason; ``written``, or ``suppressed`` because there were too many a second."""
