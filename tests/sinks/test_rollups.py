"""Rollups count each heartbeat once, also where a crash came between the table and its materialised view."""

from __future__ import annotations

import uuid

import pytest

from sinks.rollups import catch_up
from tests.sinks.samples import heartbeat, now_ms
from tests.sinks.warehouse import Warehouse


@pytest.fixture(autouse=True)
def nothing_ahead(warehouse: Warehouse) -> None:
    """Tests of retention write minutes that are still to come, and a crash is looked for among the newest."""
    warehouse.session.command(
        "ALTER TABLE viworks.heartbeat_rollups DELETE WHERE minute > now() + INTERVAL 5 MINUTE SETTINGS mutations_sync = 2"
    )


def counted(warehouse: Warehouse, client_id: str) -> int:
    return int(warehouse.one(f"SELECT sum(heartbeats) AS n FROM heartbeat_rollups WHERE client_id = '{client_id}'")["n"])


def hourly(warehouse: Warehouse, client_id: str) -> tuple[int, float, float]:
    row = warehouse.one(
        "SELECT sum(heartbeats) AS n, round(sum(cpu_usage_sum), 6) AS cpu, max(cpu_usage_max) AS most"
        f" FROM heartbeat_rollups_hourly WHERE client_id = '{client_id}'"
    )
    return int(row["n"]), row["cpu"], row["most"]


def test_the_hours_are_what_the_minutes_are(warehouse: Warehouse) -> None:
    """Also where a crash came between the two views, and where there were minutes before there were hours."""
    name = f"hour-{uuid.uuid4()}"
    beats = [heartbeat(name, timestamp=now_ms() - number * 90_000, cpu_usage=10.0 + number) for number in range(5)]
    warehouse.fill("heartbeats", "heartbeat", *beats[:2])
    assert hourly(warehouse, name) == (2, 21.0, 11.0)
    warehouse.session.command("DETACH TABLE viworks.heartbeat_rollups_hourly_feed")
    warehouse.fill("heartbeats", "heartbeat", *beats[2:])
    warehouse.session.command("ATTACH TABLE viworks.heartbeat_rollups_hourly_feed")
    assert hourly(warehouse, name) == (2, 21.0, 11.0)
    for _ in range(2):
        catch_up(warehouse.session)
        assert hourly(warehouse, name) == (5, 60.0, 14.0)
    warehouse.session.command("TRUNCATE TABLE viworks.heartbeat_rollups_hourly")
    catch_up(warehouse.session)
    assert hourly(warehouse, name) == (5, 60.0, 14.0)


def test_what_a_crash_left_out_is_counted_once(warehouse: Warehouse) -> None:
    name = f"rollup-{uuid.uuid4()}"
    beats = [heartbeat(name, timestamp=now_ms() + number) for number in range(6)]
    warehouse.fill("heartbeats", "heartbeat", *beats[:2])
    warehouse.session.command("DETACH TABLE viworks.heartbeat_rollups_feed")
    warehouse.fill("heartbeats", "heartbeat", *beats[2:5])
    warehouse.session.command("ATTACH TABLE viworks.heartbeat_rollups_feed")
    assert counted(warehouse, name) == 2
    for _ in range(2):
        catch_up(warehouse.session)
        assert counted(warehouse, name) == 5
    warehouse.fill("heartbeats", "heartbeat", beats[5])
    catch_up(warehouse.session)
    assert counted(warehouse, name) == 6
