"""Alerts: their deterministic ids, their record, and the CloudEvents headers that outside consumers read.

The same alert always has the same id, so that what is computed twice collapses. Evidence names times, intervals and
ids only, never content.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

_ALERT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:viworks:alert")


class Status(StrEnum):
    """Where an alert stands. ``suppressed`` stands in for ``firing`` while nobody is to be told of it."""

    FIRING = "firing"
    SUPPRESSED = "suppressed"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Alert(NamedTuple):
    """``timestamp`` in ms is of what led to this status; ``client_id`` is empty for the whole fleet.

    ``suppressed_by`` says why nobody is told of this record, ``actor`` who acknowledged.
    """

    alert_id: str
    rule: str
    severity: str
    status: Status
    client_id: str
    timestamp: int
    summary: str
    evidence: Mapping[str, Any]
    node_id: str | None = None
    group: Mapping[str, str] = MappingProxyType({})
    suppressed_by: str | None = None
    actor: str | None = None


def alert_id(rule: str, *parts: str | int) -> str:
    """The id of the alert that these parts tell from all others of the rule."""
    return str(uuid.uuid5(_ALERT_IDS, json.dumps([rule, *parts])))


def to_record(alert: Alert, now_ms: int) -> dict[str, Any]:
    """An ``alert`` record, emitted at ``now_ms``."""
    return {
        **alert._asdict(),
        "status": alert.status.value,
        "evidence": json.dumps(alert.evidence, separators=(",", ":")),
        "group": json.dumps(dict(alert.group), separators=(",", ":")),
        "emitted_at": now_ms,
    }


def cloud_event_headers(alert: Alert) -> tuple[tuple[str, bytes], ...]:
    """CloudEvents 1.0, Kafka protocol binding, binary mode. Each status is an event of its own about one alert."""
    time = datetime.fromtimestamp(alert.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": f"{alert.alert_id}.{alert.status.value}",
        "ce_source": "urn:viworks:processors",
        "ce_type": f"viworks.alert.{alert.status.value}.v1",
        "ce_subject": alert.client_id,
        "ce_time": time,
        "content-type": "application/avro",
    }
    return tuple((name, value.encode()) for name, value in attributes.items() if value)
