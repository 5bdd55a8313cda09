"""A table's columns, and as which types an insert reads them from Avro.

ClickHouse's Avro reader puts each value of a LowCardinality column into its dictionary by itself, which takes longer than
all else in an insert. Read as plain strings and cast as a whole column, the same rows cost a third less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sinks.claims import Claims
from sinks.engine import Reading, Session
from sinks.tables import DATABASE, Table

_LOW_CARDINALITY = re.compile(r"LowCardinality\((.*)\)")


class Columns:
    """The columns of one table, asked for once. ``claims``: the writer's, where others may write to the table too."""

    def __init__(self, table: Table, claims: Claims | None = None) -> None:
        self._table = table
        self._claims = claims
        self._types: dict[str, str] = {}

    def reading(self, session: Session, fields: Iterable[Mapping[str, Any]]) -> Reading:
        """How to read those Avro fields that are columns, while the claims hold. Raises EngineUnavailable."""
        self._types = self._types or _types(session, self._table)
        columns = {field["name"]: self._types[field["name"]] for field in fields if field["name"] in self._types}
        return Reading(columns, self._claims.condition) if self._claims else Reading(columns)


def plain(kind: str) -> str:
    """The type without its dictionary."""
    found = _LOW_CARDINALITY.fullmatch(kind)
    return found[1] if found else kind


def _types(session: Session, table: Table) -> dict[str, str]:
    """Of those that an insert may give."""
    return {
        str(name): plain(str(kind))
        for name, kind in session.rows(
            f"SELECT name, type FROM system.columns WHERE database = '{DATABASE}' AND table = '{table.name}' "  # noqa: S608
            "AND default_kind NOT IN ('MATERIALIZED', 'ALIAS')"
        )
    }
