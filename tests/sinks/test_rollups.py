"""Rollups count each heartbeat once, also where a crash came between the table and its materialised view."""

from __future__ import annotations

import uuid

from sinks.rollups import catch_up
from tests.sinks.samples import DAY_MS, HOUR_MS, heartbeat, now_ms
from tests.sinks.warehouse import Warehouse


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


def left_out_by_a_crash(warehouse: Warehouse, name: str, before: int, start_ms: int) -> None:
    """``before`` heartbeats are counted, three that follow are not."""
    beats = [heartbeat(name, timestamp=start_ms + number) for number in range(before + 3)]
    warehouse.fill("heartbeats", "heartbeat", *beats[:before])
    warehouse.session.command("DETACH TABLE viworks.heartbeat_rollups_feed")
    warehouse.fill("heartbeats", "heartbeat", *beats[before:])
    warehouse.session.command("ATTACH TABLE viworks.heartbeat_rollups_feed")
    assert counted(warehouse, name) == before


def assert_counted_once(warehouse: Warehouse, name: str, count: int) -> None:
    for _ in range(2):
        catch_up(warehouse.session)
        assert (counted(warehouse, name), hourly(warehouse, name)[0]) == (count, count)


def emptied(warehouse: Warehouse) -> None:
    for table in ("heartbeats", "heartbeat_rollups", "heartbeat_rollups_hourly"):
        warehouse.session.command(f"TRUNCATE TABLE viworks.{table}")


def test_what_a_crash_left_out_is_counted_once(warehouse: Warehouse) -> None:
    name = f"rollup-{uuid.uuid4()}"
    left_out_by_a_crash(warehouse, name, 2, now_ms())
    assert_counted_once(warehouse, name, 5)
    warehouse.fill("heartbeats", "heartbeat", heartbeat(name, timestamp=now_ms() + 5))
    catch_up(warehouse.session)
    assert counted(warehouse, name) == 6


def test_a_crash_before_anything_was_counted(warehouse: Warehouse) -> None:
    emptied(warehouse)
    name = f"rollup-first-{uuid.uuid4()}"
    left_out_by_a_crash(warehouse, name, 0, now_ms())
    assert_counted_once(warehouse, name, 3)


def test_a_sink_that_was_away_for_days_counts_nothing_twice(warehouse: Warehouse) -> None:
    emptied(warehouse)
    name = f"rollup-away-{uuid.uuid4()}"
    left_out_by_a_crash(warehouse, name, 2, now_ms() - 5 * DAY_MS)
    assert_counted_once(warehouse, name, 5)


def test_a_minute_that_is_still_to_come_hides_no_other(warehouse: Warehouse) -> None:
    """An edge whose clock is wrong takes one; it stays for as long as all minutes."""
    ahead, name = f"rollup-ahead-{uuid.uuid4()}", f"rollup-behind-{uuid.uuid4()}"
    warehouse.fill("heartbeats", "heartbeat", heartbeat(ahead, timestamp=now_ms() + 300 * DAY_MS))
    left_out_by_a_crash(warehouse, name, 2, now_ms() - 5 * HOUR_MS)
    assert_counted_once(warehouse, name, 5)
    assert counted(warehouse, ahead) == 1
    emptied(warehouse)
