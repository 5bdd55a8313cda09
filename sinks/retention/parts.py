"""What parts a table has, and what is in them. A part never changes: what was measured of it holds while it has its name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

import msgspec

from sinks.engine import Session
from sinks.literals import quoted
from sinks.retention.entries import Dropped, Reason, Span, joined
from sinks.tables import DATABASE, RETENTIONS

_AT_ONCE = 200


class Place(msgspec.Struct, frozen=True):
    """Where a part stands in its table: a part that covers these blocks of the partition has its rows."""

    partition: str
    first_block: int
    last_block: int
    rows: int
    bytes: int

    def covers(self, other: Place) -> bool:
        return (
            self.partition == other.partition
            and self.first_block <= other.first_block
            and other.last_block <= self.last_block
        )


class Content(msgspec.Struct, frozen=True):
    """What is in a part: times of the column that retention counts from, offsets by Kafka partition."""

    times: Span
    offsets: dict[int, Span] = {}


class Part(msgspec.Struct, frozen=True):
    """A part that was measured."""

    name: str
    place: Place
    content: Content


def places(session: Session, table: str) -> dict[str, Place]:
    """The active parts of a table that have rows, by name. Raises EngineUnavailable."""
    where = f"active AND rows > 0 AND database = '{DATABASE}' AND table = '{table}'"
    columns = "name, partition_id, min_block_number, max_block_number, rows, bytes_on_disk"
    rows = session.rows(f"SELECT {columns} FROM system.parts WHERE {where}")  # noqa: S608 - our own names, here and below
    return {name: Place(*rest) for name, *rest in rows}


def identity(session: Session, table: str) -> str:
    """Changes when another table takes the name. Raises EngineUnavailable."""
    where = f"database = '{DATABASE}' AND name = '{table}'"
    return str(session.rows(f"SELECT toString(uuid) FROM system.tables WHERE {where}")[0][0])  # noqa: S608


def has_offsets(session: Session, table: str) -> bool:
    """Whether its rows know their places on Kafka. Raises EngineUnavailable."""
    where = f"database = '{DATABASE}' AND table = '{table}' AND name = '_offset'"
    return bool(session.rows(f"SELECT 1 FROM system.columns WHERE {where}"))  # noqa: S608


def contents(session: Session, table: str, names: Iterable[str]) -> dict[str, Content]:
    """What is in the named parts; those that are gone meanwhile are left out. Raises EngineUnavailable."""
    left, found = iter(sorted(names)), {}
    by_offset = has_offsets(session, table)
    while some := list(islice(left, _AT_ONCE)):
        found.update(_contents(session, table, some, by_offset))
    return found


def deadline_ms(session: Session, table: str, now_ms: int) -> int:
    """What is not younger has expired, by ClickHouse's own calendar: a year is no fixed number of days."""
    then = f"fromUnixTimestamp64Milli({now_ms}, 'UTC') - INTERVAL {RETENTIONS[table].interval}"
    return int(session.rows(f"SELECT toUnixTimestamp64Milli({then})")[0][0])


def dropped(table: str, reason: Reason, parts: Collection[Part], cause: str = "") -> Dropped:
    """What an entry says of parts of one partition, or of several."""
    offsets: dict[int, list[Span]] = {}
    for part in parts:
        for number, span in part.content.offsets.items():
            offsets.setdefault(number, []).append(span)
    partitions = {part.place.partition for part in parts}
    return Dropped(
        table=table,
        reason=reason,
        partition=partitions.pop() if len(partitions) == 1 else "",
        parts=tuple(sorted(part.name for part in parts)),
        rows=sum(part.place.rows for part in parts),
        bytes=sum(part.place.bytes for part in parts),
        times=joined([part.content.times for part in parts]),
        offsets={number: all_of for number, spans in sorted(offsets.items()) if (all_of := joined(spans))},
        cause=cause,
    )


def _contents(session: Session, table: str, names: list[str], by_offset: bool) -> dict[str, Content]:
    column = f"toUnixTimestamp64Milli(toDateTime64({RETENTIONS[table].column}, 3, 'UTC'))"
    offsets = "_partition, min(_offset), max(_offset)" if by_offset else "-1, 0, 0"
    group = "_part, _partition" if by_offset else "_part"
    wanted = ", ".join(map(quoted, names))
    spans: dict[str, list[Span]] = {}
    places_on_kafka: dict[str, dict[int, Span]] = {}
    for name, first, last, number, low, high in session.rows(
        f"SELECT _part, min({column}), max({column}), {offsets} FROM {DATABASE}.{table} "  # noqa: S608
        f"WHERE _part IN ({wanted}) GROUP BY {group} SETTINGS final = 0"
    ):
        spans.setdefault(name, []).append(Span(first, last))
        places_on_kafka.setdefault(name, {}).update({number: Span(low, high)} if number >= 0 else {})
    times = {name: joined(all_of) for name, all_of in spans.items()}
    return {name: Content(time, places_on_kafka[name]) for name, time in times.items() if time}
