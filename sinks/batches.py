"""Decisions about batches, without any input or output: what is a row, what is new, how a batch is named and split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from schemas.codec import HEADER_BYTES
from sinks.container import Record, block, schema_id
from sinks.errors import NotADatum
from sinks.tables import Table


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that no table takes. ``reason`` is the class of the error, never a value."""

    record: Record
    reason: str


@dataclass(slots=True)
class Sorted:
    """The records of a batch: rows by the schema they were written with, and those that cannot be read.

    Control records are in neither, nor are deletions (a key without a value).
    """

    rows: dict[int, list[Record]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one arrival, and all that can be done with them before their insert.

    Attributes:
        spans: first and last offset by partition.
        sorted: rows and refused records.
        blocks: by schema the rows as a part of a container.
        bytes: what all this takes in memory, about.
    """

    records: Sequence[Record]
    spans: Mapping[int, tuple[int, int]]
    sorted: Sorted
    blocks: Mapping[int, bytes]
    bytes: int

    @property
    def oldest_ms(self) -> int:
        """The timestamp of the record that came first, of each partition."""
        return min(record.timestamp for record in (self.records[0], self.records[-1]))

    @classmethod
    def of(cls, table: Table, records: Sequence[Record]) -> Chunk:
        """A chunk of records that stand, of each partition, in the order of their offsets."""
        found = sort_records(table, records)
        blocks = {number: block(rows) for number, rows in found.rows.items()}
        size = sum([len(record.value or b"") for record in records]) + sum(map(len, blocks.values()))
        return cls(records, spans(records), found, blocks, size)


class Batch(list[Record]):
    """Records for one insert, with the chunks that they came in."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        super().__init__(record for each in chunks for record in each.records)
        self.chunks = chunks


def sort_records(table: Table, records: Sequence[Record]) -> Sorted:
    """Tell rows from control records and from what is neither."""
    result = Sorted()
    alike: dict[bytes | None, list[Record]] = {}
    for record in records:
        value = record.value
        alike.setdefault(value and value[:HEADER_BYTES], []).append(record)
    for group in alike.values():
        number, reason = _schema_of(table, group[0])
        if number is not None:
            result.rows.setdefault(number, []).extend(group)
        result.refused += [Refused(record, reason) for record in group if reason]
    return result


def _schema_of(table: Table, record: Record) -> tuple[int | None, str]:
    """The schema of a row, or why it can be none; neither for what is passed over."""
    if record.value is None:
        return None, ""
    try:
        number = schema_id(record)
    except NotADatum as error:
        return None, type(error).__name__
    if number in table.row_schema_ids:
        return number, ""
    return None, "" if number in table.control_schema_ids else "ForeignSchema"


def without_held(records: Sequence[Record], held: Mapping[int, Set[int]]) -> list[Record]:
    """The records whose offset the table does not hold. ``held`` is offsets by partition."""
    return [record for record in records if record.offset not in held.get(record.partition, frozenset())]


def spans(records: Sequence[Record]) -> dict[int, tuple[int, int]]:
    """First and last offset by partition of records that stand, of each partition, in the order of their offsets."""
    if len({record.partition for record in records}) == 1:
        return {records[0].partition: (records[0].offset, records[-1].offset)}
    last = {record.partition: record.offset for record in records}
    first = {record.partition: record.offset for record in reversed(records)}
    return {partition: (first[partition], offset) for partition, offset in last.items()}


def spans_of(chunks: Iterable[Chunk]) -> dict[int, tuple[int, int]]:
    """First and last offset by partition of chunks in the order of their arrival."""
    found: dict[int, tuple[int, int]] = {}
    for each in chunks:
        for partition, (first, last) in each.spans.items():
            found[partition] = (found.get(partition, (first, last))[0], last)
    return found


def next_offsets(chunks: Iterable[Chunk]) -> dict[int, int]:
    """By partition the offset that follows the chunks."""
    return {partition: last + 1 for partition, (_, last) in spans_of(chunks).items()}


def is_of_a_former_log(partition: int, newest_held: int, log_ends: Mapping[int, int]) -> bool:
    """Whether a table's newest offset comes from a topic that was made anew since: then it says nothing about the records.

    ``log_ends``: by partition the offset after the newest record in Kafka, asked for after the table; as far as it is known.
    """
    return newest_held >= log_ends.get(partition, newest_held + 1)


def insert_token(pieces: Iterable[bytes]) -> str:
    """The name of a batch: its content's hash, so that the same rows of the same places always have the same one."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def halves(records: Sequence[Record]) -> tuple[Sequence[Record], Sequence[Record]]:
    """A batch of at least two, split in the middle."""
    middle = len(records) // 2
    return records[:middle], records[middle:]


def take(waiting: Iterable[Chunk], max_rows: int, max_bytes: int) -> int:
    """How many chunks from the front make the next batch: all that fit, at least one of them."""
    number = rows = size = 0
    for number, each in enumerate(waiting, 1):
        rows += len(each.records)
        size += each.bytes
        if number > 1 and (rows > max_rows or size > max_bytes):
            return number - 1
    return number


def parts(records: Sequence[Record], max_rows: int, max_bytes: int) -> list[Sequence[Record]]:
    """The records in runs, each of at most so many rows and bytes, or a single one."""
    runs = [records[start : start + max_rows] for start in range(0, len(records), max_rows)]
    return [part for run in runs for part in _within(run, max_bytes)]


def _within(records: Sequence[Record], max_bytes: int) -> list[Sequence[Record]]:
    if len(records) == 1 or sum([len(record.value or b"") for record in records]) <= max_bytes:
        return [records]
    front, back = halves(records)
    return _within(front, max_bytes) + _within(back, max_bytes)


def backoff_s(attempt: int, longest_s: float) -> float:
    """How long to wait before another attempt: 0.1 s, doubling."""
    return float(min(longest_s, 0.1 * 2 ** min(attempt, 20)))
