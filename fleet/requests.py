"""Whole HTTP requests of simulated clients: only what changes is put between pieces that stand ready, then signed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fleet.client import SimulatedClient
from schemas import signing

_HEAD = b"POST /api/v1/clients/%s HTTP/1.1\r\nHost: viworks\r\nContent-Type: application/json\r\n%s"
_BATCH_HEAD = b"POST /api/v1/clients/batch HTTP/1.1\r\nHost: viworks\r\nContent-Type: application/x-ndjson\r\n%s"
_SIGNATURE = b"X-Signature: %s\r\nContent-Length: %d\r\n\r\n"
_BLANK = b'"signature":""}'


def heartbeat(client: SimulatedClient, wall_ms: int) -> bytes:
    """A heartbeat of now by the client's own clock; never with the time of one before."""
    now_ms = client.newest_ms = max(wall_ms + client.skew_ms, client.newest_ms + 1)
    unsigned = b'{"client_id":"%s","timestamp":%d,"status":"%s","metrics":{"uptime":%d,%s,"encrypted":true},%s' % (
        client.client_id.encode(),
        now_ms,
        client.status.encode(),
        max(0, (now_ms - client.booted_ms) // 1000),
        client.metrics,
        _BLANK,
    )
    return signed_request(client, b"heartbeat", unsigned)


def signed_request(client: SimulatedClient, resource: bytes, unsigned: bytes) -> bytes:
    """A request with a message that ends in a blank signature."""
    return _signed(client, resource, client.credentials, unsigned)


def batch(client: SimulatedClient, messages: Iterable[tuple[str, bytes]]) -> bytes:
    """A replay of spooled messages, (type, unsigned body) each (``POST /clients/batch``)."""
    lines = (
        b'{"type":"%s","message":%s}' % (kind.encode(), unsigned[:-2] + client.sign(unsigned) + b'"}')
        for kind, unsigned in messages
    )
    body = b"\n".join(lines)
    return _BATCH_HEAD % client.credentials + b"Content-Length: %d\r\n\r\n" % len(body) + body


def event(client: SimulatedClient, event_id: str, event_type: str, severity: str, wall_ms: int, source_ip: str) -> bytes:
    """An unsigned security event of now. It says nothing sensitive, so that a strict server takes it too."""
    message = {
        "client_id": client.client_id,
        "event_id": event_id,
        "event_type": event_type,
        "severity": severity,
        "timestamp": wall_ms + client.skew_ms,
        "details": {"description": "", "source_ip": source_ip, "error_code": "SIMULATED", "encrypted": True},
        "signature": "",
    }
    return msgspec.json.encode(message)


def session(client: SimulatedClient, session_id: str, start_ms: int, end_ms: int | None, node_id: str) -> bytes:
    """An unsigned report of a VPN session: active, or with an end disconnected."""
    metadata = {
        "node_id": node_id,
        "client_ip": "198.51.100.0",
        "user_agent": "ViWorkS-fleet/1",
        "protocol_version": "1.0",
        "encrypted": True,
    }
    message = {
        "client_id": client.client_id,
        "session_id": session_id,
        "session_type": "vpn_connection",
        "start_time": start_ms + client.skew_ms,
        **({} if end_ms is None else {"end_time": end_ms + client.skew_ms}),
        "status": "active" if end_ms is None else "disconnected",
        "metadata": metadata,
        "signature": "",
    }
    return msgspec.json.encode(message)


def registration(client: SimulatedClient, wall_ms: int, csr: str | None = None, enrolment_token: str = "") -> bytes:
    """A registration request; its device says nothing sensitive. ``csr`` asks for a certificate."""
    now_ms = client.newest_ms = max(wall_ms, client.newest_ms + 1)
    device = {"os_type": "", "os_version": "", "device_id": "", "hardware_hash": "", "encrypted": True}
    message = {
        "client_id": client.client_id,
        "public_key": signing.public_key_to_pem(client.public_key),
        "capabilities": ["heartbeat", "events", "sessions"],
        "version": "fleet-1",
        "node_id": node_of(client),
        "device_info": device,
        **({} if csr is None else {"csr": csr}),
        "timestamp": now_ms,
        "signature": "",
    }
    invitation = f"X-Enrolment-Token: {enrolment_token}\r\n".encode() if enrolment_token else b""
    return _signed(client, b"register", invitation, msgspec.json.encode(message))


def node_of(client: SimulatedClient) -> str:
    """The node that a client belongs to: 500 clients a node."""
    return f"node-{client.number // 500:03d}"


def _signed(client: SimulatedClient, resource: bytes, credentials: bytes, unsigned: bytes) -> bytes:
    signature = client.sign(unsigned)
    body = unsigned[:-2] + signature + b'"}'
    return b"".join((_HEAD % (resource, credentials), _SIGNATURE % (signature, len(body)), body))
