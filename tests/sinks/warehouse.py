"""An embedded engine with the tables made, and short ways to fill and to read it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sinks import fatal_signals
from sinks.batches import Refused
from sinks.engine import EmbeddedEngine, Session, open_engine
from sinks.errors import QueryRefused
from sinks.log_ends import not_asked
from sinks.migrate import migrate
from sinks.settings import SinkSettings
from sinks.sql_port.reader import Reader, Statement
from sinks.sql_port.roles import ADMIN
from sinks.tables import TABLES
from sinks.writer import TableWriter
from tests.sinks.samples import Row, row

STORAGE_KEY = "0123456789abcdef" * 4


# None of the broker's: offsets that were made up must not be taken for ones that it gives.
_PARTITION = 1_000


class Warehouse:
    """One engine for all tests of this package, since a process can have one only. Tests tell their rows by client_id."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        key = directory / "storage.key"
        key.write_text(STORAGE_KEY)
        self.settings = SinkSettings(data_dir=directory / "data", storage_key_file=key, sql_max_execution_s=10)
        engine = open_engine(self.settings)
        assert isinstance(engine, EmbeddedEngine)
        fatal_signals.end_the_process()
        self.engine = engine
        self.session: Session = engine.session()
        migrate(self.session)
        self.reader = Reader(engine.connection_string, self.settings)
        self._offsets = itertools.count()

    def writer(self, table: str) -> TableWriter:
        return TableWriter(self.engine, next(each for each in TABLES if each.name == table))

    def write(self, table: str, rows: Sequence[Row], log_ends: Mapping[int, int] | None = None) -> list[Refused]:
        """As a process that has just been started."""
        writer = self.writer(table)
        try:
            return writer.write(rows, (lambda partitions: log_ends) if log_ends else not_asked)
        finally:
            writer.close()

    def fill(self, table: str, schema: str, *records: dict[str, Any]) -> list[Row]:
        """Records at the next offsets, each in an insert of its own, as far apart as they can come."""
        rows = [row(schema, record, next(self._offsets), _PARTITION) for record in records]
        for each in rows:
            assert not self.write(table, [each])
        return rows

    def next_offset(self) -> int:
        return next(self._offsets)

    def ask(self, sql: str, **statement: Any) -> list[dict[str, Any]]:
        """What an admin sees: everything that is served."""
        statement = {"role": ADMIN, **statement}
        body = self.reader.run(Statement(sql, default_format="JSONEachRow", **statement)).body
        return [msgspec.json.decode(line) for line in body.splitlines()]

    def one(self, sql: str) -> dict[str, Any]:
        """The only row of a result."""
        (found,) = self.ask(sql)
        return found

    def refusal(self, sql: str, **statement: Any) -> int:
        """ClickHouse's code for refusing the statement; 0 where it runs."""
        try:
            self.reader.run(Statement(sql, **statement))
        except QueryRefused as error:
            return error.code
        return 0

    def close(self) -> None:
        self.session.close()
        self.engine.close()
