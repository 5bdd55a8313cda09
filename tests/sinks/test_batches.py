"""Decisions about batches."""

from __future__ import annotations

import io

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from schemas.registry import latest_schema
from sinks.batches import (
    Batch,
    Chunk,
    backoff_s,
    halves,
    insert_token,
    next_offsets,
    parts,
    sort_records,
    take,
    without_held,
)
from sinks.container import container, container_of_blocks
from sinks.tables import TABLES
from tests.sinks.samples import Row, event, heartbeat, row

HEARTBEATS = TABLES[0]
HEARTBEAT = latest_schema("heartbeat").id


def beat(offset: int, partition: int = 0) -> Row:
    return row("heartbeat", heartbeat("c", timestamp=1, received_at=1), offset, partition)


def chunk(*records: Row) -> Chunk:
    return Chunk.of(HEARTBEATS, records)


def tick(offset: int) -> Row:
    return row("tick", {"edge": "e", "timestamp": 1, "sequence": 1}, offset, 1)


def test_rows_control_records_deletions_and_strangers_are_told_apart() -> None:
    garbage = Row("viworks.heartbeats.v1", 0, 3, b"k", b"not avro")
    foreign = row("event", event("c", "e"), 4)._replace(topic="viworks.heartbeats.v1")
    deletion = Row("viworks.heartbeats.v1", 0, 5, b"k", None)
    result = sort_records(HEARTBEATS, [beat(1), tick(2), garbage, foreign, deletion])
    assert result.rows == {HEARTBEAT: [beat(1)]}
    assert [(refused.record.offset, refused.reason) for refused in result.refused] == [
        (3, "NotADatum"),
        (4, "ForeignSchema"),
    ]


def test_what_the_table_holds_is_left_out_partition_by_partition() -> None:
    records = [beat(1), beat(2), beat(1, 1), beat(2, 1)]
    assert without_held(records, {0: {1}, 1: {2}}) == [beat(2), beat(1, 1)]


def test_done_is_after_the_last_offset_also_of_control_records() -> None:
    batch = Batch([chunk(beat(5), beat(9)), chunk(tick(3)), chunk(beat(10))])
    assert next_offsets(batch.chunks) == {0: 11, 1: 4}
    assert list(batch) == [beat(5), beat(9), tick(3), beat(10)]


def test_a_token_names_the_rows_and_their_places() -> None:
    batch = [beat(1), beat(2), beat(7, 1)]
    others = [batch[:2], [beat(1), beat(3), beat(7, 1)], [beat(1), beat(2), beat(7, 2)], [beat(1), beat(2), tick(7)]]
    tokens = [insert_token([container(HEARTBEAT, rows)]) for rows in (batch, list(batch), *others)]
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 5


def test_blocks_of_chunks_are_the_block_of_all_rows() -> None:
    chunks = [chunk(beat(1), tick(2), beat(2)), chunk(beat(3))]
    found = container_of_blocks(HEARTBEAT, [each.blocks[HEARTBEAT] for each in chunks])
    wanted = fastavro.reader(io.BytesIO(container(HEARTBEAT, [beat(1), beat(2), beat(3)])))
    assert list(fastavro.reader(io.BytesIO(b"".join(found)))) == list(wanted)


def test_batches_end_at_both_limits_but_hold_one_chunk_at_least() -> None:
    waiting = [chunk(beat(1), beat(2)), chunk(beat(3)), chunk(beat(4))]
    size = waiting[1].bytes
    assert take(waiting, 3, 100 * size) == 2
    assert take(waiting, 100, waiting[0].bytes + size) == 2
    assert take(waiting, 1, 1) == 1
    assert take([], 1, 1) == 0


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 9), st.integers(1, 120))
def test_parts_keep_all_in_order_and_their_limits(sizes: list[int], rows: int, size: int) -> None:
    records = [Row("t", 0, offset, None, b"x" * length) for offset, length in enumerate(sizes)]
    found = parts(records, rows, size)
    assert [record for part in found for record in part] == records
    for part in found:
        assert len(part) == 1 or (len(part) <= rows and sum(len(record.value or b"") for record in part) <= size)


def test_halves_lose_nothing() -> None:
    front, back = halves([beat(1), beat(2), beat(3)])
    assert (list(front), list(back)) == ([beat(1)], [beat(2), beat(3)])


def test_waiting_grows_up_to_its_limit() -> None:
    assert [backoff_s(attempt, 1.0) for attempt in (0, 1, 2, 3, 4, 5_000)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
