"""A log in the embedded engine, and ways to write to it, to seal it and to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nacl.signing import SigningKey

from sinks.audit import rows
from sinks.audit.chain import DAY_MS, Head, Link, chained
from sinks.audit.checkpoints import Checkpoint
from sinks.audit.notes import sign_note
from sinks.audit.sealer import Sealed
from sinks.audit.writer import AuditWriter
from sinks.batches import Refused
from sinks.columns import Columns
from sinks.log_ends import not_asked
from sinks.tables import TABLES
from tests.sinks.samples import Row, audit, now_ms, row
from tests.sinks.warehouse import Warehouse

KEY = SigningKey(b"audit key of the tests, 32 bytes")
# Recent, since what has expired is dropped at once; noon, so that a test can go some hours either way within the day.
FIRST_DAY = now_ms() // DAY_MS - 40
NOON_MS = FIRST_DAY * DAY_MS + DAY_MS // 2
TABLE = next(table for table in TABLES if table.name == "audit_log")


def sign(checkpoint: Checkpoint) -> str:
    return sign_note(checkpoint.text, checkpoint.origin, KEY)


def audit_row(offset: int, at_ms: int = NOON_MS, **changes: Any) -> Row:
    """A record as it stands in Kafka since ``at_ms``."""
    record = audit(f"a{offset}", timestamp=at_ms, **changes)
    return row("audit", record, offset)._replace(timestamp=at_ms)


class AuditLog:
    """The tables of one test."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.engine = warehouse.engine
        self.session = warehouse.session

    def writer(self) -> AuditWriter:
        """As of a process that has just been started."""
        return AuditWriter(self.engine, TABLE)

    def write(self, records: Sequence[Row]) -> list[Refused]:
        writer = self.writer()
        try:
            return writer.write(records, not_asked)
        finally:
            writer.close()

    def seal(self, now_ms: int = NOON_MS) -> list[Sealed]:
        writer = self.writer()
        try:
            return writer.seal(sign, now_ms)
        finally:
            writer.close()

    def forge(self, records: Sequence[Row]) -> None:
        """Put other records in the place of all that there are, with every hash as it should be."""
        self.session.command("TRUNCATE TABLE viworks.audit_log")
        batch = rows.container_of_links(TABLE.topic.name, 0, 10, list(chained(Head(), records)))
        reading = Columns(TABLE).reading(self.session, rows.fields_of_links(10))
        self.session.insert_avro(TABLE.qualified, [batch], "forged", reading)

    @property
    def links(self) -> list[Link]:
        return list(rows.links_from(self.session, 0))
