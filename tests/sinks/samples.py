"""Records as the other parts write them, and rows of them as the consumer would bring them."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from schemas import codec
from schemas.topics import TOPICS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Row(NamedTuple):
    """What the sinks use of a Kafka record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def heartbeat(client_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "client_id": client_id,
        "timestamp": now_ms(),
        "status": "online",
        "uptime": 12.5,
        "memory_usage": 40.0,
        "cpu_usage": 10.0,
        "network_activity": 1.0,
        "sealed": None,
        "interval_ms": 30_000,
        "key_id": "0123456789abcdef",
        "signature": bytes(64),
        "received_at": now_ms(),
        "edge": "edge-1",
    }
    return record | changes


def session(client_id: str, session_id: str, **changes: Any) -> dict[str, Any]:
    """The signature differs with the content, as a real one does."""
    record: dict[str, Any] = {
        "client_id": client_id,
        "session_id": session_id,
        "session_type": "vpn_connection",
        "start_time": now_ms() - 60_000,
        "end_time": None,
        "status": "active",
        "node_id": "node-1",
        "client_ip": "192.0.2.0/24",
        "client_ip_pseudonym": "p-1",
        "internal_ip": None,
        "user_agent": "agent/1",
        "protocol_version": "1.0",
        "key_id": "0123456789abcdef",
        "signed_bytes": b"",
        "signed_bytes_sealed": False,
        "received_at": now_ms(),
        "edge": "edge-1",
    }
    record |= changes
    content = {name: value for name, value in record.items() if name not in {"received_at", "edge"}}
    return {"signature": repr(content).encode()} | record


def event(client_id: str, event_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "client_id": client_id,
        "event_id": event_id,
        "event_type": "authentication_failure",
        "severity": "high",
        "timestamp": now_ms(),
        "description": "envelope",
        "source_ip": "198.51.100.0/24",
        "source_ip_pseudonym": "p-2",
        "target_ip": None,
        "target_ip_pseudonym": None,
        "user_agent": None,
        "error_code": "E1",
        "key_id": "0123456789abcdef",
        "signature": bytes(64),
        "signed_bytes": b"",
        "signed_bytes_sealed": False,
        "received_at": now_ms(),
        "edge": "edge-1",
    }
    return record | changes


def liveness(client_id: str, state: str, **changes: Any) -> dict[str, Any]:
    record = {
        "client_id": client_id,
        "state": state,
        "previous_state": None,
        "reason": "heartbeat",
        "timestamp": now_ms(),
        "last_heartbeat": now_ms(),
        "interval_ms": 30_000,
        "deadline": now_ms() + 92_000,
        "watermark": now_ms(),
        "heartbeat_timestamp": now_ms(),
    }
    return record | changes


def alert(client_id: str, alert_id: str, status: str, **changes: Any) -> dict[str, Any]:
    record = {
        "alert_id": alert_id,
        "rule": "offline",
        "severity": "high",
        "status": status,
        "client_id": client_id,
        "timestamp": now_ms(),
        "summary": "no heartbeat",
        "evidence": "{}",
        "emitted_at": now_ms(),
    }
    return record | changes


def client(client_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "client_id": client_id,
        "public_key": bytes(32),
        "key_id": "0123456789abcdef",
        "key_epoch": 1,
        "capabilities": ["vpn", "spa"],
        "version": "1.0.0",
        "node_id": "node-1",
        "device_info": "envelope",
        "registered_at": now_ms(),
        "timestamp": now_ms(),
        "request_id": "r-1",
        "signature": bytes(64),
        "signed_bytes": b"",
        "signed_bytes_sealed": False,
        "received_at": now_ms(),
        "edge": "edge-1",
    }
    return record | changes


def rejection(rejection_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "rejection_id": rejection_id,
        "client_id": "",
        "authenticated": False,
        "endpoint": "heartbeat",
        "reason": "bad-signature",
        "status": 401,
        "count": 3,
        "first_at": now_ms(),
        "timestamp": now_ms(),
        "edge": "edge-1",
    }
    return record | changes


def audit(audit_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "audit_id": audit_id,
        "timestamp": now_ms(),
        "actor": "registry",
        "action": "register",
        "subject": "client-1",
        "outcome": "accepted",
        "details": "{}",
    }
    return record | changes


def row(schema: str, record: dict[str, Any], offset: int, partition: int = 0) -> Row:
    """A record as it stands in Kafka."""
    topic = next(topic for topic in TOPICS if schema in topic.schemas)
    key = str(record.get(topic.key, "")).encode()
    return Row(topic.name, partition, offset, key, codec.encode(schema, record))
