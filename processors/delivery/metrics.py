"""The metrics of the delivery, all of them. ``docs/delivery.md`` has the same list, and a test compares the two."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DELIVERED = Counter("viworks_delivery_delivered", "Alerts that a receiver took.", ["receiver"])
"""Each status of an alert counts."""

RETRIED = Counter("viworks_delivery_retried", "Attempts that failed and are made again.", ["receiver", "reason"])
"""By the HTTP status or the class of the error."""

DEAD = Counter("viworks_delivery_dead", "Records that went to the dead letters.", ["receiver", "reason"])
"""Refused, given up, or no alerts at all."""

RESENT = Counter("viworks_delivery_resent", "Rounds that told Alertmanager again what fires.", ["receiver", "outcome"])
"""``ok`` or ``failed``."""

FIRING = Gauge("viworks_delivery_firing", "Alerts that Alertmanager is told of again and again.", ["receiver"])
"""At most 20,000."""

LAG = Gauge("viworks_delivery_lag", "Records of the alerts topic that are not done for a receiver.", ["receiver"])
"""Of the partitions that this process has."""

OLDEST = Gauge("viworks_delivery_oldest_undelivered_seconds", "Age of the oldest alert under way.", ["receiver"])
"""0 where none is."""

PAUSED = Gauge("viworks_delivery_paused", "1 where a receiver answered 410 and gets nothing more.", ["receiver"])
"""Until its entry of the receivers file changes, or a restart."""

LATENCY = Histogram(
    "viworks_delivery_latency_seconds",
    "Time from an alert's record on Kafka to its delivery.",
    ["receiver"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
)
"""Retries are in it."""


def begin(receiver: str) -> None:
    """Show a receiver's metrics from its start, also those that are 0."""
    for gauge in (FIRING, LAG, OLDEST, PAUSED):
        gauge.labels(receiver).set(0)
    DELIVERED.labels(receiver)
    LATENCY.labels(receiver)


def end(receiver: str) -> None:
    """Show no gauge of a receiver that is no more."""
    for gauge in (FIRING, LAG, OLDEST, PAUSED):
        gauge.remove(receiver)
