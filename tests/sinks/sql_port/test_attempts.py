"""Hundreds of generated attempts at what nobody may do, each refused with ClickHouse's code; and what stays possible."""

from __future__ import annotations

import itertools
from fnmatch import fnmatch

import pytest

from sinks.errors import QueryRefused
from sinks.sql_port.reader import Statement
from sinks.sql_port.requests import statement_of
from sinks.sql_port.roles import ANALYST, AUDITOR, AUDITORS_TABLES, ROLES, SENSITIVE_COLUMNS
from sinks.tables import TABLES
from tests.sinks.samples import event
from tests.sinks.sql_port.attempts import Attempt, attempts
from tests.sinks.warehouse import Warehouse

ALL = list(dict.fromkeys(attempts()))


def test_there_are_many() -> None:
    assert len({(attempt.role, attempt.sql) for attempt in ALL}) == len(ALL) > 1000


@pytest.mark.parametrize("kind", sorted({attempt.kind for attempt in ALL}))
def test_each_is_refused_with_the_right_code(warehouse: Warehouse, kind: str) -> None:
    warehouse.fill("events", "event", event("a-hidden", "e1"))
    tried = [(attempt, _code(warehouse, attempt)) for attempt in ALL if attempt.kind == kind]
    wrong = [(attempt, code) for attempt, code in tried if code not in attempt.codes]
    assert not wrong, f"{len(wrong)} of {len(tried)}: {wrong[:5]}"


def _code(warehouse: Warehouse, attempt: Attempt) -> int:
    return warehouse.refusal(attempt.sql, role=ROLES[attempt.role])


@pytest.mark.parametrize("role", ROLES)
def test_no_request_brings_a_setting_that_lifts_a_limit(warehouse: Warehouse, role: str) -> None:
    names = sorted(warehouse.reader.setting_names)
    taken = {name for name in names if _is_taken(warehouse, role, name, "1000000000000")}
    assert {name for name in taken if not name.startswith("output_format_")} <= _HARMLESS
    assert len(names) > 1000


_HARMLESS = {
    *("cast_string_to_dynamic_use_inference", "count_distinct_implementation", "extremes", "group_by_use_nulls", "limit"),
    *("join_use_nulls", "max_block_size", "offset", "session_timezone", "totals_mode", "use_client_time_zone"),
    *("date_time_input_format", "date_time_output_format"),
    # Limits that there are none of.
    *("max_bytes_to_read", "max_columns_to_read", "max_rows_to_group_by", "max_rows_to_read", "max_threads"),
    # Of the interface: taken, and without an effect on the engine.
    *("add_http_cors_header", "cancel_http_readonly_queries_on_client_close", "enable_http_compression", "readonly"),
    *("http_headers_progress_interval_ms", "http_response_buffer_size", "http_wait_end_of_query", "log_comment"),
    *("http_write_exception_in_output_format", "http_zlib_compression_level", "send_progress_in_http_headers"),
    *("database", "default_format", "log_queries"),
}


def _is_taken(warehouse: Warehouse, role: str, name: str, value: str) -> bool:
    pairs = [("query", "SELECT 1"), (name, value)]
    try:
        statement_of(pairs, {}, "", warehouse.settings, ROLES[role], warehouse.reader.setting_names)
    except QueryRefused:
        return False
    return True


def test_readonly_in_a_request_is_without_effect(warehouse: Warehouse) -> None:
    pairs = [("query", "SELECT getSetting('readonly')"), ("readonly", "0"), ("log_comment", "x")]
    assert warehouse.reader.run(statement_of(pairs, {}, "", warehouse.settings)).body == b"1\n"


@pytest.mark.parametrize("table", [table.name for table in TABLES if table.name != "audit_log"])
def test_an_analyst_sees_the_rest_of_each_table(warehouse: Warehouse, table: str) -> None:
    hidden = SENSITIVE_COLUMNS.get(table)
    columns = f"* EXCEPT ({', '.join(hidden)})" if hidden else "*"
    assert warehouse.refusal(f"SELECT {columns} FROM viworks.{table}") == 0
    assert warehouse.refusal(f"SELECT count() FROM {table} WHERE client_id = 'x'") == 0
    assert warehouse.refusal(f"DESCRIBE TABLE {table}") == 0


def test_every_view_is_the_analysts(warehouse: Warehouse) -> None:
    views = "SELECT name FROM system.tables WHERE database = 'viworks' AND engine = 'View' AND name != 'audit'"
    names = [row["name"] for row in warehouse.ask(views)]
    assert "fleet_now" in names
    assert {name: warehouse.refusal(f"SELECT * FROM {name}") for name in names} == dict.fromkeys(names, 0)


def test_the_roles_name_every_column_of_proof(warehouse: Warehouse) -> None:
    found = warehouse.ask(
        "SELECT table, groupArray(name) AS names FROM system.columns WHERE database = 'viworks' AND "
        "(name IN ('signature', 'signed_bytes', 'public_key')) AND NOT match(table, '^(audit|held)') GROUP BY table"
    )
    assert {row["table"]: sorted(row["names"]) for row in found} == {
        table: sorted(columns) for table, columns in SENSITIVE_COLUMNS.items()
    }


def test_an_auditor_sees_the_audit_and_nothing_else(warehouse: Warehouse) -> None:
    assert warehouse.refusal("SELECT * FROM viworks.audit", role=AUDITOR) == 0
    shown = warehouse.reader.run(Statement("SHOW TABLES FROM viworks", role=AUDITOR)).body.decode().split()
    assert shown
    assert all(any(fnmatch(name, names) for names in AUDITORS_TABLES) for name in shown)
    columns = "SELECT DISTINCT table FROM system.columns WHERE database = 'viworks'"
    assert set(warehouse.reader.run(Statement(columns, role=AUDITOR)).body.decode().split()) == set(shown)


def test_no_way_round_the_hidden_rows_of_system(warehouse: Warehouse) -> None:
    by_name = {"database": "system", "parameters": {"t": "processes"}}
    assert warehouse.refusal("SELECT count() FROM {t:Identifier}", **by_name) == 497
    assert warehouse.refusal("SELECT * FROM processes", database="system", role=ANALYST) == 497
    assert warehouse.refusal("SHOW PROCESSLIST", role=ANALYST) in {0, 164, 497}
    assert warehouse.reader.run(Statement("SELECT count() > 0 FROM system.processes", role=ROLES["admin"])).body == b"1\n"


def test_no_parameter_names_a_hidden_column(warehouse: Warehouse) -> None:
    for table, name in itertools.product(("events", "sessions"), ("signature", "signed_bytes")):
        parameters = {"t": table, "c": name}
        assert warehouse.refusal("SELECT {c:Identifier} FROM {t:Identifier}", parameters=parameters) == 497
