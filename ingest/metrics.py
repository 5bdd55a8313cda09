"""The edge's metrics, all of them, in one list."""

from __future__ import annotations

from prometheus_client import Counter

ANSWERS = Counter("viworks_edge_answers", "Answers of the edge.", ["endpoint", "status"])
"""By route and HTTP status."""
