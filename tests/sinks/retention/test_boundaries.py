"""Each retention to the second: what is one second past it is served to nobody, and its part goes with the next merge."""

from __future__ import annotations

from typing import Any

import pytest

from sinks.tables import DATABASE, RETENTIONS
from tests.sinks.samples import DAY_MS, alert, event, heartbeat, liveness, rejection, session
from tests.sinks.warehouse import Warehouse

# Long enough that a slow machine still reads the row before its time is up.
_LEFT_MS = 300_000
# A month and a day: in another partition than the boundary, whichever the table's partitions are.
_PARTITION_MS = 32 * DAY_MS

# The audit log has tests of its own: its days are pruned as links of a chain.
KEPT = ["heartbeats", "sessions", "liveness_transitions", "events", "alerts", "rejections"]


def record(table: str, name: str, at_ms: int) -> tuple[str, dict[str, Any]]:
    """A record of ``table`` under ``name``, from which its retention counts at ``at_ms``."""
    at = {"timestamp": at_ms}
    match table:
        case "heartbeats":
            return "heartbeat", heartbeat(name, received_at=at_ms, **at)
        case "sessions":
            return "session", session(name, name, received_at=at_ms, start_time=at_ms)
        case "liveness_transitions":
            return "liveness", liveness(name, "online", **at)
        case "events":
            return "event", event(name, name, received_at=at_ms, **at)
        case "alerts":
            return "alert", alert(name, name, "firing", **at)
    return "rejection", rejection(name, client_id=name, **at)


def expiry_ms(warehouse: Warehouse, table: str) -> int:
    """What is older than this has expired, by the engine's own calendar: a year is no fixed number of days."""
    interval = RETENTIONS[table].interval
    ((found,),) = warehouse.session.rows(f"SELECT toUnixTimestamp64Milli(now64(3) - INTERVAL {interval})")
    return int(found)


def write(warehouse: Warehouse, table: str, name: str, at_ms: int) -> None:
    schema, row = record(table, name, at_ms)
    warehouse.fill(table, schema, row)


def named(name: str) -> str:
    return f"client_id = '{name}'"


@pytest.mark.parametrize("table", KEPT)
def test_a_row_is_served_until_its_time_and_not_a_second_longer(warehouse: Warehouse, table: str) -> None:
    warehouse.session.command("SYSTEM STOP TTL MERGES")
    expiry = expiry_ms(warehouse, table)
    write(warehouse, table, "edge-past", expiry - 1_000)
    write(warehouse, table, "edge-left", expiry + _LEFT_MS)
    assert warehouse.ask(f"SELECT 1 FROM {table} WHERE {named('edge-past')}") == []
    assert len(warehouse.ask(f"SELECT 1 FROM {table} WHERE {named('edge-left')}")) == 1


@pytest.mark.parametrize("table", KEPT)
def test_a_part_whose_last_row_has_expired_goes_with_the_merge(warehouse: Warehouse, table: str) -> None:
    mine = f"SELECT count() FROM {DATABASE}.{table} WHERE {named('edge-part')}"
    warehouse.session.command("SYSTEM STOP TTL MERGES")
    write(warehouse, table, "edge-part", expiry_ms(warehouse, table) - _PARTITION_MS)
    assert warehouse.session.rows(mine)[0][0] == 1, "the row has to be there to be dropped"
    warehouse.session.command("SYSTEM START TTL MERGES")
    warehouse.session.command(f"OPTIMIZE TABLE {DATABASE}.{table} FINAL")
    assert warehouse.session.rows(mine)[0][0] == 0
