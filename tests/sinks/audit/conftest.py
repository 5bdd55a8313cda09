"""An empty audit log for each test: there is one table of it in the one engine of the process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sinks.audit.log import AuditLog
from tests.sinks.warehouse import Warehouse


@pytest.fixture
def log(warehouse: Warehouse) -> Iterator[AuditLog]:
    for table in ("audit_log", "audit_checkpoints"):
        # Made anew and not only emptied, so that the names of the inserts of the test before are forgotten.
        ((definition,),) = warehouse.session.rows(f"SELECT create_table_query FROM system.tables WHERE name = '{table}'")
        warehouse.session.command(f"DROP TABLE viworks.{table} SYNC")
        warehouse.session.command(definition)
    warehouse.session.command("TRUNCATE TABLE viworks.audit_unchained")
    yield AuditLog(warehouse)
    for table in ("audit_log", "audit_checkpoints", "audit_unchained"):
        warehouse.session.command(f"TRUNCATE TABLE viworks.{table}")
