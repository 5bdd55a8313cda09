"""The records as a verification reads them: some thousands at a time, by columns. From and to Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sinks.errors import ExportUnreadable

PAGE = 10_000
MEMBERS = ("audit_id", "timestamp", "actor", "action", "subject", "outcome", "details")

_TIME = pa.timestamp("ms", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in {
            "_topic": pa.string(),
            "_partition": pa.int32(),
            "_offset": pa.int64(),
            **dict.fromkeys(MEMBERS, pa.string()),
            "timestamp": _TIME,
            "_position": pa.int64(),
            "_day": pa.date32(),
            "_written_at": _TIME,
            "_value": pa.binary(),
            "_leaf_hash": pa.binary(),
            "_chain_hash": pa.binary(),
        }.items()
    ]
)
"""Of an exported table, and of its columns' names."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records in the order of their positions. Times are milliseconds, days count from the epoch, hashes are bytes."""

    topics: list[str]
    partitions: list[int]
    offsets: list[int]
    members: tuple[list[Any], ...]
    positions: list[int]
    days: list[int]
    written_at: list[int]
    values: list[bytes]
    leaf_hashes: list[bytes]
    chain_hashes: list[bytes]

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def of(cls, table: pa.Table) -> Page:
        """From Arrow: a table with the columns of ``SCHEMA``, numbers also as plain integers. Raises ExportUnreadable."""
        columns = {field.name: _values(table, field) for field in SCHEMA}
        return cls(
            topics=columns["_topic"],
            partitions=columns["_partition"],
            offsets=columns["_offset"],
            members=tuple(columns[name] for name in MEMBERS),
            positions=columns["_position"],
            days=columns["_day"],
            written_at=columns["_written_at"],
            values=columns["_value"],
            leaf_hashes=columns["_leaf_hash"],
            chain_hashes=columns["_chain_hash"],
        )


def _values(table: pa.Table, field: pa.Field) -> list[Any]:
    try:
        column = table.column(field.name)
        if column.null_count:
            raise ExportUnreadable(f"{field.name} has no value in some record")
        if pa.types.is_binary(field.type):
            return list(column.cast(pa.binary()).to_pylist())
        if pa.types.is_string(field.type):
            return list(column.cast(pa.string()).to_pylist())
        whole = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
        return list(column.cast(whole).to_pylist())
    except (KeyError, pa.ArrowException, UnicodeDecodeError) as error:
        raise ExportUnreadable(f"{field.name} cannot be read: {type(error).__name__}") from None
