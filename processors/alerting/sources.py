"""From what the agents carry to signals. Pure; the ids are made of what tells a cause from all others of its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from processors.alerting import signals
from processors.alerting.signals import Signal, Value
from processors.clones import Boots
from processors.liveness import Transition
from processors.watermark import BlindSpan

Record = Mapping[str, Any]

_EVENT_FIELDS = (
    "event_id", "event_type", "severity", "source_ip", "source_ip_pseudonym", "target_ip", "target_ip_pseudonym",
    "user_agent", "error_code", "origin",
)  # fmt: skip
_HEARTBEAT_FIELDS = ("status", "uptime", "cpu_usage", "memory_usage", "network_activity", "skew_ms")
_REJECTION_FIELDS = ("endpoint", "reason", "status", "count", "authenticated")
_AUDIT_FIELDS = ("action", "outcome", "actor", "subject")
_SILENT = frozenset({"late", "offline", "gone"})


def of_event(event: Record, node_id: str | None) -> Signal:
    """The signal of an ``event`` record."""
    client_id = event["client_id"]
    name = f"{signals.EVENTS}/{client_id}/{event['event_id']}"
    return _signal(name, signals.EVENTS, client_id, node_id, event, _chosen(event, _EVENT_FIELDS))


def of_rejection(rejection: Record, node_id: str | None) -> Signal:
    """The signal of a ``rejection`` record. Its client is only claimed where it was not authenticated."""
    fields = _chosen(rejection, _REJECTION_FIELDS)
    times = {"timestamp": rejection["timestamp"], "received_at": rejection["timestamp"]}
    name = f"{signals.REJECTIONS}/{rejection['rejection_id']}"
    return _signal(name, signals.REJECTIONS, rejection["client_id"], node_id, times, fields)


def of_audit(audit: Record) -> Signal:
    """The signal of an ``audit`` record."""
    times = {"timestamp": audit["timestamp"], "received_at": audit["timestamp"]}
    return _signal(f"{signals.AUDIT}/{audit['audit_id']}", signals.AUDIT, "", None, times, _chosen(audit, _AUDIT_FIELDS))


def of_heartbeat(heartbeat: Record, node_id: str | None) -> Signal:
    """The signal of a ``heartbeat`` record with ``skew_ms``, by the edge's clock: the client's may be wrong."""
    client_id, at = heartbeat["client_id"], heartbeat["received_at"]
    times = {"timestamp": at, "received_at": at}
    name = f"{signals.HEARTBEATS}/{client_id}/{heartbeat['timestamp']}"
    return _signal(name, signals.HEARTBEATS, client_id, node_id, times, _chosen(heartbeat, _HEARTBEAT_FIELDS))


def of_transition(transition: Transition, node_id: str | None) -> Signal:
    """The signal of a change of a client's liveness."""
    current, previous = transition.current, transition.previous
    fields: dict[str, Value] = {
        "state": current.state,
        "previous_state": previous.state if previous else None,
        "reason": current.reason,
        "last_heartbeat": current.last_heartbeat,
        "interval_ms": current.interval_ms,
        "deadline": transition.deadline,
        "watermark": transition.watermark,
        "silent_since": _silent_since(transition),
    }
    times = {"timestamp": transition.timestamp, "received_at": transition.watermark}
    name = f"{signals.LIVENESS}/{transition.client_id}/{transition.timestamp}/{current.state}/{current.reason}"
    return _signal(name, signals.LIVENESS, transition.client_id, node_id, times, fields)


def of_clone(heartbeat: Record, before: Boots, after: Boots, node_id: str | None) -> Signal:
    """The signal that two machines speak with one identity."""
    fields: dict[str, Value] = {
        "kind": "clone",
        "newer_boot": round(before.by_edge_ms),
        "older_boot": round(after.by_edge_ms),
        "returns": after.returns,
        "heartbeat": heartbeat["received_at"],
        "key_id": heartbeat["key_id"],
        "edge": heartbeat["edge"],
        "day": after.told_on,
    }
    client_id, at = heartbeat["client_id"], heartbeat["received_at"]
    times = {"timestamp": at, "received_at": at}
    name = f"{signals.IDENTITY}/clone/{client_id}/{after.told_on}"
    return _signal(name, signals.IDENTITY, client_id, node_id, times, fields)


def of_conflict(client: Record, request: Record) -> Signal:
    """The signal that somebody asked for a client id that belongs to another key."""
    fields: dict[str, Value] = {
        "kind": "conflict",
        "key_id": client["key_id"],
        "key_epoch": client["key_epoch"],
        "refused_key_id": request["key_id"],
        "request_id": request["request_id"],
        "edge": request["edge"],
    }
    client_id, at = request["client_id"], request["received_at"]
    times = {"timestamp": at, "received_at": at}
    name = f"{signals.IDENTITY}/conflict/{client_id}/{request['request_id']}"
    return _signal(name, signals.IDENTITY, client_id, client["node_id"], times, fields)


def of_blind_span(span: BlindSpan, partition: int) -> Signal:
    """The signal that a partition could not see the fleet for a while."""
    fields: dict[str, Value] = {"start": span.start_ms, "end": span.end_ms, "partition": partition}
    times = {"timestamp": span.end_ms, "received_at": span.end_ms}
    name = f"{signals.BLIND}/{partition}/{span.start_ms}/{span.end_ms}"
    return _signal(name, signals.BLIND, "", None, times, fields)


def _silent_since(transition: Transition) -> int | None:
    current, previous = transition.current, transition.previous
    if previous and previous.state in _SILENT and previous.last_heartbeat != current.last_heartbeat:
        return previous.last_heartbeat
    return current.last_heartbeat if current.state in _SILENT else None


def _chosen(record: Record, names: Iterable[str]) -> dict[str, Value]:
    return {name: record[name] for name in names if record.get(name) is not None}


def _signal(
    signal_id: str, source: str, client_id: str, node_id: str | None, times: Record, fields: dict[str, Value]
) -> Signal:
    return Signal(signal_id, source, client_id, node_id, times["timestamp"], times["received_at"], fields)
