"""What lies on the disk of the historical tables tells nothing."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.sinks.samples import event, heartbeat, liveness, session
from tests.sinks.warehouse import STORAGE_KEY, Warehouse


def files_with(directory: Path, needle: bytes) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_a_marker_is_found_in_plain_tables_only(warehouse: Warehouse) -> None:
    plain, secret = f"marker-{uuid.uuid4()}", f"marker-{uuid.uuid4()}"
    warehouse.fill("events", "event", event("enc", plain))
    warehouse.fill("sessions", "session", session(secret, secret, node_id=secret))
    warehouse.fill("liveness_transitions", "liveness", liveness(secret, "online"))
    data = warehouse.settings.data_dir
    assert warehouse.ask(f"SELECT 1 FROM sessions WHERE node_id = '{secret}'")
    assert files_with(data, plain.encode()), "the search has to find what is not encrypted"
    assert files_with(data, secret.encode()) == []


def test_rollups_are_encrypted_though_heartbeats_are_not(warehouse: Warehouse) -> None:
    marker = f"marker-{uuid.uuid4()}"
    warehouse.fill("heartbeats", "heartbeat", heartbeat(marker))
    assert warehouse.ask(f"SELECT 1 FROM heartbeat_rollups WHERE client_id = '{marker}'")
    assert files_with(warehouse.settings.data_dir / "clickhouse" / "historical", marker.encode()) == []


def test_the_key_is_nowhere_in_the_data(warehouse: Warehouse) -> None:
    data = warehouse.settings.data_dir
    assert files_with(data, STORAGE_KEY.encode()) == []
    assert files_with(data, bytes.fromhex(STORAGE_KEY)) == []
