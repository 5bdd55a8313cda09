"""Statements of migrations for a cluster of replicas: the one place where engines and ``ON CLUSTER`` are rewritten.

Migrations are written for one server. On a cluster every table is a replicated one, whose path and replica name are the
server's default ones (``/clickhouse/tables/{uuid}/{shard}`` and ``{replica}``), and all its servers get them.
"""

from __future__ import annotations

import re

from sinks.errors import MigrationFailed

_COMMENTS = r"\A(?:\s*--[^\n]*\n)*\s*"
_NAME = r'[\w.`"]+'
# What a definition begins with, up to the name that ON CLUSTER follows.
_DEFINITION = re.compile(
    rf"(?P<head>{_COMMENTS}(?:"
    rf"CREATE\s+DATABASE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}"
    rf"|CREATE\s+(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+)?(?:TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}"
    rf"|ALTER\s+TABLE\s+{_NAME}"
    rf"|DROP\s+(?:TABLE|VIEW)\s+(?:IF\s+EXISTS\s+)?{_NAME}"
    rf"|EXCHANGE\s+TABLES\s+{_NAME}\s+AND\s+{_NAME}"
    rf"|RENAME\s+TABLE\s+{_NAME}\s+TO\s+{_NAME}"
    r"))(?=[\s(;]|\Z)",
    re.IGNORECASE,
)
_INSERT = re.compile(rf"{_COMMENTS}INSERT\s+INTO\s", re.IGNORECASE)
_ENGINE = re.compile(r"^(ENGINE\s*=\s*)(\w*MergeTree)\b", re.MULTILINE | re.IGNORECASE)
_CLUSTER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")


def for_cluster(statement: str, cluster: str) -> str:
    """The statement for the servers of ``cluster``; as it is where that is empty.

    Raises:
        MigrationFailed: the statement is of no kind that is known here, or the cluster's name is none.
    """
    if not cluster:
        return statement
    if not _CLUSTER.fullmatch(cluster):
        raise MigrationFailed("VIWORKS_CLICKHOUSE_CLUSTER is not the name of a cluster: letters, digits, _ and -.")
    if _INSERT.match(statement):
        # One server writes the rows, and the others replicate them.
        return statement
    if not _DEFINITION.match(statement):
        raise MigrationFailed("a migration has a statement that is not known how to give to a cluster.")
    named = _DEFINITION.sub(rf"\g<head> ON CLUSTER '{cluster}'", statement, count=1)
    replicated = _ENGINE.sub(r"\1Replicated\2", named)
    return replicated.replace("non_replicated_deduplication_window", "replicated_deduplication_window")
