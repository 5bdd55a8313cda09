"""Schemas, codec and topics: every topic round-trips, released schemas never change, new versions read old data."""

from __future__ import annotations

import hashlib
import io
import json
from importlib import resources
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_one
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.errors import CodecError
from schemas.registry import SCHEMAS, SchemaRow, latest_schema
from schemas.topics import PARTITIONS, TOPICS, Topic

RETENTION_MS = {
    "heartbeat": 24 * 3_600_000,
    "session": 90 * 86_400_000,
    "liveness": 90 * 86_400_000,
    # No data of clients: it has to outlive the longest API key, of 366 days.
    "revocation": 367 * 86_400_000,
}


def sample(row: SchemaRow) -> Any:
    return generate_one(codec._parsed(row))


NEWEST = [row for row in SCHEMAS if row is latest_schema(row.name)]
OLDER = [row for row in SCHEMAS if row not in NEWEST]


@pytest.mark.parametrize("row", NEWEST, ids=lambda row: row.name)
def test_records_round_trip_in_the_wire_format(row: SchemaRow) -> None:
    record = sample(row)
    value = codec.encode(row.name, record)
    assert value[:1] == b"\0"
    assert int.from_bytes(value[1:5], "big") == row.id
    assert codec.decode(value) == (row.name, record)


@pytest.mark.parametrize("row", OLDER, ids=lambda row: row.name)
def test_an_older_record_is_read_with_the_defaults_of_what_it_lacks(row: SchemaRow) -> None:
    record = sample(row)
    buffer = io.BytesIO(b"\0" + row.id.to_bytes(4, "big"))
    buffer.seek(codec.HEADER_BYTES)
    fastavro.schemaless_writer(buffer, codec._parsed(row), record)
    newer = {field["name"]: field["default"] for field in latest_schema(row.name).json["fields"][len(record) :]}
    assert newer
    assert codec.decode(buffer.getvalue()) == (row.name, record | newer)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(noise: bytes) -> None:
    for value in (noise, b"\0\0\0\0\x07" + noise):
        try:
            codec.decode(value)
        except CodecError:
            continue


@pytest.mark.parametrize("value", [None, b"", b"\1\0\0\0\1x", b"\0\0\0\0\xffx", b"\0\0\0"])
def test_what_is_not_in_the_wire_format_is_refused(value: bytes | None) -> None:
    with pytest.raises(CodecError):
        codec.decode(value)


def test_a_record_that_does_not_fit_is_refused_without_its_values() -> None:
    with pytest.raises(CodecError) as fault:
        codec.encode("tick", {"edge": 5, "timestamp": "s3cret", "sequence": None})
    assert "s3cret" not in str(fault.value)


def test_a_value_of_another_schema_is_refused() -> None:
    with pytest.raises(CodecError, match="expected a event, found a tick"):
        codec.decode_as("event", codec.encode("tick", {"edge": "e", "timestamp": 1, "sequence": 1}))


def test_ids_and_versions_are_unique() -> None:
    assert len({row.id for row in SCHEMAS}) == len(SCHEMAS)
    assert len({(row.name, row.version) for row in SCHEMAS}) == len(SCHEMAS)


def test_released_schemas_never_change() -> None:
    released = json.loads(resources.files("schemas").joinpath("avro", "released.json").read_text())
    current = {str(row.id): hashlib.sha256(row.text.encode()).hexdigest() for row in SCHEMAS}
    assert {id_: current.get(id_) for id_ in released} == released


@pytest.mark.parametrize("row", SCHEMAS, ids=lambda row: f"{row.name}.{row.version}")
def test_the_newest_version_reads_every_older_one(row: SchemaRow) -> None:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, codec._parsed(row), sample(row))
    buffer.seek(0)
    fastavro.schemaless_reader(buffer, codec._parsed(row), codec._parsed(latest_schema(row.name)))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_each_topic_has_its_schema_and_key(topic: Topic) -> None:
    assert topic.name.startswith("viworks.")
    for name in topic.schemas[:1]:
        fields = {field["name"] for field in latest_schema(name).json["fields"]}
        assert topic.key in fields
    assert topic.partitions == PARTITIONS or topic.partitions == 1


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_keeps_nothing_longer_than_the_policy_keeps_the_data(topic: Topic) -> None:
    assert topic.retention_ms is not None or topic.compacted
    limit = RETENTION_MS.get(topic.schemas[0], 365 * 86_400_000) if topic.schemas else 24 * 3_600_000 * 7
    assert (topic.retention_ms or 0) <= limit


def test_every_schema_has_its_topic() -> None:
    assert {name for topic in TOPICS for name in topic.schemas} == {row.name for row in SCHEMAS}
