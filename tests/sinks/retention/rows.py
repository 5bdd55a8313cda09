"""Rows of every table with a retention, at a given time."""

from __future__ import annotations

from typing import Any

from sinks.tables import DATABASE, RETENTIONS
from tests.sinks.samples import alert, event, heartbeat, liveness, registration, rejection, session
from tests.sinks.warehouse import Warehouse

FILLED = ("heartbeats", "sessions", "registrations", "liveness_transitions", "events", "alerts", "rejections")
"""Those that a record can be written to alone. The audit log has tests of its own: its days are links of a chain."""


def record(table: str, name: str, at_ms: int) -> tuple[str, dict[str, Any]]:
    """A record of ``table`` under ``name``, from which its retention counts at ``at_ms``."""
    at = {"timestamp": at_ms}
    match table:
        case "heartbeats":
            return "heartbeat", heartbeat(name, received_at=at_ms, **at)
        case "sessions":
            return "session", session(name, name, received_at=at_ms, start_time=at_ms)
        case "registrations":
            return "registration", registration(name, request_id=name, received_at=at_ms, **at)
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


def stored(warehouse: Warehouse, table: str, name: str) -> int:
    """How many rows lie in the table, served or not."""
    return int(warehouse.session.rows(f"SELECT count() FROM {DATABASE}.{table} WHERE {named(name)}")[0][0])


def up_ms(warehouse: Warehouse, table: str, at_ms: int) -> int:
    """When the time of a row is up, by the engine's own calendar."""
    then = f"fromUnixTimestamp64Milli({at_ms}, 'UTC') + INTERVAL {RETENTIONS[table].interval}"
    return int(warehouse.session.rows(f"SELECT toUnixTimestamp64Milli({then})")[0][0])
