"""Decisions about batches."""

from __future__ import annotations

from schemas.registry import latest_schema
from sinks.batches import backoff_s, halves, insert_token, next_offsets, sort_records, take, without_held
from sinks.container import container
from sinks.tables import TABLES
from tests.sinks.samples import Row, event, heartbeat, row

HEARTBEATS = TABLES[0]
HEARTBEAT = latest_schema("heartbeat").id


def beat(offset: int, partition: int = 0) -> Row:
    return row("heartbeat", heartbeat("c", timestamp=1, received_at=1), offset, partition)


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
    assert next_offsets([beat(5), beat(9), beat(0, 3)]) == {0: 10, 3: 1}


def test_a_token_names_the_rows_and_their_places() -> None:
    batch = [beat(1), beat(2), beat(7, 1)]
    others = [batch[:2], [beat(1), beat(3), beat(7, 1)], [beat(1), beat(2), beat(7, 2)], [beat(1), beat(2), tick(7)]]
    tokens = [insert_token(container(HEARTBEAT, rows)) for rows in (batch, list(batch), *others)]
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 5


def test_batches_end_at_the_byte_limit_but_hold_one_row_at_least() -> None:
    size = len(beat(1).value or b"")
    assert take([beat(1), beat(2), beat(3)], 2 * size) == 2
    assert take([beat(1), beat(2)], 1) == 1
    assert take([], 1) == 0


def test_halves_lose_nothing() -> None:
    front, back = halves([beat(1), beat(2), beat(3)])
    assert (list(front), list(back)) == ([beat(1)], [beat(2), beat(3)])


def test_waiting_grows_up_to_its_limit() -> None:
    assert [backoff_s(attempt, 1.0) for attempt in (0, 1, 2, 3, 4, 5_000)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
