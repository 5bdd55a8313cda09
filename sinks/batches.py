"""Decisions about batches, without any input or output: what is a row, what is new, how a batch is named and split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from sinks.container import Record, schema_id
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


def sort_records(table: Table, records: Sequence[Record]) -> Sorted:
    """Tell rows from control records and from what is neither."""
    result = Sorted()
    for record in records:
        if record.value is None:
            continue
        try:
            number = schema_id(record)
        except NotADatum as error:
            result.refused.append(Refused(record, type(error).__name__))
            continue
        if number in table.row_schema_ids:
            result.rows.setdefault(number, []).append(record)
        elif number not in table.control_schema_ids:
            result.refused.append(Refused(record, "ForeignSchema"))
    return result


def without_held(records: Sequence[Record], held: Mapping[int, Set[int]]) -> list[Record]:
    """The records whose offset the table does not hold. ``held`` is offsets by partition."""
    return [record for record in records if record.offset not in held.get(record.partition, frozenset())]


def spans(records: Sequence[Record]) -> dict[int, tuple[int, int]]:
    """First and last offset by partition."""
    found: dict[int, tuple[int, int]] = {}
    for record in records:
        first, last = found.get(record.partition, (record.offset, record.offset))
        found[record.partition] = (min(first, record.offset), max(last, record.offset))
    return found


def next_offsets(records: Sequence[Record]) -> dict[int, int]:
    """By partition the offset that follows the batch."""
    return {partition: last + 1 for partition, (_, last) in spans(records).items()}


def insert_token(batch: bytes) -> str:
    """The name of a batch: its content's hash, so that the same rows of the same places always have the same one."""
    return hashlib.sha256(batch).hexdigest()


def halves(records: Sequence[Record]) -> tuple[Sequence[Record], Sequence[Record]]:
    """A batch of at least two, split in the middle."""
    middle = len(records) // 2
    return records[:middle], records[middle:]


def take(waiting: Sequence[Record], max_bytes: int) -> int:
    """How many records from the front make the next batch: all that fit, at least one of them."""
    total = 0
    for number, record in enumerate(waiting):
        total += len(record.value or b"")
        if total > max_bytes and number:
            return number
    return len(waiting)


def backoff_s(attempt: int, longest_s: float) -> float:
    """How long to wait before another attempt: 0.1 s, doubling."""
    return float(min(longest_s, 0.1 * 2 ** min(attempt, 20)))
