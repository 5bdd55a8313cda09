"""The specification's own example messages, with a key that signs them as the Rust client does."""

from __future__ import annotations

import json
from typing import Any

from schemas import signing

SEED = bytes(range(32))
CLIENT_ID = "viworks-client-12345"


def registration(now_ms: int, client_id: str = CLIENT_ID, seed: bytes = SEED) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "public_key": signing.public_key_to_pem(signing.public_key_of(seed)),
        "capabilities": ["vpn", "spa", "monitoring"],
        "version": "1.0.0",
        "device_info": {
            "os_type": "Windows",
            "os_version": "10.0.19045",
            "device_id": "device-abc123",
            "hardware_hash": "hash-xyz789",
            "encrypted": True,
        },
        "timestamp": now_ms,
        "signature": "",
    }


def heartbeat(now_ms: int, client_id: str = CLIENT_ID) -> dict[str, Any]:
    metrics = {"uptime": 3600, "memory_usage": 45.2, "cpu_usage": 12.8, "network_activity": 1024, "encrypted": True}
    return {"client_id": client_id, "timestamp": now_ms, "status": "online", "metrics": metrics, "signature": ""}


def session(now_ms: int, client_id: str = CLIENT_ID, session_id: str = "session-abc123") -> dict[str, Any]:
    return {
        "client_id": client_id,
        "session_id": session_id,
        "session_type": "vpn_connection",
        "start_time": now_ms,
        "status": "active",
        "metadata": {
            "node_id": "node-001",
            "client_ip": "192.168.1.100",
            "user_agent": "ViWorkS/1.0.0",
            "protocol_version": "1.0",
            "encrypted": True,
        },
        "signature": "",
    }


def event(now_ms: int, client_id: str = CLIENT_ID, event_id: str = "event-xyz789") -> dict[str, Any]:
    return {
        "client_id": client_id,
        "event_id": event_id,
        "event_type": "authentication_failure",
        "severity": "medium",
        "timestamp": now_ms,
        "details": {
            "description": "Failed login attempt",
            "source_ip": "192.168.1.100",
            "error_code": "AUTH_001",
            "encrypted": True,
        },
        "signature": "",
    }


def sign_as_rust(message: dict[str, Any], seed: bytes = SEED) -> tuple[bytes, str]:
    """Sign as the existing Rust clients do: compact JSON with an empty signature, then the upper-case hex in its place."""
    unsigned = compact({**message, "signature": ""})
    signature = signing.sign(unsigned, seed).hex().upper()
    return compact({**message, "signature": signature}), signature


def compact(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
