"""Days of the log expire whole; what readers see expires to the millisecond; records of before the chain stay readable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinks.audit.chain import DAY_MS
from sinks.migrate import migrations
from tests.sinks.audit.log import AuditLog, audit_row
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


def test_a_former_table_is_taken_over(warehouse: Warehouse, log: AuditLog) -> None:
    by_number = {migration.number: migration for migration in migrations()}
    former = next(statement for statement in by_number[5].statements if "viworks.audit\n" in statement)
    session = warehouse.session
    session.command("DROP VIEW viworks.audit")
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
