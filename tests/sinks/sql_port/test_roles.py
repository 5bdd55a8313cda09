"""The roles' files: what the embedded engine reads at its start, and the one for a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinks.settings import SinkSettings
from sinks.sql_port.roles import ROLES
from sinks.sql_port.server_roles import server_sql, statements_of
from tests.sinks.warehouse import Warehouse

ROLES_SQL = Path(__file__).parents[3] / "infra" / "clickhouse" / "roles.sql"
STATEMENTS = statements_of(ROLES_SQL.read_text())


def test_the_servers_file_is_the_code_s() -> None:
    assert ROLES_SQL.read_text() == server_sql(SinkSettings.model_construct())


def test_it_says_something_of_every_role() -> None:
    for role in ROLES:
        begins = ("CREATE SETTINGS PROFILE", "CREATE ROLE", "GRANT")
        assert all(any(each.startswith(begin) and f"viworks_{role}" in each for each in STATEMENTS) for begin in begins)
    assert len([each for each in STATEMENTS if each.startswith("CREATE ROW POLICY")]) > 5


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement[:60])
def test_clickhouse_reads_it(warehouse: Warehouse, statement: str) -> None:
    handle = warehouse.reader.handle()
    try:
        # Refused for what is wrong with its text; that the embedded engine has no users of SQL's is not looked at.
        assert handle.query(f"EXPLAIN AST {statement}", "TSVRaw").bytes()
    finally:
        handle.close()


def test_the_embedded_engine_has_them(warehouse: Warehouse) -> None:
    found = {name for (name,) in warehouse.session.rows("SELECT name FROM system.roles")}
    assert set(ROLES) < found
