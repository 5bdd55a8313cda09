"""Avro object containers made of raw datums, without decoding them (Avro 1.11, "Object Container Files").

A row of a container is where the datum stood in Kafka (``_topic``, ``_partition``, ``_offset``) and then the value as it
came, its wire format's header included, which is a field that no table has: in Avro's binary encoding a record is its fields
one after the other, so that joining bytes joins records, and nothing is cut from a value. Rows are joined to blocks while
the insert before theirs is under way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Protocol

from schemas.codec import HEADER_BYTES, schema_id_of
from schemas.errors import CodecError
from schemas.kafka_record import KafkaRecord
from schemas.registry import schema_by_id
from sinks.errors import NotADatum

_MAGIC = b"Obj\x01"
# Any 16 bytes will do: a container lives for one insert. The same rows make the same container.
_SYNC = b"viworks-sinks-v1"
# The topic comes first: a value that is too short takes bytes of it, which the tables' constraint sees.
PLACE: list[Any] = [
    {"name": "_topic", "type": "string"},
    {"name": "_partition", "type": "int"},
    {"name": "_offset", "type": "long"},
]
_WIRE_HEADER: Any = {"name": "_wire", "type": {"type": "fixed", "name": "WireHeader", "size": HEADER_BYTES}}


class Record(KafkaRecord, Protocol):
    """What is used of a Kafka record."""

    @property
    def timestamp(self) -> int:
        """When Kafka got it, in milliseconds."""


def schema_id(record: Record) -> int:
    """The id of the record's schema. Raises NotADatum where the value is not in the wire format."""
    try:
        return schema_id_of(record.value)
    except CodecError as error:
        raise NotADatum(str(error)) from None


def container(writer_schema_id: int, records: Sequence[Record]) -> bytes:
    """One container of all records. All must have that schema: see ``schema_id``.

    Raises:
        schemas.errors.CodecError: no schema has that id.
    """
    return b"".join(container_of_blocks(writer_schema_id, [block(records)]))


def container_of_blocks(writer_schema_id: int, blocks: Iterable[bytes]) -> list[bytes]:
    """One container of all blocks, in pieces. Their records must have that schema. Raises as ``container`` does."""
    return [_header(writer_schema_id), *blocks]


def block(records: Sequence[Record]) -> bytes:
    """The records as a part of a container: their number, their length, the rows, a mark."""
    rows = _rows(records)
    return b"".join((avro_long(len(records)), avro_long(sum(map(len, rows))), *rows, _SYNC))


def container_of(fields: Sequence[Mapping[str, object]], rows: Sequence[bytes]) -> bytes:
    """One container of rows that are encoded already, each by ``fields`` (Avro's record fields)."""
    body = b"".join(rows)
    return b"".join((_header_of(list(fields)), avro_long(len(rows)), avro_long(len(body)), body, _SYNC))


def _rows(records: Sequence[Record]) -> list[bytes]:
    """Places and values in turn."""
    parts: list[bytes] = [b""] * (2 * len(records))
    parts[::2] = _places(records)
    parts[1::2] = [record.value or b"" for record in records]
    return parts


def _places(records: Sequence[Record]) -> list[bytes]:
    """The first three fields of each row. Consecutive offsets of one partition, which is what comes, are a cut of tables."""
    first, last = records[0], records[-1]
    streams = len({record.topic for record in records}) + len({record.partition for record in records})
    if streams > 2 or last.offset - first.offset + 1 != len(records):
        return [_places_of_64(record.topic, record.partition, record.offset >> 6)[record.offset & 63] for record in records]
    start = first.offset & 63
    tables = [_places_of_64(first.topic, first.partition, high) for high in range(first.offset >> 6, (last.offset >> 6) + 1)]
    return [place for table in tables for place in table][start : start + len(records)]


@lru_cache(maxsize=64)
def _places_of_64(topic: str, partition: int, high: int) -> list[bytes]:
    """The places of offsets that differ in their last six bits only.

    A long is zigzag, then 7 bits a byte, the lowest first: only the first byte differs.
    """
    rest = _varint(high) if high else b""
    return [start + rest for start in _starts_of_64(topic, partition, bool(high))]


@lru_cache(maxsize=64)
def _starts_of_64(topic: str, partition: int, goes_on: bool) -> list[bytes]:
    prefix = avro_string(topic) + avro_long(partition)
    return [prefix + bytes((low << 1 | goes_on << 7,)) for low in range(64)]


def fields_of(writer_schema_id: int) -> list[Any]:
    """The fields of a row. Raises schemas.errors.CodecError where no schema has that id."""
    return [*PLACE, _WIRE_HEADER, *schema_by_id(writer_schema_id).json["fields"]]


@cache
def _header(writer_schema_id: int) -> bytes:
    return _header_of(fields_of(writer_schema_id))


def _header_of(fields: list[Any]) -> bytes:
    schema = {"type": "record", "name": "Row", "namespace": "viworks.v1", "fields": fields}
    metadata = {"avro.schema": json.dumps(schema), "avro.codec": "null"}
    pairs = b"".join(avro_string(name) + avro_string(text) for name, text in metadata.items())
    return b"".join((_MAGIC, avro_long(len(metadata)), pairs, avro_long(0), _SYNC))


def avro_string(text: str) -> bytes:
    """A string in Avro's binary encoding."""
    encoded = text.encode()
    return avro_long(len(encoded)) + encoded


def avro_long(number: int) -> bytes:
    """A non-negative long in Avro's binary encoding."""
    return _varint(number << 1)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
