"""Days of the log expire whole; what readers see expires to the millisecond; records of before the chain stay readable."""

from __future__ import annotations

from collections.abc import Iterator

import clickhouse_connect
import pytest

from sinks.audit import sql_source
from sinks.audit.chain import DAY_MS, date_of
from sinks.audit.report import Report, verify
from sinks.audit.timeline import Copy
from sinks.migrate import migrations
from tests.deadline import eventually
from tests.sinks.audit.log import FIRST_DAY, KEY, AuditLog, audit_row
from tests.sinks.samples import now_ms
from tests.sinks.warehouse import Warehouse

YEAR_MS = 366 * DAY_MS


@pytest.fixture
def merges_stopped(warehouse: Warehouse, log: AuditLog) -> Iterator[None]:
    """So that rows which have expired lie in the table, as they do until the next merge."""
    warehouse.session.command("SYSTEM STOP TTL MERGES")
    yield
    warehouse.session.command("SYSTEM START TTL MERGES")


@pytest.mark.usefixtures("merges_stopped")
def test_an_expired_day_is_not_served(warehouse: Warehouse, log: AuditLog) -> None:
    log.write([audit_row(0, now_ms() - YEAR_MS - DAY_MS), audit_row(1, now_ms())])
    assert len(log.links) == 2, "the row has to be there to be hidden"
    assert warehouse.ask("SELECT _position FROM viworks.audit_log") == [{"_position": 1}]


def test_readers_lose_a_record_a_year_after_it_happened(warehouse: Warehouse, log: AuditLog) -> None:
    year_ago = audit_row(0, now_ms() - YEAR_MS)._replace(timestamp=now_ms())
    log.write([year_ago, audit_row(1, now_ms())])
    assert warehouse.ask("SELECT _position FROM viworks.audit_log ORDER BY 1") == [{"_position": 0}, {"_position": 1}]
    assert warehouse.ask("SELECT audit_id FROM viworks.audit") == [{"audit_id": "a1"}]
    assert warehouse.session.rows("SELECT audit_id FROM viworks.audit") == [("a1",)], "on a server there are no filters"


@pytest.fixture
def without_view(warehouse: Warehouse, log: AuditLog) -> Iterator[None]:
    """What readers see of the audit is gone, and comes back as it was."""
    lookup = "SELECT create_table_query FROM system.tables WHERE database = 'viworks' AND name = 'audit'"
    ((view,),) = warehouse.session.rows(lookup)
    warehouse.session.command("DROP VIEW viworks.audit")
    yield
    kinds = "SELECT if(engine = 'View', 'VIEW', 'TABLE') FROM system.tables WHERE database = 'viworks' AND name = 'audit'"
    for (kind,) in warehouse.session.rows(kinds):
        warehouse.session.command(f"DROP {kind} viworks.audit SYNC")
    warehouse.session.command(view)
    warehouse.session.command("TRUNCATE TABLE viworks.audit_unchained")


@pytest.mark.usefixtures("without_view")
def test_a_former_table_is_taken_over(warehouse: Warehouse, log: AuditLog) -> None:
    by_number = {migration.number: migration for migration in migrations()}
    former = next(statement for statement in by_number[5].statements if "viworks.audit\n" in statement)
    session = warehouse.session
    session.command(former)
    session.command(
        "INSERT INTO viworks.audit (_topic, _partition, _offset, audit_id, timestamp, subject) "
        "VALUES ('viworks.audit.v1', 0, 5, 'old', now64(3), 'former')"
    )
    for _ in range(2):
        for statement in by_number[11].statements:
            session.command(statement)
    log.write([audit_row(0, now_ms())])
    assert session.rows("SELECT _offset, audit_id FROM viworks.audit ORDER BY 1") == [(0, "a0"), (5, "old")]


def report_of(warehouse: Warehouse, log: AuditLog) -> Report:
    """What a verification by SQL finds."""
    client = clickhouse_connect.get_client(dsn="chdb://", path=warehouse.engine.connection_string)
    try:
        copies = [Copy("table", sql_source.notes(client))]
        return verify(sql_source.tables(client), copies, [bytes(KEY.verify_key)], now_ms())
    finally:
        client.close()


@pytest.mark.usefixtures("merges_stopped")
async def test_the_log_is_sound_before_and_after_a_day_is_dropped(warehouse: Warehouse, log: AuditLog) -> None:
    old_ms = now_ms() - YEAR_MS - 20 * DAY_MS
    log.write([audit_row(offset, old_ms) for offset in range(4)])
    log.write([audit_row(offset, old_ms + DAY_MS) for offset in range(4, 7)])
    log.write([audit_row(offset, now_ms()) for offset in range(7, 12)])
    log.seal(now_ms())
    report = report_of(warehouse, log)
    assert (report.faults, report.records) == ((), 5), "what has expired is not read any more"
    warehouse.session.command("SYSTEM START TTL MERGES viworks.audit_log")
    warehouse.session.command("OPTIMIZE TABLE viworks.audit_log FINAL")
    await eventually(lambda: len(log.links) == 5, 20)
    assert report_of(warehouse, log) == report
    log.write([audit_row(12, now_ms())])
    log.seal(now_ms())
    assert report_of(warehouse, log).faults == ()


ALTERATIONS = {
    "UPDATE subject = 'x' WHERE _position = 3": "Record 3 (offset 3, day {day}): its subject differs from the bytes",
    "UPDATE _offset = 9 WHERE _position = 3": "Record 3 (offset 9, day {day}): its _value, _offset, _position or",
    "DELETE WHERE _position = 3": "Record 3 is missing, by day {day}",
    "DELETE WHERE _position < 3": "Records 0 to 2 are missing, by day {day}: no day ends there",
    "DELETE WHERE _position > 3": "Record 4 is missing, by day {day}: checkpoint 0 is of 5 records",
}


@pytest.mark.parametrize("statement", ALTERATIONS)
def test_an_alteration_of_the_table_is_found(warehouse: Warehouse, log: AuditLog, statement: str) -> None:
    log.write([audit_row(offset) for offset in range(5)])
    log.seal()
    assert report_of(warehouse, log).faults == ()
    warehouse.session.command(f"ALTER TABLE viworks.audit_log {statement} SETTINGS mutations_sync = 2")
    first = report_of(warehouse, log).first_broken
    assert first
    assert first.sentence.startswith(ALTERATIONS[statement].format(day=date_of(FIRST_DAY)))
