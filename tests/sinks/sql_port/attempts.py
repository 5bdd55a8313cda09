"""Attempts at what a role may not do, generated: each class times the ways to hide it, with ClickHouse's code for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

READONLY, NOT_IMPLEMENTED, ACCESS_DENIED = 164, 48, 497


class Attempt(NamedTuple):
    """One statement, who says it, and the codes that are right for it."""

    kind: str
    role: str
    sql: str
    codes: tuple[int, ...]


_CHANGES = [
    "INSERT INTO viworks.events (client_id) VALUES ('x')",
    "INSERT INTO viworks.events SELECT * FROM viworks.events",
    "INSERT INTO FUNCTION file('viworks-written', 'CSV') SELECT 1",
    "INSERT INTO TABLE FUNCTION url('http://127.0.0.1:1/', 'CSV', 'a UInt8') VALUES (1)",
    "INSERT INTO viworks.events FROM INFILE '/etc/passwd' FORMAT CSV",
    "DROP TABLE viworks.events",
    "DROP TABLE IF EXISTS viworks.events SYNC",
    "DROP DATABASE viworks",
    "DROP VIEW viworks.fleet_now",
    "TRUNCATE TABLE viworks.events",
    "TRUNCATE ALL TABLES FROM viworks",
    "ALTER TABLE viworks.events DELETE WHERE 1",
    "ALTER TABLE viworks.events UPDATE severity = 'low' WHERE 1",
    "ALTER TABLE viworks.events DROP COLUMN severity",
    "ALTER TABLE viworks.events MODIFY TTL timestamp + INTERVAL 1 DAY",
    "ALTER TABLE viworks.events DROP PARTITION ID '202601'",
    "ALTER TABLE viworks.events FREEZE",
    "ALTER USER default IDENTIFIED BY 'x'",
    "DELETE FROM viworks.events WHERE 1",
    "UPDATE viworks.events SET severity = 'low' WHERE 1",
    "OPTIMIZE TABLE viworks.events FINAL",
    "CREATE TABLE t (a Int8) ENGINE = Memory",
    "CREATE TABLE t ENGINE = File(CSV) AS SELECT 1",
    "CREATE OR REPLACE TABLE viworks.events (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE t (a Int8)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE MATERIALIZED VIEW v ENGINE = Memory AS SELECT * FROM viworks.events",
    "CREATE DATABASE d",
    "CREATE FUNCTION f AS x -> x",
    "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(FILE(PATH '/etc/passwd' FORMAT CSV)) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE USER u",
    "CREATE ROLE r",
    "CREATE QUOTA q",
    "CREATE ROW POLICY p ON viworks.events USING 1",
    "CREATE SETTINGS PROFILE p",
    "CREATE NAMED COLLECTION c AS a = 1",
    "RENAME TABLE viworks.events TO viworks.other",
    "EXCHANGE TABLES viworks.events AND viworks.alerts",
    "ATTACH TABLE t (a Int8) ENGINE = Memory",
    "DETACH TABLE viworks.events",
    "SYSTEM STOP MERGES",
    "SYSTEM SHUTDOWN",
    "SYSTEM FLUSH LOGS",
    "SYSTEM RELOAD CONFIG",
    "KILL QUERY WHERE 1",
    "KILL QUERY WHERE user = 'default'",
    "KILL QUERY WHERE query_id = 'a' OR 1",
    "KILL MUTATION WHERE 1",
    "BACKUP DATABASE viworks TO File('x')",
    "RESTORE DATABASE viworks FROM File('x')",
    "GRANT ALL ON *.* TO default",
    "REVOKE ALL ON *.* FROM default",
    "SET ROLE ALL",
    "SET ROLE viworks_owner",
    "SET DEFAULT ROLE ALL TO default",
    "EXECUTE AS default SELECT 1",
    "BEGIN TRANSACTION",
    "SELECT 1 PARALLEL WITH DROP TABLE viworks.events",
    "MOVE USER default TO local_directory",
    "CHECK TABLE viworks.events",
]

_LIMITS = [
    "max_execution_time = 0",
    "max_execution_time = 100000",
    "max_memory_usage = 0",
    "max_result_rows = 0",
    "max_result_bytes = 0",
    "readonly = 0",
    "readonly = 2",
    "final = 0",
    "additional_table_filters = {}",
    "additional_table_filters = {'viworks.events': '1'}",
    "log_comment = 'x'",
    "result_overflow_mode = 'break'",
    "timeout_overflow_mode = 'break'",
    "max_threads = 1000",
    "max_ast_depth = 1000000",
    "max_query_size = 100000000",
    "max_block_size = 100000000",
    "allow_introspection_functions = 1",
    "enable_analyzer = 0",
    "allow_experimental_analyzer = 0",
    "force_index_by_date = 1",
    "max_concurrent_queries_for_user = 1000",
    "priority = 5",
    "additional_result_filter = '1'",
    "dialect = 'kusto'",
]

_PARTS = [
    "SELECT * FROM (SELECT 1 LIMIT_SET)",
    "SELECT 1 LIMIT_SET UNION ALL SELECT 2",
    "WITH x AS (SELECT 1 LIMIT_SET) SELECT * FROM x",
    "SELECT (SELECT 1 LIMIT_SET)",
    "EXPLAIN SELECT 1 LIMIT_SET",
]

# Table functions; CALL stands for a source of one column.
_SOURCES = [
    "file('/etc/passwd', 'LineAsString')",
    "file('/etc/*', 'LineAsString', 'line String')",
    "url('http://127.0.0.1:1/', 'LineAsString', 'line String')",
    "s3('http://127.0.0.1:1/b/k', 'CSV', 'line String')",
    "remote('127.0.0.1:1', 'system.one')",
    "remoteSecure('127.0.0.1:1', 'system.one')",
    "cluster('default', 'viworks', 'events')",
    "clusterAllReplicas('default', 'viworks', 'events')",
    "executable('x.sh', 'CSV', 'line String')",
    "mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "sqlite('/tmp/x.db', 't')",
    "merge('viworks', '^events$')",
    "merge('system', 'processes')",
    "mergeTreeIndex('viworks', 'sessions')",
    "python('os')",
    "Python(os)",
    "hdfs('hdfs://127.0.0.1:1/x', 'CSV')",
    "gcs('http://127.0.0.1:1/b/k', 'CSV', 'a String')",
    "azureBlobStorage('http://127.0.0.1:1/', 'container', 'x')",
    "deltaLake('http://127.0.0.1:1/b/k')",
    "deltaLakeLocal('/etc')",
    "icebergLocal('/etc')",
    "icebergS3('http://127.0.0.1:1/b/k')",
    "paimonLocal('/etc')",
    "hudi('http://127.0.0.1:1/b/k')",
    "urlCluster('default', 'http://127.0.0.1:1/')",
    "s3Cluster('default', 'http://127.0.0.1:1/b/k')",
    "fileCluster('default', '/etc/passwd', 'LineAsString')",
    "mongodb('127.0.0.1:1', 'd', 'c', 'u', 'p', 'a Int8')",
    "redis('127.0.0.1:1', 'k', 'k String')",
    "jdbc('x', 'y')",
    "odbc('x', 'y')",
    "filesystem('/etc')",
    "dictionary('d')",
    "loop('viworks', 'events')",
    "eval('SELECT 1')",
    "bigquery('p', 'd', 't')",
]

_FILES = ["file('/etc/passwd')", "`file`('/etc/passwd')", "\"file\"('/etc/passwd')", "FILE('/etc/passwd')".lower()]

Wrap = Callable[[str], str]
_AROUND_CALLS: list[Wrap] = [
    lambda call: f"SELECT {call}",
    lambda call: f"SELECT arrayMap(x -> {call}, [1])",
    lambda call: f"SELECT 1 WHERE '' = {call}",
    lambda call: f"WITH (SELECT {call}) AS x SELECT x",
    lambda call: f"EXPLAIN SELECT {call}",
]
_AROUND_TABLES: list[Wrap] = [
    lambda table: f"SELECT * FROM {table}",
    lambda table: f"select/* */*from\n{table}--x",
    lambda table: f"SELECT count() FROM (SELECT * FROM {table})",
    lambda table: f"WITH x AS (SELECT * FROM {table}) SELECT * FROM x",
    lambda table: f"SELECT 1 WHERE 1 IN (SELECT 1 FROM {table})",
    lambda table: f"SELECT (SELECT count() FROM {table})",
    lambda table: f"SELECT 1 UNION ALL SELECT count() FROM {table}",
    lambda table: f"SELECT 1 EXCEPT SELECT count() FROM {table}",
    lambda table: f"SELECT * FROM system.one AS a CROSS JOIN {table} AS b",
    lambda table: f"EXPLAIN SELECT * FROM {table}",
    lambda table: f"SELECT * FROM view(SELECT * FROM {table})",
]

# HIDDEN stands for a column that the role does not see; each shows it, or something that depends on it.
_AROUND_COLUMNS: list[Wrap] = [
    lambda table: f"SELECT HIDDEN FROM {table}",
    lambda table: f"SELECT * FROM {table}",
    lambda table: f"SELECT t.* FROM {table} AS t",
    lambda table: f"SELECT `HIDDEN` AS harmless FROM {table}",
    lambda table: f'SELECT "HIDDEN" FROM {table} -- a comment',
    lambda table: f"SELECT /* HIDDEN */ t . HIDDEN FROM {table} AS t",
    lambda table: f"SELECT COLUMNS('^HIDDEN$') FROM {table}",
    lambda table: f"SELECT * EXCEPT (client_id) FROM {table}",
    lambda table: f"SELECT * REPLACE ('x' AS client_id) FROM {table}",
    lambda table: f"SELECT * APPLY(toString) FROM {table}",
    lambda table: f"SELECT untuple(tuple(*)) FROM {table}",
    lambda table: f"SELECT count() FROM {table} WHERE HIDDEN != ''",
    lambda table: f"SELECT count() FROM {table} PREWHERE HIDDEN != ''",
    lambda table: f"SELECT 1 FROM {table} ORDER BY HIDDEN",
    lambda table: f"SELECT count() FROM {table} GROUP BY HIDDEN",
    lambda table: f"SELECT count() FROM {table} HAVING max(HIDDEN) != ''",
    lambda table: f"SELECT 1 FROM {table} QUALIFY HIDDEN = ''",
    lambda table: f"SELECT client_id FROM {table} LIMIT 1 BY HIDDEN",
    lambda table: f"SELECT count() OVER (PARTITION BY HIDDEN) FROM {table}",
    lambda table: f"SELECT argMax(HIDDEN, client_id) FROM {table}",
    lambda table: f"SELECT arrayMap(x -> HIDDEN, [1]) FROM {table}",
    lambda table: f"SELECT HIDDEN FROM (SELECT * FROM {table})",
    lambda table: f"WITH x AS (SELECT HIDDEN FROM {table}) SELECT 1 FROM x",
    lambda table: f"SELECT 1 WHERE '' IN (SELECT HIDDEN FROM {table})",
    lambda table: f"SELECT EXISTS(SELECT HIDDEN FROM {table})",
    lambda table: f"SELECT '' UNION ALL SELECT HIDDEN FROM {table}",
    lambda table: f"SELECT '' INTERSECT SELECT HIDDEN FROM {table}",
    lambda table: f"SELECT 1 FROM {table} AS a JOIN {table} AS b ON a.HIDDEN = b.HIDDEN",
    lambda table: f"SELECT 1 FROM {table} AS a JOIN {table} AS b USING (HIDDEN)",
    lambda table: f"SELECT x FROM {table} ARRAY JOIN [HIDDEN] AS x",
    lambda table: f"EXPLAIN SELECT HIDDEN FROM {table}",
    lambda table: f"EXPLAIN PIPELINE SELECT HIDDEN FROM {table}",
    lambda table: f"SELECT HIDDEN FROM {table} FORMAT Native",
    lambda table: f"SELECT hex(HIDDEN) FROM {table} FINAL",
]
_HIDDEN_COLUMNS = [
    ("events", "signature"),
    ("events", "signed_bytes"),
    ("sessions", "signed_bytes"),
    ("clients", "public_key"),
    ("clients", "signed_bytes"),
    ("client_keys", "public_key"),
    ("heartbeats", "signature"),
]

_SYSTEM = [
    *("processes", "parts", "users", "roles", "grants", "disks", "query_log", "session_log", "merges", "mutations"),
    *("server_settings", "storage_policies", "dictionaries", "named_collections", "detached_parts", "stack_trace"),
]

_OUTFILES = [
    "INTO OUTFILE '/tmp/x'",
    "INTO OUTFILE '/tmp/x' TRUNCATE FORMAT CSV",
    "INTO OUTFILE '/dev/fd/1' AND STDOUT",
    "INTO OUTFILE '/tmp/x' APPEND COMPRESSION 'none' FORMAT CSV",
]


def attempts() -> Iterator[Attempt]:
    """All of them."""
    for role in ("analyst", "auditor", "admin"):
        yield from (Attempt("change", role, sql, (READONLY,)) for sql in _CHANGES)
        yield from (Attempt("limit in SET", role, f"SET {limit}", _codes_of(limit)) for limit in _LIMITS)
    yield from _limits()
    yield from _sources()
    yield from _outside_the_role()


def _limits() -> Iterator[Attempt]:
    for limit in _LIMITS:
        yield Attempt("limit in a query", "analyst", f"SELECT 1 SETTINGS {limit}", _codes_of(limit))
        yield Attempt("limit in a query", "admin", f"SELECT 1 FORMAT Null SETTINGS {limit}", _codes_of(limit))
        for part in _PARTS:
            yield Attempt("limit in a part", "admin", part.replace("LIMIT_SET", f"SETTINGS {limit}"), _codes_of(limit))


def _codes_of(limit: str) -> tuple[int, ...]:
    # Which analyzer is used cannot be said in a query at all, whoever asks: INCORRECT_QUERY, SETTING_CONSTRAINT_VIOLATION.
    return (READONLY, 80, 452) if "analyzer" in limit else (READONLY,)


def _sources() -> Iterator[Attempt]:
    for source in _SOURCES:
        yield Attempt("table function", "admin", f"DESCRIBE TABLE {source}", (READONLY,))
        yield from (Attempt("table function", "admin", wrap(source), (READONLY,)) for wrap in _AROUND_TABLES)
    for call in _FILES:
        yield from (Attempt("file()", "admin", wrap(call), (READONLY,)) for wrap in _AROUND_CALLS)
    for clause in _OUTFILES:
        for query in ("SELECT 1", "SELECT 1 UNION ALL SELECT 2", "WITH 1 AS x SELECT x", "SHOW TABLES"):
            yield Attempt("INTO OUTFILE", "admin", f"{query} {clause}", (NOT_IMPLEMENTED,))


def _outside_the_role() -> Iterator[Attempt]:
    for table, column in _HIDDEN_COLUMNS:
        for wrap in _AROUND_COLUMNS:
            yield Attempt("column", "analyst", wrap(f"viworks.{table}").replace("HIDDEN", column), (ACCESS_DENIED,))
    for role, table in (("analyst", "audit"), ("auditor", "events"), ("auditor", "fleet_now"), ("auditor", "`clients`")):
        yield from (Attempt("table", role, wrap(f"viworks.{table}"), (ACCESS_DENIED,)) for wrap in _AROUND_TABLES)
        if not table.startswith("`"):
            yield from (Attempt("table", role, wrap(table), (ACCESS_DENIED,)) for wrap in _AROUND_TABLES)
        yield Attempt("structure", role, f"SHOW CREATE TABLE viworks.{table}", (ACCESS_DENIED,))
        yield Attempt("structure", role, f"DESCRIBE TABLE viworks.{table}", (ACCESS_DENIED,))
    for name in _SYSTEM:
        yield from (Attempt("system", "analyst", wrap(f"system.{name}"), (ACCESS_DENIED,)) for wrap in _AROUND_TABLES[:4])
