"""Carries one table's batches into ClickHouse. Blocking: runs in a thread, one call at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from sinks.batches import Batch, Chunk, Refused, halves, insert_token, is_of_a_former_log, spans_of, without_held
from sinks.claims import Claims
from sinks.columns import Columns
from sinks.container import Record, block, container_of_blocks, fields_of
from sinks.engine import Engine, Session
from sinks.errors import EngineUnavailable, Fenced, RowsRefused
from sinks.log_ends import LogEnds
from sinks.sieve import sieve
from sinks.tables import Table

log = logging.getLogger(__name__)


class TableWriter:
    """Writes rows of a table, each Kafka offset once.

    A batch that was cut short, by EngineUnavailable or by the end of the process, may be given again: what the table holds
    of it is left out, and what ClickHouse took without our knowing has the same token again.
    """

    def __init__(self, engine: Engine, table: Table, claims: Claims | None = None) -> None:
        """``claims``: where other processes may write to the table too."""
        self._engine = engine
        self._table = table
        self._claims = claims
        self._columns = Columns(table, claims)
        self._session: Session | None = None
        # By partition the greatest offset that the table held when the partition came; absent: not asked yet.
        self._held_up_to: dict[int, int] = {}

    def forget(self) -> None:
        """Another process may write from now on, so ask again what the table holds."""
        self._held_up_to.clear()
        if self._claims:
            self._claims.forget()

    def write(self, records: Sequence[Record], log_ends: LogEnds) -> list[Refused]:
        """Write a batch and return what cannot be a row. Raises EngineUnavailable, KafkaUnavailable."""
        try:
            session = self._session = self._session or self._engine.session()
            chunks = self._without_held(session, self._chunks(records), log_ends)
            refused = [each for chunk in chunks for each in chunk.sorted.refused]
            for number in sorted({number for chunk in chunks for number in chunk.blocks}):
                refused += self._insert_chunks(session, number, [chunk for chunk in chunks if number in chunk.blocks])
            return refused
        except EngineUnavailable as error:
            if isinstance(error, Fenced):
                self.forget()
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next batch opens another."""
        session, self._session = self._session, None
        if session:
            session.close()

    def _chunks(self, records: Sequence[Record]) -> Sequence[Chunk]:
        return records.chunks if isinstance(records, Batch) else [Chunk.of(self._table, records)]

    def _insert_chunks(self, session: Session, writer_schema_id: int, chunks: Sequence[Chunk]) -> list[Refused]:
        """Insert; where rows are refused, find them, and insert all others."""
        try:
            self._insert(session, writer_schema_id, [chunk.blocks[writer_schema_id] for chunk in chunks])
            return []
        except RowsRefused:
            rows = [record for chunk in chunks for record in chunk.sorted.rows[writer_schema_id]]
        with sieve(session, self._table, writer_schema_id) as copy:
            groups, refused = copy.sift(rows)
            log.warning(
                "%s: %d of %d rows refused, found by %d probes", self._table.name, len(refused), len(rows), copy.probes
            )
        return refused + self._insert_groups(session, writer_schema_id, groups)

    def _insert_groups(self, session: Session, writer_schema_id: int, groups: Sequence[Sequence[Record]]) -> list[Refused]:
        """Insert what passed the sieve. A view may refuse it nevertheless; then only halving by inserts is left."""
        if not groups:
            return []
        try:
            self._insert(session, writer_schema_id, [block(group) for group in groups])
        except RowsRefused as error:
            rows = [row for group in groups for row in group]
            if len(rows) == 1:
                return [Refused(rows[0], f"{type(error).__name__}:{error.code}")]
            front, back = halves(rows)
            return [each for half in (front, back) for each in self._insert_groups(session, writer_schema_id, [half])]
        return []

    def _insert(self, session: Session, writer_schema_id: int, blocks: Sequence[bytes]) -> None:
        batch = container_of_blocks(writer_schema_id, blocks)
        reading = self._columns.reading(session, fields_of(writer_schema_id))
        session.insert_avro(self._table.qualified, batch, insert_token(batch), reading)

    def _without_held(self, session: Session, chunks: Sequence[Chunk], log_ends: LogEnds) -> Sequence[Chunk]:
        ranges = spans_of(chunks)
        self._ask_for_held(session, [partition for partition in ranges if partition not in self._held_up_to])
        doubtful = self._doubtful(ranges)
        if doubtful:
            self._pass_over_former_logs(doubtful, log_ends)
            doubtful = self._doubtful(ranges)
        if not doubtful:
            return chunks
        held = self._held_offsets(session, doubtful)
        return [Chunk.of(self._table, without_held(chunk.records, held)) for chunk in chunks]

    def _doubtful(self, ranges: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
        return {partition: span for partition, span in ranges.items() if span[0] <= self._held_up_to[partition]}

    def _ask_for_held(self, session: Session, partitions: Sequence[int]) -> None:
        if not partitions:
            return
        if self._claims:
            self._claims.take(session, partitions)
        numbers = ", ".join(map(str, partitions))
        found = session.rows(
            f"SELECT _partition, max(_offset) FROM {self._table.qualified} "  # noqa: S608 - integers and our own names
            f"WHERE _partition IN ({numbers}) GROUP BY _partition SETTINGS final = 0"
        )
        self._held_up_to.update(dict.fromkeys(partitions, -1) | dict(map(tuple, found)))

    def _pass_over_former_logs(self, partitions: Iterable[int], log_ends: LogEnds) -> None:
        """Hold nothing against a log that ends before the table does.

        Its end is asked for after the table, never taken from a fetch: another sink may have written since then what
        came since then.
        """
        held = {partition: self._held_up_to[partition] for partition in partitions}
        ends = log_ends(held)
        for partition, offset in held.items():
            if is_of_a_former_log(partition, offset, ends):
                log.error("%s: the table is ahead of partition %d: its topic was made anew", self._table.name, partition)
                self._held_up_to[partition] = -1

    def _held_offsets(self, session: Session, ranges: Mapping[int, tuple[int, int]]) -> dict[int, set[int]]:
        wanted = " OR ".join(
            f"(_partition = {partition} AND _offset BETWEEN {first} AND {last})"
            for partition, (first, last) in ranges.items()
        )
        held: dict[int, set[int]] = {partition: set() for partition in ranges}
        for partition, offset in session.rows(
            f"SELECT _partition, _offset FROM {self._table.qualified} WHERE {wanted} SETTINGS final = 0"  # noqa: S608
        ):
            held[partition].add(offset)
        return held
