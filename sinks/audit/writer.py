"""Carries the audit's batches into the log, and the log into checkpoints. Blocking: for threads.

Two processes may come to write at once, when one was frozen and its partitions were given away. On a server each claims the
partition first, see ``sinks.claims``. Besides, an insert is named by the position that it begins at, and a checkpoint by its
number: ClickHouse takes the first insert of a name and leaves out the
other, whose writer then reads the log's end anew. So the table, not the writer, decides what is in the chain.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby

from schemas import codec
from schemas.errors import CodecError
from sinks.audit import rows
from sinks.audit.chain import Head, Link, chained
from sinks.audit.pseudonyms import with_pseudonyms
from sinks.audit.sealer import Sealed, Sealer, Sign
from sinks.batches import Refused, halves, is_of_a_former_log, sort_records
from sinks.claims import Claims
from sinks.columns import Columns
from sinks.container import Record, schema_id
from sinks.engine import Engine, Reading, Session
from sinks.errors import AuditError, EngineUnavailable, LogAltered, RowsRefused
from sinks.log_ends import LogEnds
from sinks.tables import Table

log = logging.getLogger(__name__)

# The last millisecond that a DateTime64(3) holds.
_MAX_TIMESTAMP_MS = 10_413_791_999_999


class AuditWriter:
    """Writes the audit log, each Kafka offset once; a record that Kafka has twice, byte for byte, is chained once."""

    def __init__(self, engine: Engine, table: Table, claims: Claims | None = None) -> None:
        """``claims``: where other processes may write to the log too."""
        self._engine = engine
        self._table = table
        self._claims = claims
        self._columns = Columns(table, claims)
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._head: Head | None = None
        self._sealer: Sealer | None = None
        self._forgotten = False
        # What was found wrong; from then on this process signs nothing.
        self._altered = ""

    def forget(self) -> None:
        """Another process may write from now on, so read the log's end again. Never waits, unlike all others."""
        self._forgotten = True

    def write(self, records: Sequence[Record], log_ends: LogEnds) -> list[Refused]:
        """Write a batch and return what cannot be chained. Raises EngineUnavailable, KafkaUnavailable; see TableWriter."""
        with self._lock:
            try:
                return self._write(self._opened(), records, log_ends)
            except EngineUnavailable:
                self._close()
                raise

    def seal(self, sign: Sign, now_ms: int) -> list[Sealed]:
        """Make the checkpoints that are due, and return them once the table has them.

        Raises:
            EngineUnavailable: nothing is known of the last of them.
            AuditError: the log is not as it was written; see Sealer.
        """
        with self._lock:
            if self._altered:
                raise LogAltered(self._altered)
            try:
                return self._seal(self._opened(), sign, now_ms)
            except LogAltered as error:
                self._altered = str(error)
                raise
            except (EngineUnavailable, AuditError):
                self._close()
                raise

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            self._close()

    def _opened(self) -> Session:
        if self._forgotten:
            self._forgotten = False
            self._head = self._sealer = None
        self._session = self._session or self._engine.session()
        return self._session

    def _close(self) -> None:
        session, self._session = self._session, None
        self._head = self._sealer = None
        if session:
            session.close()

    def _write(self, session: Session, records: Sequence[Record], log_ends: LogEnds) -> list[Refused]:
        batch = sort_records(self._table, records)
        readable, refused = _readable([record for group in batch.rows.values() for record in group])
        head = self._head = self._head or self._claimed_head(session, records)
        chained_up_to = -1 if _of_a_former_log(head, records, log_ends) else head.offset
        new = with_pseudonyms(session, [record for record in readable if record.offset > chained_up_to])
        refused += batch.refused
        # A part is written in one step and holds one day: no crash leaves the end of an insert without its beginning.
        for schema, group in groupby(_once(session, new), schema_id):
            refused += self._chain(session, schema, list(group))
        return refused

    def _claimed_head(self, session: Session, records: Sequence[Record]) -> Head:
        if self._claims and records:
            self._claims.take(session, [records[0].partition])
        return rows.newest_head(session)

    def _chain(self, session: Session, schema: int, records: Sequence[Record]) -> list[Refused]:
        refused: list[Refused] = []
        rest = list(records)
        while rest:
            links = list(chained(self._known_head(), rest))
            count = sum(link.day == links[0].day for link in links)
            refused += self._insert(session, schema, rest[:count])
            rest = rest[count:]
        return refused

    def _insert(self, session: Session, schema: int, records: Sequence[Record]) -> list[Refused]:
        """Insert; where rows are refused, halve until each refused one stands alone. The next one is chained without it."""
        links = list(chained(self._known_head(), records))
        batch = rows.container_of_links(self._table.topic.name, records[0].partition, schema, links)
        reading = self._columns.reading(session, rows.fields_of_links(schema))
        try:
            session.insert_avro(self._table.qualified, [batch], f"audit-{links[0].position}", reading)
        except RowsRefused as error:
            if len(records) == 1:
                return [Refused(records[0], f"{type(error).__name__}:{error.code}")]
            front, back = halves(records)
            return self._insert(session, schema, front) + self._insert(session, schema, back)
        self._confirm(session, batch, links, reading)
        return []

    def _confirm(self, session: Session, batch: bytes, links: Sequence[Link], reading: Reading) -> None:
        before, after = self._known_head(), links[-1].head
        found = rows.newest_head(session)
        if found == before:
            # The insert's name is taken, and what was inserted under it is gone: it was not this program that removed it.
            log.error("records of the audit log from position %d on were removed and are written again", before.records)
            token = f"audit-{before.records}-{after.chain_hash.hex()}"
            session.insert_avro(self._table.qualified, [batch], token, reading)
            found = rows.newest_head(session)
        if found != after:
            raise EngineUnavailable("another process has written to the audit log")
        self._head = after

    def _known_head(self) -> Head:
        return self._head or Head()

    def _seal(self, session: Session, sign: Sign, now_ms: int) -> list[Sealed]:
        sealer = self._sealer = self._sealer or Sealer(rows.newest_checkpoint(session))
        made = sealer.seal(self._witnessed(rows.links_from(session, sealer.next_record)), sign, now_ms)
        if self._head and sealer.head.records < self._head.records:
            raise LogAltered(f"records of the audit log from position {sealer.head.records} on are missing")
        for sealed in made:
            rows.insert_checkpoint(session, sealed)
        return made

    def _witnessed(self, links: Iterable[Link]) -> Iterator[Link]:
        """The records as they are read back. Nobody has signed them yet, but this process remembers what it wrote last."""
        for link in links:
            if self._head and link.position + 1 == self._head.records and link.head != self._head:
                raise LogAltered(f"record {link.position} of the audit log (offset {link.offset}) is not what was written")
            yield link


def _readable(records: Sequence[Record]) -> tuple[list[Record], list[Refused]]:
    readable: list[Record] = []
    refused: list[Refused] = []
    for record in sorted(records, key=lambda record: record.offset):
        reason = _fault(record)
        if reason:
            refused.append(Refused(record, reason))
        else:
            readable.append(record)
    return readable, refused


def _fault(record: Record) -> str | None:
    try:
        timestamp = codec.decode_as("audit", record.value)["timestamp"]
    except CodecError as error:
        return type(error).__name__
    return None if 0 <= timestamp <= _MAX_TIMESTAMP_MS else "TimestampOutOfRange"


def _once(session: Session, records: Sequence[Record]) -> list[Record]:
    """Without those that the log has already, or that come a second time: the registry writes again after a crash."""
    digests = {sha256(record.value or b"").digest(): record for record in reversed(records)}
    known = rows.known_values(session, digests)
    return sorted((record for digest, record in digests.items() if digest not in known), key=lambda record: record.offset)


def _of_a_former_log(head: Head, records: Sequence[Record], log_ends: LogEnds) -> bool:
    """The log's end is asked for after the head was read, and only where the head is in the way of a record."""
    if all(record.offset > head.offset for record in records):
        return False
    partition = records[0].partition
    if not is_of_a_former_log(partition, head.offset, log_ends([partition])):
        return False
    log.error("the audit log is ahead of its topic, which was made anew")
    return True
