"""The tables are what the design says, and stay so however often the migrations run."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from schemas.registry import latest_schema
from sinks.cluster import for_cluster
from sinks.errors import MigrationChanged, MigrationFailed
from sinks.holds.hold import KEPT
from sinks.migrate import Migration, migrate, migrations, outstanding, plan
from sinks.tables import RETENTIONS, TABLES, Table
from tests.sinks.samples import event, heartbeat, now_ms
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
    "warehouse_orders": "toIntervalDay(90)",
}
# What the chain adds to a record.
CHAIN = ["_position", "_day", "_written_at", "_value", "_leaf_hash", "_chain_hash"]
HELD = {f"held_{table}" for table in KEPT}


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


@pytest.mark.parametrize("migration", migrations(), ids=lambda migration: migration.name)
def test_each_statement_for_a_cluster_is_one_to_the_engine(warehouse: Warehouse, migration: Migration) -> None:
    for statement in migration.statements:
        rewritten = for_cluster(statement, "fleet")
        literal = rewritten.replace("\\", "\\\\").replace("'", "\\'")
        assert warehouse.session.rows(f"SELECT formatQuery('{literal}')")
        assert rewritten == statement if "INSERT INTO" in statement else "ON CLUSTER 'fleet'" in rewritten
        assert "non_replicated" not in rewritten
        assert not re.search(r"ENGINE = (?!Replicated)\w*MergeTree", rewritten)
        assert rewritten.count("Replicated") == statement.count("ENGINE = ")


def test_a_statement_that_cannot_be_given_to_a_cluster_is_told() -> None:
    with pytest.raises(MigrationFailed, match="not known"):
        for_cluster("SYSTEM STOP MERGES viworks.events", "fleet")
    with pytest.raises(MigrationFailed, match="not the name"):
        for_cluster("DROP TABLE x", "fleet' SYNC; --")
    assert for_cluster("SYSTEM STOP MERGES viworks.events", "") == "SYSTEM STOP MERGES viworks.events"


def test_a_plan_changes_nothing_and_names_what_is_outstanding(warehouse: Warehouse) -> None:
    last = migrations()[-1]
    kept = warehouse.session.rows("SELECT count() FROM viworks.schema_migrations FINAL")
    warehouse.session.command(f"DELETE FROM viworks.schema_migrations WHERE number = {last.number}")
    try:
        found = plan(warehouse.session)
        assert found.pending == [last]
        assert found.applied.keys() == {each.number for each in migrations()} - {last.number}
        assert plan(warehouse.session) == found
    finally:
        assert migrate(warehouse.session) == [last]
    assert warehouse.session.rows("SELECT count() FROM viworks.schema_migrations FINAL") == kept


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
    # ClickHouse drops only what the sink's own job has left for some time; readers see nothing of it meanwhile. A table of a
    # later migration gets that from the job.
    column = RETENTIONS[table].column
    assert f"TTL (toDateTime({column}) + {TTLS[table]}) + " in definition or f"TTL {column} + {TTLS[table]}" in definition
    count, unit = RETENTIONS[table].interval.split()
    assert TTLS[table].lower() == f"tointerval{unit.lower()}({count})"


def test_only_current_state_has_no_retention(warehouse: Warehouse) -> None:
    tables = warehouse.session.rows(
        "SELECT name FROM system.tables "
        "WHERE database = 'viworks' AND engine LIKE '%MergeTree' AND engine_full NOT LIKE '%TTL%'"
    )
    current = {"clients", "client_keys", "audit_subjects", "retention_manifest", "retention_state", "holds"}
    assert {name for (name,) in tables} == current | HELD | {"schema_migrations", "audit_checkpoints"}


def test_all_that_holds_data_lies_on_the_encrypted_disk(warehouse: Warehouse) -> None:
    tables = warehouse.session.rows(
        "SELECT name, storage_policy FROM system.tables WHERE database = 'viworks' AND engine LIKE '%MergeTree'"
    )
    assert {name for name, policy in tables if policy != "encrypted"} == {"schema_migrations"}


def test_rows_of_before_are_taken_to_the_encrypted_disk(warehouse: Warehouse) -> None:
    warehouse.fill("events", "event", event("moved", "m-1"))
    warehouse.fill("heartbeats", "heartbeat", heartbeat("moved"))
    encrypting = next(each for each in migrations() if each.number == 18)
    for statement in encrypting.statements:
        warehouse.session.command(statement)
    # Once more than before: into the table, and through the views that it feeds.
    warehouse.fill("heartbeats", "heartbeat", heartbeat("moved", timestamp=now_ms() + 1))
    for table, count in {"events": 1, "heartbeats": 2, "heartbeats_now": 1}.items():
        assert (
            warehouse.ask(f"SELECT client_id FROM viworks.{table} WHERE client_id = 'moved'")
            == [{"client_id": "moved"}] * count
        )
    assert (
        warehouse.one("SELECT sum(heartbeats) AS beats FROM viworks.heartbeat_rollups WHERE client_id = 'moved'")["beats"]
        == 2
    )


def test_parts_expire_whole_and_replays_can_be_recognised(warehouse: Warehouse) -> None:
    definitions = warehouse.session.rows(
        "SELECT name, engine_full FROM system.tables WHERE database = 'viworks' AND name IN "
        f"({', '.join(repr(table.name) for table in TABLES)})"
    )
    assert len(definitions) == len(TABLES)
    for name, definition in definitions:
        assert "non_replicated_deduplication_window = 10000" in definition
        assert name in ("clients", "client_keys") or "ttl_only_drop_parts = 1" in definition
