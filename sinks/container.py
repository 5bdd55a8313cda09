"""Avro object containers made of raw datums, without decoding them (Avro 1.11, "Object Container Files").

A row of a container is where the datum stood in Kafka (``_topic``, ``_partition``, ``_offset``) and then the datum as it
came: in Avro's binary encoding a record is its fields one after the other, so that joining bytes joins records. Rows are
joined to blocks while the insert before theirs is under way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from schemas.codec import HEADER_BYTES, schema_id_of
from schemas.errors import CodecError
from schemas.kafka_record import KafkaRecord
from schemas.registry import schema_by_id
from sinks.errors import NotADatum

_MAGIC = b"Obj\x01"
# Any 16 bytes will do: a container lives for one insert. The same rows make the same container.
_SYNC = b"viworks-sinks-v1"
PLACE: list[Any] = [
    {"name": "_topic", "type": "string"},
    {"name": "_partition", "type": "int"},
    {"name": "_offset", "type": "long"},
]


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
    return container_of_blocks(writer_schema_id, [block(records)])


def container_of_blocks(writer_schema_id: int, blocks: Iterable[bytes]) -> bytes:
    """One container of all blocks, whose records must have that schema. Raises as ``container`` does."""
    return b"".join((_header(writer_schema_id), *blocks))


def block(records: Sequence[Record]) -> bytes:
    """The records as a part of a container: their number, their length, the rows, a mark."""
    rows = b"".join(_rows(records))
    return b"".join((avro_long(len(records)), avro_long(len(rows)), rows, _SYNC))


def container_of(fields: Sequence[Mapping[str, object]], rows: Sequence[bytes]) -> bytes:
    """One container of rows that are encoded already, each by ``fields`` (Avro's record fields)."""
    body = b"".join(rows)
    return b"".join((_header_of(list(fields)), avro_long(len(rows)), avro_long(len(body)), body, _SYNC))


def _rows(records: Iterable[Record]) -> list[bytes]:
    parts: list[bytes] = []
    place, prefix = None, b""
    high, tail = -1, b""
    for record in records:
        if (record.topic, record.partition) != place:
            place = (record.topic, record.partition)
            prefix = avro_string(record.topic) + avro_long(record.partition)
        # A long is zigzag, then 7 bits a byte, the lowest first. Of 64 offsets in a row only the first byte differs.
        offset = record.offset
        if offset >> 6 != high:
            high = offset >> 6
            tail = _varint(high)
        value = record.value
        parts += (prefix, _FIRST[offset & 63] + tail if high else _ONLY[offset & 63], value[HEADER_BYTES:] if value else b"")
    return parts


@cache
def _header(writer_schema_id: int) -> bytes:
    return _header_of(PLACE + schema_by_id(writer_schema_id).json["fields"])


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


_ONLY = [bytes((low << 1,)) for low in range(64)]
_FIRST = [bytes((low << 1 | 128,)) for low in range(64)]
