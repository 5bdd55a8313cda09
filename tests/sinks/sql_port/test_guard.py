"""The SQL port reads, and nothing else. ClickHouse's own codes say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sinks.errors import QueryRefused
from sinks.sql_port.guard import killed_query, with_output
from sinks.sql_port.requests import statement_of
from tests.sinks.warehouse import Warehouse

READONLY = 164
SYNTAX_ERROR = 62


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO events (client_id) VALUES ('x')",
        "INSERT INTO FUNCTION file('/tmp/viworks-written') SELECT 1",
        "DROP TABLE events",
        "TRUNCATE TABLE events",
        "ALTER TABLE events DELETE WHERE 1",
        "DELETE FROM events WHERE 1",
        "OPTIMIZE TABLE events FINAL",
        "CREATE TABLE t (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE t (a Int8)",
        "CREATE FUNCTION f AS x -> x",
        "RENAME TABLE events TO other",
        "EXCHANGE TABLES events AND alerts",
        "DETACH TABLE events",
        "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1",
        "KILL MUTATION WHERE 1",
        "BACKUP DATABASE viworks TO File('x')",
        "GRANT SELECT ON *.* TO x",
        "SET readonly = 0",
        "SET max_execution_time = 0",
        "SET additional_table_filters = {}",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT * FROM heartbeats SETTINGS additional_table_filters = {}",
        "SELECT * FROM heartbeats SETTINGS final = 0",
        "SELECT 1 PARALLEL WITH DROP TABLE events",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString', 'a String')",
        "SELECT * FROM remote('127.0.0.1', 'system.one')",
        "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a String')",
        "SELECT * FROM sqlite('/tmp/x.db', 't')",
        "SELECT * FROM executable('x', 'CSV', 'a String')",
        "SELECT * FROM Python(os)",
        "SELECT * FROM python(os)",
        "SELECT * FROM merge('viworks', '^heartbeats$')",
        "SELECT * FROM mergeTreeIndex('viworks', 'heartbeats')",
        "SELECT * FROM cluster('default', 'viworks', 'heartbeats')",
        "DESCRIBE TABLE file('/etc/hostname', 'LineAsString')",
        "EXPLAIN SELECT file('/etc/hostname')",
    ],
)
def test_what_is_not_reading_is_refused(warehouse: Warehouse, sql: str) -> None:
    assert warehouse.refusal(sql) == READONLY


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('/etc/hostname')",
        "SELECT `file`('/etc/hostname')",
        "SELECT \"file\"('/etc/hostname')",
        "SELECT /* a comment */ file /* another */ ('/etc/hostname')",
        "SELECT arrayMap(file, ['/etc/hostname'])",
        "SELECT arrayMap(x -> file(x), ['/etc/hostname'])",
        "SELECT * APPLY(file) FROM values('a String', '/etc/hostname')",
        "SELECT * APPLY(x -> file(x)) FROM values('a String', '/etc/hostname')",
        "WITH (SELECT file('/etc/hostname')) AS content SELECT content",
        "SELECT 1 WHERE '' IN (SELECT file('/etc/hostname'))",
        "SELECT 1 ORDER BY file('/etc/hostname')",
        "SELECT 1 LIMIT length(file('/etc/hostname'))",
        "SELECT sum(1) OVER (PARTITION BY file('/etc/hostname'))",
        "SELECT 'it''s \\' not', file('/etc/hostname')",
        "SELECT $$'$$, file('/etc/hostname')",
        "EXPLAIN AST SELECT 1 UNION ALL SELECT length(file('/etc/hostname'))",
    ],
)
def test_no_way_leads_to_a_file(warehouse: Warehouse, sql: str) -> None:
    assert warehouse.refusal(sql) == READONLY


@pytest.mark.parametrize("name", ["file", "fi\\x6ce", "`file`", "viworks.file", "FILE"])
def test_no_parameter_names_a_forbidden_function(warehouse: Warehouse, name: str) -> None:
    assert warehouse.refusal("SELECT arrayMap({f:Identifier}, ['/etc/hostname'])", parameters={"f": name}) != 0


def test_nothing_is_written_to_a_file(warehouse: Warehouse, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert warehouse.refusal(f"SELECT 1 INTO OUTFILE '{target}'") == 48
    assert warehouse.refusal(f"SELECT 1 INTO OUTFILE '{target}' TRUNCATE FORMAT CSV") == 48
    assert not target.exists()


def test_one_statement_at_a_time(warehouse: Warehouse) -> None:
    assert warehouse.refusal("SELECT 1; DROP TABLE viworks.events") == SYNTAX_ERROR
    assert warehouse.refusal("SELECT 1;") == 0
    assert warehouse.refusal("") == SYNTAX_ERROR
    assert warehouse.refusal("SELEC 1") == SYNTAX_ERROR


def test_words_in_strings_and_columns_are_no_calls(warehouse: Warehouse) -> None:
    row = warehouse.one("SELECT 'file(1)' AS a, 'x INTO OUTFILE y' AS b, 1 AS url, $$cluster('x')$$ AS c")
    assert row == {"a": "file(1)", "b": "x INTO OUTFILE y", "url": 1, "c": "cluster('x')"}


def test_limits_hold(warehouse: Warehouse) -> None:
    assert warehouse.refusal("SELECT count() FROM numbers(1e12)", settings={"max_execution_time": "0.2"}) == 159
    assert warehouse.refusal("SELECT number FROM numbers(2000000)") == 396
    assert warehouse.refusal("SELECT groupArray(number) FROM numbers(1e9)") == 241


def test_the_environment_and_the_key_are_out_of_reach(warehouse: Warehouse) -> None:
    key = warehouse.settings.storage_key_file
    assert key is not None
    assert key.read_text() not in str(dict(os.environ))
    everything = warehouse.ask("SELECT * FROM system.disks") + warehouse.ask("SELECT * FROM system.server_settings")
    assert key.read_text() not in str(everything)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("max_execution_time", "0", READONLY),
        ("max_execution_time", "1000", READONLY),
        ("max_result_rows", "-1", READONLY),
        ("max_memory_usage", "x", 36),
        ("additional_table_filters", "{}", READONLY),
        ("final", "0", READONLY),
        ("format_schema", "/etc/passwd", READONLY),
        ("nonsense", "1", READONLY),
    ],
)
def test_a_request_cannot_lift_what_holds(warehouse: Warehouse, name: str, value: str, code: int) -> None:
    with pytest.raises(QueryRefused) as caught:
        statement_of([("query", "SELECT 1"), (name, value)], {}, "", warehouse.settings)
    assert caught.value.code == code


def test_a_request_is_read_as_clickhouse_reads_it(warehouse: Warehouse) -> None:
    pairs = [("query", "SELECT"), ("param_x", "1"), ("session_id", "s"), ("max_execution_time", "2"), ("extremes", "1")]
    statement = statement_of(pairs, {"x-clickhouse-format": "CSV"}, "{x:UInt8}", warehouse.settings)
    assert statement.sql == "SELECT\n{x:UInt8}"
    assert statement.settings == {"max_execution_time": "2", "extremes": "1"}
    assert (statement.parameters, statement.default_format) == ({"x": "1"}, "CSV")


@pytest.mark.parametrize(
    ("canonical", "composed", "expected"),
    [
        ("SELECT 1", "SELECT 1 INTO X FORMAT TSV", "TSV"),
        ("SELECT 1 FORMAT JSON", "SELECT 1 INTO X FORMAT JSON", "JSON"),
        ("SELECT 1 FORMAT JSON SETTINGS a = 'FORMAT B'", "SELECT 1 INTO X FORMAT JSON SETTINGS a = 'FORMAT B'", "JSON"),
        ("SELECT 1 SETTINGS a = 1", "SELECT 1 SETTINGS a = 1 INTO X FORMAT TSV", "TSV"),
        ("SELECT 'FORMAT CSV'", "SELECT 'FORMAT CSV' INTO X FORMAT TSV", "TSV"),
        ("SELECT 'FORMAT J SETTINGS b', 1 AS x", "SELECT 'FORMAT J SETTINGS b', 1 AS x INTO X FORMAT TSV", "TSV"),
        ("SELECT * FROM (SELECT 1 FORMAT CSV)", "SELECT * FROM (SELECT 1 FORMAT CSV) INTO X FORMAT TSV", "TSV"),
    ],
)
def test_where_a_result_is_written_to(canonical: str, composed: str, expected: str) -> None:
    assert with_output(canonical, "INTO X", "TSV") == (composed, expected)


@pytest.mark.parametrize(
    ("canonical", "expected"),
    [
        ("KILL QUERY WHERE query_id = 'a-1' ASYNC", "a-1"),
        ("KILL QUERY WHERE query_id = 'a' SYNC", "a"),
        ("KILL QUERY WHERE query_id = 'a' ASYNC FORMAT JSONEachRow", "a"),
        ("KILL QUERY WHERE query_id = 'a' OR 1 ASYNC", None),
        ("KILL QUERY WHERE user = 'a' ASYNC", None),
        ("KILL QUERY WHERE query_id = 'a\\' OR 1 ASYNC", None),
    ],
)
def test_only_one_query_is_killed(canonical: str, expected: str | None) -> None:
    assert killed_query(canonical) == expected
