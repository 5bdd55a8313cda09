"""Signals: what the agents pass on to the rules. Metadata only; the same cause always has the same id.

| source | fields |
|---|---|
| events | event_id, event_type, severity, source_ip, source_ip_pseudonym, target_ip, target_ip_pseudonym, user_agent, |
| | error_code, origin |
| liveness | state, previous_state, reason, last_heartbeat, interval_ms, deadline, watermark, silent_since |
| heartbeats | status, uptime (s), cpu_usage, memory_usage (%), network_activity, skew_ms (client's clock less edge's) |
| rejections | endpoint, reason, status, count, authenticated |
| identity | kind (conflict or clone), and the evidence of it |
| audit | action, outcome, actor, subject |
| blind | start, end (ms), partition |

``silent_since`` is the heartbeat after which the client was silent, also in the signal that it is heard again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

EVENTS, LIVENESS, HEARTBEATS, REJECTIONS = "events", "liveness", "heartbeats", "rejections"
IDENTITY, AUDIT, BLIND = "identity", "audit", "blind"
SOURCES = (EVENTS, LIVENESS, HEARTBEATS, REJECTIONS, IDENTITY, AUDIT, BLIND)

Value = str | int | float | bool | None


class Signal(NamedTuple):
    """``timestamp`` in ms is the cause's own; ``received_at`` the edge's, or the watermark for verdicts.

    ``client_id`` is empty for what concerns the whole fleet.
    """

    signal_id: str
    source: str
    client_id: str
    node_id: str | None
    timestamp: int
    received_at: int
    fields: Mapping[str, Value]


def to_record(signal: Signal) -> dict[str, Any]:
    """A ``signal`` record."""
    return {**signal._asdict(), "fields": json.dumps(signal.fields, separators=(",", ":"))}


def from_record(record: Mapping[str, Any]) -> Signal:
    """The signal of a record. Raises ValueError where its fields are no JSON object."""
    fields = json.loads(record["fields"])
    if not isinstance(fields, dict):
        raise ValueError("the fields of a signal are not an object")
    return Signal(**{**record, "fields": fields})
