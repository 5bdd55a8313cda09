"""The values of the edge's metrics in this process, and the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from ingest import metrics

DECLARED: Mapping[str, MetricWrapperBase] = {
    name: metric for name, metric in vars(metrics).items() if isinstance(metric, MetricWrapperBase)
}


def value(name: str, **labels: Any) -> float:
    """A sample's value; 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, {label: str(text) for label, text in labels.items()}) or 0.0


def table() -> list[str]:
    """The rows that ``docs/operations.md`` must have."""
    rows = []
    for metric in DECLARED.values():
        described = metric.describe()[0]
        name = described.name + ("_total" if described.type == "counter" else "")
        labels = ", ".join(metric._labelnames)
        rows.append(f"| `{name}` | {described.type} | {labels} | {described.documentation.rstrip('.')} |")
    return rows
