"""Rows with a marker in each column that can carry one, for any table of the engine."""

from __future__ import annotations

import re
import secrets

from sinks.engine import Session

_TEXT = re.compile(r"String\b|FixedString\((\d+)\)")
_TIME = ("Date", "DateTime")


def historical_tables(session: Session) -> list[str]:
    """All tables that hold rows, as the engine lists them; only the ledger of the migrations holds no data."""
    names = session.rows(
        "SELECT name FROM system.tables WHERE database = 'viworks' AND engine LIKE '%MergeTree' "
        "AND name != 'schema_migrations' AND NOT startsWith(name, '_') ORDER BY name"
    )
    return [name for (name,) in names]


def copy_of(session: Session, table: str, settings: str = "") -> str:
    """An empty table like it, on the disk that it lies on; ``settings`` can say otherwise."""
    session.command("CREATE DATABASE IF NOT EXISTS marked")
    session.command(f"CREATE TABLE marked.{table} AS viworks.{table} {settings}")
    return f"marked.{table}"


def fill_with_markers(session: Session, table: str) -> dict[str, bytes]:
    """Insert one row; returns the marker of each column that has one."""
    database, _, name = table.partition(".")
    columns = session.rows(
        f"SELECT name, type FROM system.columns WHERE database = '{database}' AND table = '{name}' AND default_kind "
        "NOT IN ('MATERIALIZED', 'ALIAS')"
    )
    ((definition,),) = session.rows(
        f"SELECT create_table_query FROM system.tables WHERE database = '{database}' AND name = '{name}'"
    )
    topic = re.search(r"CHECK _topic = '([^']+)'", definition)
    markers: dict[str, bytes] = {}
    values: dict[str, str] = {}
    for column, kind in columns:
        if column == "_topic" and topic:
            values[column] = f"'{topic[1]}'"
        elif _TEXT.search(kind):
            markers[column] = _marker()
            text = f"'{markers[column].decode()}'"
            values[column] = f"[{text}]" if kind.startswith("Array") else text
        elif any(each in kind for each in _TIME):
            values[column] = "now()"
    names = ", ".join(f'"{column}"' for column in values)
    session.command(f"INSERT INTO {table} ({names}) VALUES ({', '.join(values.values())})")
    return markers


def _marker() -> bytes:
    """32 bytes, so that a FixedString(32) holds one too."""
    return secrets.token_hex(16).encode()
