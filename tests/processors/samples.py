"""Records as an edge writes them."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from schemas import signing

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
        **_proof(key_id=signing.key_id(key)),
        "enrolment": "open",
        "labels": [],
        "csr": None,
    }
    return {**record, **changes}


def rotation(client_id: str, old: bytes = b"\x01" * 32, new: bytes = b"\x03" * 32, **changes: Any) -> dict[str, Any]:
    record = {
        "request_id": uuid.uuid4().hex,
        "client_id": client_id,
        "public_key": new,
        "timestamp": now_ms(),
        "overlap_ms": 60_000,
        **_proof(key_id=signing.key_id(old)),
    }
    return {**record, **changes}


def certificate_request(client_id: str, csr: str, key: bytes = b"\x01" * 32, **changes: Any) -> dict[str, Any]:
    record = {
        "request_id": uuid.uuid4().hex,
        "client_id": client_id,
        "csr": csr,
        "timestamp": now_ms(),
        **_proof(key_id=signing.key_id(key)),
    }
    return {**record, **changes}


def claim(token_id: str, secret_hash: bytes, client_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "request_id": uuid.uuid4().hex,
        "token_id": token_id,
        "secret_hash": secret_hash,
        "client_id": client_id,
        "key_id": "01" * 8,
        "timestamp": now_ms(),
        "received_at": now_ms(),
        "edge": EDGE,
    }
    return {**record, **changes}


def command(subject: str, action: str, **arguments: Any) -> dict[str, Any]:
    return {
        "request_id": uuid.uuid4().hex,
        "subject": subject,
        "action": action,
        "body": json.dumps(arguments),
        "actor": "admin",
        "timestamp": now_ms(),
        "received_at": now_ms(),
        "edge": EDGE,
    }


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


def rejection(client_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "rejection_id": uuid.uuid4().hex,
        "client_id": client_id,
        "authenticated": True,
        "endpoint": "heartbeat",
        "reason": "bad-signature",
        "status": 401,
        "count": 1,
        "first_at": now_ms(),
        "timestamp": now_ms(),
        "edge": EDGE,
    }
    return {**record, **changes}


def audit(subject: str, **changes: Any) -> dict[str, Any]:
    record = {
        "audit_id": uuid.uuid4().hex,
        "timestamp": now_ms(),
        "actor": "retention",
        "action": "retention.run",
        "subject": subject,
        "outcome": "failed",
        "details": "{}",
    }
    return {**record, **changes}
