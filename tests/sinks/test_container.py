"""A container of raw datums is what an Avro library would have written of the same records."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.registry import latest_schema
from sinks.container import container, schema_id
from sinks.errors import NotADatum
from tests.sinks.samples import Row, heartbeat, row

HEARTBEATS_SCHEMA = latest_schema("heartbeat").id

places = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**62))


def read(data: bytes) -> list[dict[str, Any]]:
    return [dict(record) for record in fastavro.reader(io.BytesIO(data))]  # type: ignore[arg-type]


@given(st.lists(places, min_size=1, max_size=40), st.text(max_size=20))
def test_places_and_datums_come_back(at: list[tuple[int, int]], client_id: str) -> None:
    value = encode("tick", {"edge": client_id, "timestamp": 1, "sequence": -5})
    rows = [Row("viworks.heartbeats.v1", partition, offset, None, value) for partition, offset in at]
    found = read(container(latest_schema("tick").id, rows))
    assert [(each["_partition"], each["_offset"]) for each in found] == at
    assert {(each["_topic"], each["edge"], each["sequence"]) for each in found} == {("viworks.heartbeats.v1", client_id, -5)}


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("start", [0, 60, 64, 127, 128, 8190, 2**20 - 3, 2**31 - 2, 2**40])
def test_runs_of_offsets_over_the_lengths_of_a_varint(start: int, partitions: int) -> None:
    rows = [row("heartbeat", heartbeat(f"c{number}"), start + number, number % partitions) for number in range(140)]
    found = read(container(HEARTBEATS_SCHEMA, rows))
    assert [each["_offset"] for each in found] == list(range(start, start + 140))
    assert [each["_partition"] for each in found] == [number % partitions for number in range(140)]
    assert [each["client_id"] for each in found] == [f"c{number}" for number in range(140)]


def test_the_same_rows_make_the_same_container() -> None:
    rows = [row("heartbeat", heartbeat("c", timestamp=1, received_at=2), 7)]
    assert container(HEARTBEATS_SCHEMA, rows) == container(HEARTBEATS_SCHEMA, list(rows))


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0", b"\1\0\0\0\4abc"])
def test_a_value_without_the_header_is_no_datum(value: bytes | None) -> None:
    with pytest.raises(NotADatum):
        schema_id(Row("viworks.events.v1", 0, 0, None, value))
