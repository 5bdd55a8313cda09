"""Values on Kafka: the Confluent wire format, ``0x00 | schema id (4 bytes, big endian) | Avro binary``.

Timestamps (``timestamp-millis``) are plain integers of milliseconds on the Python side.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import fastavro

from schemas.errors import CodecError
from schemas.registry import SchemaRow, latest_schema, schema_by_id

HEADER_BYTES = 5
_HEADER = struct.Struct(">bI")
# What fastavro raises for bytes that are no datum of the schema.
_NOT_ITS_ENCODING = (ValueError, TypeError, EOFError, IndexError, OverflowError, MemoryError, struct.error)

Record = Mapping[str, Any]


def encoder(name: str) -> Callable[[Record], bytes]:
    """A function that encodes records with the newest version of the named schema.

    The function raises CodecError for a record that does not fit.
    """
    row = latest_schema(name)
    schema, header = _parsed(row), _HEADER.pack(0, row.id)

    def encode(record: Record) -> bytes:
        buffer = io.BytesIO()
        buffer.write(header)
        try:
            fastavro.schemaless_writer(buffer, schema, record)
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
            raise CodecError(f"the record does not fit the schema {row.name}: {type(error).__name__}") from None
        return buffer.getvalue()

    return encode


def encode(name: str, record: Record) -> bytes:
    """Encode one record; see ``encoder``."""
    return _encoder(name)(record)


def schema_id_of(value: bytes | None) -> int:
    """The schema id of a value. Raises CodecError where it has no header."""
    if value is None or len(value) < HEADER_BYTES or value[0] != 0:
        raise CodecError("the value is not in the wire format")
    return int(_HEADER.unpack_from(value)[1])


def decode(value: bytes | None) -> tuple[str, dict[str, Any]]:
    """Decode a value into the name of its schema and the record, as the newest version of the schema has it.

    Raises:
        CodecError: not in the wire format, an unknown schema, or bytes that are not its encoding.
    """
    row = schema_by_id(schema_id_of(value))
    buffer = io.BytesIO(value or b"")
    buffer.seek(HEADER_BYTES)
    try:
        record = fastavro.schemaless_reader(buffer, _parsed(row), _reader_schema(row))
    except _NOT_ITS_ENCODING as error:
        raise CodecError(f"the value is not a {row.name}: {type(error).__name__}") from None
    if buffer.read(1):
        raise CodecError(f"the value is longer than its {row.name}")
    if not isinstance(record, dict):
        raise CodecError(f"the value is not a {row.name}")
    return row.name, record


def decode_many(values: Sequence[bytes]) -> list[dict[str, Any]]:
    """Decode values that all have the schema of the first one, in half the time.

    Raises:
        CodecError: as ``decode``; also where values have several schemas: then decode them one by one.
    """
    if not values:
        return []
    row = schema_by_id(schema_id_of(values[0]))
    header = _HEADER.pack(0, row.id)
    if not all(value.startswith(header) for value in values):
        raise CodecError("the values have several schemas")
    buffer = io.BytesIO(b"".join([value[HEADER_BYTES:] for value in values]))
    schema, reader_schema, read = _parsed(row), _reader_schema(row), fastavro.schemaless_reader
    try:
        records: list[Any] = [read(buffer, schema, reader_schema) for _ in values]
    except _NOT_ITS_ENCODING as error:
        raise CodecError(f"the values are not all a {row.name}: {type(error).__name__}") from None
    if buffer.read(1):
        raise CodecError(f"the values are longer than their {row.name}")
    return records


def decode_as(name: str, value: bytes | None) -> dict[str, Any]:
    """Decode a value that must be of the named schema, in any version. Raises CodecError otherwise."""
    found, record = decode(value)
    if found != name:
        raise CodecError(f"expected a {name}, found a {found}")
    return record


@cache
def _encoder(name: str) -> Callable[[Record], bytes]:
    return encoder(name)


@cache
def _parsed(row: SchemaRow) -> Any:
    return fastavro.parse_schema(_without_logical_types(row.json))


@cache
def _reader_schema(row: SchemaRow) -> Any:
    """Resolution to a newer version costs twice the time, so it is asked for only where there is one."""
    latest = latest_schema(row.name)
    return None if latest is row else _parsed(latest)


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    if isinstance(node, list):
        return [_without_logical_types(item) for item in node]
    return node
