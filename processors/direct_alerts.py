"""Which alerts follow from liveness transitions, security events, verdicts and blind spans. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.alerts import Alert, Status, alert_id
from processors.clones import Boots
from processors.liveness import Transition, is_missing
from processors.watermark import BlindSpan

Record = Mapping[str, Any]

OFFLINE, INGEST_BLIND, HIGH_SEVERITY = "offline", "ingest_blind", "high_severity"
IDENTITY_CONFLICT, IDENTITY_CLONE = "identity_conflict", "identity_clone"

_ALERTING = frozenset({"high", "critical"})


def offline(transition: Transition) -> Alert | None:
    """Firing where heartbeats are missed, resolved where the client is heard again; None for other transitions."""
    if is_missing(transition.current):
        return _offline(transition, Status.FIRING, transition.current.last_heartbeat, "Three heartbeats missed")
    if transition.previous is not None and is_missing(transition.previous):
        return _offline(transition, Status.RESOLVED, transition.previous.last_heartbeat, "Heard again")
    return None


def _offline(transition: Transition, status: Status, last_heartbeat: int, summary: str) -> Alert:
    client_id, current = transition.client_id, transition.current
    evidence = {
        "last_heartbeat": last_heartbeat,
        "interval_ms": current.interval_ms,
        "deadline": transition.deadline,
        "watermark": transition.watermark,
        "state": current.state,
    }
    if status is Status.RESOLVED:
        evidence |= {"heartbeat": current.last_heartbeat}
    return Alert(
        alert_id=alert_id(OFFLINE, client_id, last_heartbeat),
        rule=OFFLINE,
        severity="medium",
        status=status,
        client_id=client_id,
        timestamp=transition.timestamp,
        summary=summary,
        evidence=evidence,
    )


def ingest_blind(span: BlindSpan) -> tuple[Alert, Alert]:
    """One incident of the whole fleet, begun and over: nobody is blamed for silence within it."""
    identity = alert_id(INGEST_BLIND, span.start_ms, span.end_ms)
    summary = f"No proof that heartbeats could come in for {(span.end_ms - span.start_ms) / 1000:.1f} s"
    evidence = {"start": span.start_ms, "end": span.end_ms}
    firing = Alert(identity, INGEST_BLIND, "high", Status.FIRING, "", span.start_ms, summary, evidence)
    return firing, firing._replace(status=Status.RESOLVED, timestamp=span.end_ms)


def high_severity(event: Record) -> Alert | None:
    """An event of severity high or critical; one alert for each (client, event)."""
    if event["severity"] not in _ALERTING:
        return None
    return Alert(
        alert_id=alert_id(HIGH_SEVERITY, event["client_id"], event["event_id"]),
        rule=HIGH_SEVERITY,
        severity=event["severity"],
        status=Status.FIRING,
        client_id=event["client_id"],
        timestamp=event["timestamp"],
        summary=f"Event {event['event_type']} of severity {event['severity']}",
        evidence={
            "event_ids": [event["event_id"]],
            "event_type": event["event_type"],
            "received_at": event["received_at"],
        },
    )


def identity_conflict(client: Record, request: Record) -> Alert:
    """Somebody asked for a client id that belongs to another key; one alert for each foreign key."""
    return Alert(
        alert_id=alert_id(IDENTITY_CONFLICT, request["client_id"], request["key_id"]),
        rule=IDENTITY_CONFLICT,
        severity="high",
        status=Status.FIRING,
        client_id=request["client_id"],
        timestamp=request["received_at"],
        summary="A registration with another key was refused",
        evidence={
            "key_id": client["key_id"],
            "key_epoch": client["key_epoch"],
            "refused_key_id": request["key_id"],
            "request_id": request["request_id"],
            "edge": request["edge"],
        },
    )


def identity_clone(heartbeat: Record, before: Boots, after: Boots) -> Alert:
    """Two machines speak with one identity; one alert for each client and day."""
    return Alert(
        alert_id=alert_id(IDENTITY_CLONE, heartbeat["client_id"], after.told_on),
        rule=IDENTITY_CLONE,
        severity="high",
        status=Status.FIRING,
        client_id=heartbeat["client_id"],
        timestamp=heartbeat["received_at"],
        summary="Two machines speak with one identity",
        evidence={
            "newer_boot": round(before.by_edge_ms),
            "older_boot": round(after.by_edge_ms),
            "returns": after.returns,
            "heartbeat": heartbeat["received_at"],
            "key_id": heartbeat["key_id"],
            "edge": heartbeat["edge"],
        },
    )
