"""Each retention to the second: what is one second past it is served to nobody, and its part goes with the next merge."""

from __future__ import annotations

import pytest

from sinks.retention.entries import Reason
from sinks.tables import DATABASE
from tests.sinks.retention.conftest import Vault
from tests.sinks.retention.rows import FILLED, expiry_ms, named, stored, up_ms, write
from tests.sinks.samples import DAY_MS, HOUR_MS
from tests.sinks.warehouse import Warehouse

# Long enough that a slow machine still reads the row before its time is up.
_LEFT_MS = 300_000
# A month and a day: in another partition than the boundary, whichever the table's partitions are.
_PARTITION_MS = 32 * DAY_MS


@pytest.mark.parametrize("table", FILLED)
def test_a_row_is_served_until_its_time_and_not_a_second_longer(warehouse: Warehouse, table: str) -> None:
    warehouse.session.command("SYSTEM STOP TTL MERGES")
    expiry = expiry_ms(warehouse, table)
    write(warehouse, table, "edge-past", expiry - 1_000)
    write(warehouse, table, "edge-left", expiry + _LEFT_MS)
    assert warehouse.ask(f"SELECT 1 FROM {table} WHERE {named('edge-past')}") == []
    assert len(warehouse.ask(f"SELECT 1 FROM {table} WHERE {named('edge-left')}")) == 1


@pytest.mark.parametrize("table", FILLED)
def test_a_part_whose_last_row_has_expired_goes_with_the_merge(warehouse: Warehouse, table: str) -> None:
    mine = f"SELECT count() FROM {DATABASE}.{table} WHERE {named('edge-part')}"
    warehouse.session.command("SYSTEM STOP TTL MERGES")
    write(warehouse, table, "edge-part", expiry_ms(warehouse, table) - _PARTITION_MS)
    assert warehouse.session.rows(mine)[0][0] == 1, "the row has to be there to be dropped"
    warehouse.session.command("SYSTEM START TTL MERGES")
    warehouse.session.command(f"OPTIMIZE TABLE {DATABASE}.{table} FINAL")
    assert warehouse.session.rows(mine)[0][0] == 0


@pytest.mark.parametrize("table", FILLED)
def test_the_job_drops_a_part_with_its_last_row_and_not_a_millisecond_sooner(vault: Vault, table: str) -> None:
    at = expiry_ms(vault.warehouse, table) - HOUR_MS
    write(vault.warehouse, table, "job-left", at + HOUR_MS + _LEFT_MS)
    write(vault.warehouse, table, "job-past", at)
    up = up_ms(vault.warehouse, table, at)
    vault.sweep(up - 1)
    assert (stored(vault.warehouse, table, "job-past"), vault.done(table)) == (1, [])
    vault.sweep(up)
    assert [stored(vault.warehouse, table, name) for name in ("job-past", "job-left")] == [0, 1]
    assert len(vault.warehouse.ask(f"SELECT 1 FROM {table} WHERE {named('job-left')}")) == 1
    assert_written(vault, table, at)


def test_the_job_deletes_what_has_no_parts_of_its_own(vault: Vault) -> None:
    at = expiry_ms(vault.warehouse, "heartbeats") - HOUR_MS
    for name, moment in (("now-past", at), ("now-left", at + 2 * HOUR_MS)):
        write(vault.warehouse, "heartbeats", name, moment)
    vault.sweep()
    assert [stored(vault.warehouse, "heartbeats_now", name) for name in ("now-past", "now-left")] == [0, 1]
    assert_written(vault, "heartbeats_now", at)


def test_the_job_drops_rollups(vault: Vault) -> None:
    at = expiry_ms(vault.warehouse, "heartbeat_rollups") // 60_000 * 60_000 - HOUR_MS
    write(vault.warehouse, "heartbeats", "rolled-past", at)
    assert stored(vault.warehouse, "heartbeat_rollups", "rolled-past") == 1
    vault.sweep()
    assert stored(vault.warehouse, "heartbeat_rollups", "rolled-past") == 0
    assert_written(vault, "heartbeat_rollups", at)


def assert_written(vault: Vault, table: str, at_ms: int) -> None:
    """The manifest says what went, was told before, and is sound."""
    report = vault.verified()
    assert (report.faults, report.open) == ([], {})
    done = [entry for entry in vault.done(table) if entry.dropped.times and entry.dropped.times.first <= at_ms]
    assert done
    for entry in done:
        assert entry.dropped.reason is Reason.RETENTION
        assert entry.dropped.rows >= 1
        assert entry.intent >= 0
        assert vault.manifest.entries[entry.intent].dropped == entry.dropped
    assert any(span.first <= at_ms <= span.last for entry in done if (span := entry.dropped.times))
