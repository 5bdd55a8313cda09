"""Finds the rows that ClickHouse refuses, without writing any: each probe goes into a copy of the table that keeps nothing.

A refused batch says only that at least one row is bad. Halving it by inserts would write a part for each half; halving it by
probes writes none, and what is good goes into the table in one insert. Rows that do not decode here, or name a time that no
row may have, are likely the bad ones, so they are taken out first and probed one by one; ClickHouse alone decides on each.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from functools import cache

from schemas import codec
from schemas.errors import CodecError
from schemas.registry import latest_schema
from sinks.batches import Refused, halves
from sinks.columns import Columns
from sinks.container import Record, container, fields_of
from sinks.engine import Reading, Session
from sinks.errors import RowsRefused
from sinks.tables import DATABASE, Table

PREFIX = "_sieve_"

# 2200-01-01, as the tables' constraints have it.
_END_OF_TIME_MS = 7_258_118_400_000


class Sieve:
    """Probes rows of one table and schema. Make one by ``sieve``; ``probes`` counts what it cost."""

    def __init__(self, session: Session, name: str, writer_schema_id: int, reading: Reading) -> None:
        self._session = session
        self._name = name
        self._writer_schema_id = writer_schema_id
        self._reading = reading
        self.probes = 0

    def sift(self, rows: Sequence[Record]) -> tuple[list[list[Record]], list[Refused]]:
        """The rows that the table takes, by block, and those that it refuses. Raises EngineUnavailable.

        A doubtful row that is taken all the same has a block of its own: one with bytes too many would spoil the next one's.
        """
        doubtful = {id(row): row for row in rows if _is_doubtful(row)}
        sound = [row for row in rows if id(row) not in doubtful]
        refused = self._search(sound)
        for row in doubtful.values():
            refused += self._search([row])
        bad = {id(each.record) for each in refused}
        groups = [[row for row in sound if id(row) not in bad], *([row] for row in doubtful.values() if id(row) not in bad)]
        return [group for group in groups if group], refused

    def _search(self, rows: Sequence[Record]) -> list[Refused]:
        error = self._probe(rows)
        if error is None:
            return []
        if len(rows) == 1:
            return [Refused(rows[0], f"{type(error).__name__}:{error.code}")]
        front, back = halves(rows)
        return self._search(front) + self._search(back)

    def _probe(self, rows: Sequence[Record]) -> RowsRefused | None:
        if not rows:
            return None
        self.probes += 1
        try:
            self._session.insert_avro(self._name, [container(self._writer_schema_id, rows)], "", self._reading)
        except RowsRefused as error:
            return error
        return None


def drop_left_over(session: Session) -> None:
    """Drop the copies of sieves that a crash left behind; for a process that alone writes. Raises EngineUnavailable."""
    names = f"SELECT name FROM system.tables WHERE database = '{DATABASE}' AND startsWith(name, '{PREFIX}')"  # noqa: S608
    for (name,) in session.rows(names):
        session.command(f"DROP TABLE IF EXISTS {DATABASE}.{name}")


@contextlib.contextmanager
def sieve(session: Session, table: Table, writer_schema_id: int) -> Iterator[Sieve]:
    """A sieve for the table's rows, meanwhile. Raises EngineUnavailable."""
    name = f"{DATABASE}.{PREFIX}{uuid.uuid4().hex}"
    reading = Columns(table).reading(session, fields_of(writer_schema_id))
    session.command(f"CREATE TABLE {name} AS {table.qualified} ENGINE = Null")
    try:
        yield Sieve(session, name, writer_schema_id, reading)
    finally:
        session.command(f"DROP TABLE IF EXISTS {name}")


def _is_doubtful(row: Record) -> bool:
    try:
        name, members = codec.decode(row.value)
    except CodecError:
        return True
    return any(not 0 <= (members[member] or 0) < _END_OF_TIME_MS for member in _times(name))


@cache
def _times(schema: str) -> list[str]:
    """The members that are timestamps, or none."""
    fields = latest_schema(schema).json["fields"]
    return [field["name"] for field in fields if "timestamp-millis" in str(field["type"])]
