"""The tables are what the design says, and stay so however often the migrations run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.registry import latest_schema
from sinks.errors import MigrationChanged
from sinks.migrate import migrate, migrations, outstanding
from sinks.tables import RETENTIONS, TABLES, Table
from tests.sinks.warehouse import Warehouse

TTLS = {
    "heartbeats": "toIntervalHour(24)",
    "heartbeats_now": "toIntervalHour(24)",
    "heartbeat_rollups": "toIntervalDay(90)",
    "heartbeat_rollups_hourly": "toIntervalDay(90)",
    "sessions": "toIntervalDay(90)",
    "liveness_transitions": "toIntervalDay(90)",
    "events": "toIntervalYear(2)",
    "alerts": "toIntervalYear(2)",
    "rejections": "toIntervalYear(2)",
    "audit_log": "toIntervalYear(1)",
    "audit_unchained": "toIntervalYear(1)",
    "registrations": "toIntervalYear(1)",
}
# What the chain adds to a record.
CHAIN = ["_position", "_day", "_written_at", "_value", "_leaf_hash", "_chain_hash"]
ENCRYPTED = {"heartbeat_rollups", "heartbeat_rollups_hourly", "sessions", "liveness_transitions"}


def test_they_are_applied_once(warehouse: Warehouse) -> None:
    assert migrate(warehouse.session) == []
    recorded = warehouse.session.rows("SELECT name FROM viworks.schema_migrations ORDER BY number")
    assert [name for (name,) in recorded] == [migration.name for migration in migrations()]


def test_an_interrupted_one_can_be_applied_again(warehouse: Warehouse) -> None:
    for migration in migrations():
        for statement in migration.statements:
            warehouse.session.command(statement)


def test_one_that_was_edited_afterwards_is_refused() -> None:
    first, *rest = migrations()
    with pytest.raises(MigrationChanged, match="0001_heartbeats"):
        outstanding([replace(first, text="SELECT 1;"), *rest], {first.number: first.sha256})
    assert outstanding([first, *rest], {first.number: first.sha256}) == rest


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_are_the_messages_members(warehouse: Warehouse, table: Table) -> None:
    members = [field["name"] for field in latest_schema(table.topic.schemas[0]).json["fields"]]
    columns = warehouse.session.rows(
        f"SELECT name FROM system.columns WHERE database = 'viworks' AND table = '{table.name}' "
        "AND default_kind != 'MATERIALIZED' ORDER BY position"
    )
    assert [name for (name,) in columns] == [
        "_topic",
        "_partition",
        "_offset",
        *members,
        *(CHAIN if table.name == "audit_log" else []),
    ]


def test_every_column_says_what_it_is(warehouse: Warehouse) -> None:
    silent = warehouse.session.rows(
        "SELECT c.table, c.name FROM system.columns AS c "
        "JOIN system.tables AS t ON t.database = c.database AND t.name = c.table "
        "WHERE c.database = 'viworks' AND t.engine LIKE '%MergeTree' AND c.comment = ''"
    )
    assert list(silent) == []


@pytest.mark.parametrize("table", TTLS)
def test_retention_is_in_the_table_and_in_what_readers_see(warehouse: Warehouse, table: str) -> None:
    ((definition,),) = warehouse.session.rows(
        f"SELECT engine_full FROM system.tables WHERE database = 'viworks' AND name = '{table}'"
    )
    column = RETENTIONS[table].column
    assert f"TTL toDateTime({column}) + {TTLS[table]}" in definition or f"TTL {column} + {TTLS[table]}" in definition
    count, unit = RETENTIONS[table].interval.split()
    assert TTLS[table].lower() == f"tointerval{unit.lower()}({count})"


def test_only_current_state_has_no_retention(warehouse: Warehouse) -> None:
    tables = warehouse.session.rows(
        "SELECT name FROM system.tables "
        "WHERE database = 'viworks' AND engine LIKE '%MergeTree' AND engine_full NOT LIKE '%TTL%'"
    )
    assert {name for (name,) in tables} == {"clients", "client_keys", "schema_migrations", "audit_checkpoints"}


def test_historical_tables_lie_on_the_encrypted_disk(warehouse: Warehouse) -> None:
    tables = warehouse.session.rows(
        "SELECT name FROM system.tables WHERE database = 'viworks' AND storage_policy = 'encrypted'"
    )
    assert {name for (name,) in tables} == ENCRYPTED


def test_parts_expire_whole_and_replays_can_be_recognised(warehouse: Warehouse) -> None:
    definitions = warehouse.session.rows(
        "SELECT name, engine_full FROM system.tables WHERE database = 'viworks' AND name IN "
        f"({', '.join(repr(table.name) for table in TABLES)})"
    )
    assert len(definitions) == len(TABLES)
    for name, definition in definitions:
        assert "non_replicated_deduplication_window = 10000" in definition
        assert name in ("clients", "client_keys") or "ttl_only_drop_parts = 1" in definition
