"""Records as an edge writes them."""

from __future__ import annotations

import time
import uuid
from typing import Any

EDGE = "edge-of-the-tests"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def a_client() -> str:
    return f"client-{uuid.uuid4().hex[:12]}"


def _proof(**changes: Any) -> dict[str, Any]:
    return {
        "key_id": "00" * 8,
        "signature": bytes(64),
        "signed_bytes": b"envelope",
        "signed_bytes_sealed": True,
        "received_at": now_ms(),
        "edge": EDGE,
        **changes,
    }


def registration(client_id: str, key: bytes = b"\x01" * 32, **changes: Any) -> dict[str, Any]:
    record = {
        "request_id": uuid.uuid4().hex,
        "client_id": client_id,
        "public_key": key,
        "capabilities": ["vpn"],
        "version": "1.0",
        "node_id": None,
        "device_info": "envelope",
        "timestamp": now_ms(),
        **_proof(key_id=key[:8].hex()),
    }
    return {**record, **changes}


def heartbeat(client_id: str, **changes: Any) -> dict[str, Any]:
    now = now_ms()
    record = {
        "client_id": client_id,
        "timestamp": now,
        "status": "online",
        "uptime": 1.0,
        "memory_usage": 2.0,
        "cpu_usage": 3.0,
        "network_activity": 4.0,
        "sealed": None,
        "interval_ms": 1_000,
        "key_id": "00" * 8,
        "signature": bytes(64),
        "received_at": now,
        "edge": EDGE,
    }
    return {**record, **changes}


def event(client_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "client_id": client_id,
        "event_id": uuid.uuid4().hex,
        "event_type": "policy_violation",
        "severity": "low",
        "timestamp": now_ms(),
        "description": "envelope",
        "source_ip": None,
        "source_ip_pseudonym": None,
        "target_ip": None,
        "target_ip_pseudonym": None,
        "user_agent": None,
        "error_code": None,
        **_proof(),
    }
    return {**record, **changes}
