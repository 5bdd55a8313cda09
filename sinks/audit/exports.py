"""Files of the log that need no database: Parquet, and JSON by lines with bytes in base64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.audit.pages import PAGE, SCHEMA
from sinks.errors import ExportUnreadable

PARQUET, NDJSON = "records.parquet", "records.ndjson"


class _Line(msgspec.Struct):
    """A record as a line of JSON. Times are milliseconds, the day counts from the epoch."""

    _topic: str
    _partition: int
    _offset: int
    audit_id: str
    timestamp: int
    actor: str
    action: str
    subject: str
    outcome: str
    details: str
    _position: int
    _day: int
    _written_at: int
    _value: bytes
    _leaf_hash: bytes
    _chain_hash: bytes


def write_parquet(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write all records; returns how many. Raises OSError, and what ``tables`` raises."""
    count = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(pa.table([_typed(table, field) for field in SCHEMA], schema=SCHEMA))
            count += table.num_rows
    return count


def write_ndjson(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write all records, one a line; returns how many. Raises OSError, and what ``tables`` raises."""
    encoder, count = msgspec.json.Encoder(), 0
    with path.open("wb") as file:
        for table in tables:
            columns = [_typed(table, field) for field in SCHEMA]
            lines = pa.table(columns, schema=SCHEMA).cast(_PLAIN).to_pylist()
            file.writelines(encoder.encode(line) + b"\n" for line in lines)
            count += len(lines)
    return count


def read_export(directory: Path) -> Iterator[pa.Table]:
    """The records of whichever of the two files is there. Raises ExportUnreadable."""
    if (directory / PARQUET).exists():
        return _read_parquet(directory / PARQUET)
    if (directory / NDJSON).exists():
        return _read_ndjson(directory / NDJSON)
    raise ExportUnreadable(f"{directory} has neither {PARQUET} nor {NDJSON}")


def _read_parquet(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PAGE):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise ExportUnreadable(f"{path.name} cannot be read: {type(error).__name__}") from None


def _read_ndjson(path: Path) -> Iterator[pa.Table]:
    decoder = msgspec.json.Decoder(_Line)
    try:
        with path.open("rb") as file:
            while lines := list(islice(file, PAGE)):
                yield _table([decoder.decode(line) for line in lines])
    except (OSError, msgspec.DecodeError, UnicodeError, OverflowError, pa.ArrowException) as error:
        raise ExportUnreadable(f"{path.name} cannot be read: {type(error).__name__}") from None


def _table(lines: Sequence[_Line]) -> pa.Table:
    columns = [pa.array([getattr(line, field.name) for line in lines], field.type) for field in _PLAIN]
    return pa.table(columns, schema=_PLAIN)


def _plain(field: pa.Field) -> pa.Field:
    """Times and days as the integers that JSON has."""
    plain: dict[Any, Any] = {pa.date32(): pa.int32(), pa.timestamp("ms", tz="UTC"): pa.int64()}
    return pa.field(field.name, plain.get(field.type, field.type), nullable=False)


_PLAIN = pa.schema([_plain(field) for field in SCHEMA])


def _typed(table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    return table.column(field.name).cast(field.type)
