"""What the SOC does with its private key: open every envelope that the warehouse keeps, each at its place."""

from __future__ import annotations

import json
import re

from clickhouse_connect.driver.client import Client as ClickHouse
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas.sealing import Place, open_envelope
from tests.end_to_end.system import System

ENVELOPE = re.compile(rb"vws1:[A-Za-z0-9_-]+")
_ROWS = {
    "heartbeat": ("heartbeats", "toString(toUnixTimestamp64Milli(timestamp))", ("sealed",)),
    "registration": ("clients", "toString(toUnixTimestamp64Milli(timestamp))", ("device_info", "signed_bytes")),
    "session": ("sessions", "session_id", ("internal_ip", "signed_bytes")),
    "event": ("events", "event_id", ("description", "signed_bytes")),
}


def private_key(system: System) -> X25519PrivateKey:
    path = system.data_dir.with_name(f"{system.data_dir.name}.soc") / "sealing-private.pem"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, X25519PrivateKey)
    return key


def open_all(sql: ClickHouse, key: X25519PrivateKey) -> dict[bytes, bytes]:
    """Envelope → what was in it, of all rows. Raises SealingError for one that does not open at its place."""
    opened: dict[bytes, bytes] = {}
    for kind, (table, message_id, columns) in _ROWS.items():
        rows = sql.query(f"SELECT client_id, {message_id}, {', '.join(columns)} FROM viworks.{table}").result_rows
        for client_id, name, *values in rows:
            for column, value in zip(columns, values, strict=True):
                if value is not None and value.startswith("vws1:"):
                    opened[value.encode()] = open_envelope(value, Place(client_id, f"{kind}.{column}", name), key)
                    opened |= _inner(opened[value.encode()], client_id, name, key) if column == "device_info" else {}
    return opened


def _inner(group: bytes, client_id: str, name: str, key: X25519PrivateKey) -> dict[bytes, bytes]:
    """Those that the client itself had sealed, one a member of ``device_info``."""
    return {
        value.encode(): open_envelope(value, Place(client_id, f"registration.{member}", name), key)
        for member, value in json.loads(group).items()
        if value.startswith("vws1:")
    }
