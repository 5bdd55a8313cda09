"""A table's way: batches in order, nothing counts as done before it is in, ClickHouse being away costs time only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sinks.batches import Refused
from sinks.container import Record
from sinks.errors import DeadLetterUndelivered, EngineUnavailable
from sinks.lane import Lane
from sinks.log_ends import LogEnds, not_asked
from sinks.settings import SinkSettings
from sinks.tables import TABLES
from tests.deadline import eventually
from tests.sinks.samples import Row, heartbeat, row


def rows(first: int, count: int, partition: int = 0) -> list[Row]:
    return [Row("viworks.heartbeats.v1", partition, first + number, None, b"x" * 100) for number in range(count)]


class Table:
    """Takes batches where it may, as ClickHouse does; ``open`` lets a write pass, ``faults`` are raised one a write."""

    def __init__(self) -> None:
        self.batches: list[list[Record]] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.faults: list[Exception] = []
        self.refuses: Callable[[Record], bool] = lambda record: False
        self.forgotten = 0

    def write(self, records: Sequence[Record], log_ends: LogEnds) -> list[Refused]:
        self.entered.set()
        assert self.open.wait(10)
        if self.faults:
            raise self.faults.pop(0)
        self.batches.append([record for record in records if not self.refuses(record)])
        return [Refused(record, "RowsRefused:1") for record in records if self.refuses(record)]

    def forget(self) -> None:
        self.forgotten += 1

    @property
    def offsets(self) -> list[int]:
        return [record.offset for batch in self.batches for record in batch]


@asynccontextmanager
async def running(table: Table, deliver: Any = None, **changes: Any) -> AsyncIterator[Lane]:
    async def nowhere(refused: Sequence[Refused]) -> None:
        raise AssertionError("nothing was to be refused")

    settings = SinkSettings(sink_linger_ms=1, sink_retry_max_s=0.01, **changes)
    lane = Lane(TABLES[0], table, deliver or nowhere, settings)
    task = asyncio.create_task(lane.run(not_asked))
    try:
        yield lane
    finally:
        table.open.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_done_before_it_is_in_the_table() -> None:
    table = Table()
    table.open.clear()
    async with running(table) as lane:
        lane.add(rows(5, 3))
        await eventually(table.entered.is_set, 5)
        assert lane.done == {}
        table.open.set()
        assert await eventually(lambda: lane.done, 5) == {0: 8}
    assert table.offsets == [5, 6, 7]


async def test_an_engine_that_is_away_costs_time_only() -> None:
    table = Table()
    table.faults = [EngineUnavailable("away") for _ in range(4)]
    async with running(table) as lane:
        lane.add(rows(0, 3))
        assert await eventually(lambda: lane.done, 5) == {0: 3}
    assert table.offsets == [0, 1, 2]


async def test_a_refused_row_is_done_once_the_dead_letter_topic_has_it() -> None:
    table = Table()
    table.refuses = lambda record: record.offset == 1
    attempts: list[list[int]] = []

    async def deliver(refused: Sequence[Refused]) -> None:
        attempts.append([each.record.offset for each in refused])
        assert lane.done == {}
        if len(attempts) < 3:
            raise DeadLetterUndelivered("away")

    async with running(table, deliver) as lane:
        lane.add(rows(0, 3))
        assert await eventually(lambda: lane.done, 5) == {0: 3}
    assert attempts == [[1], [1], [1]]


async def test_batches_are_bounded_and_in_order() -> None:
    table = Table()
    async with running(table, sink_batch_rows=10) as lane:
        lane.add(rows(0, 35))
        lane.add(rows(0, 5, partition=1))
        await eventually(lambda: lane.done == {0: 35, 1: 5}, 5)
    assert table.offsets == [*range(35), *range(5)]
    assert max(map(len, table.batches)) == 10


async def test_a_lane_that_lags_writes_its_batches_as_large_as_they_may_be() -> None:
    """With the settings that nobody has changed, and heartbeats as they come: their bytes are no reason for less."""
    value = row("heartbeat", heartbeat("lagging"), 0).value
    table = Table()
    async with running(table) as lane:
        for first in range(0, 120_000, 20_000):
            assert not lane.congested
            lane.add([each._replace(value=value) for each in rows(first, 20_000)])
        await eventually(lambda: lane.done == {0: 120_000}, 20)
    assert [len(batch) for batch in table.batches] == [100_000, 20_000]


async def test_a_full_buffer_asks_for_no_more() -> None:
    table = Table()
    table.open.clear()
    async with running(table, sink_buffer_bytes=1024, sink_batch_rows=1) as lane:
        lane.add(rows(0, 30))
        assert (lane.congested, lane.drained) == (True, False)
        table.open.set()
        await eventually(lambda: lane.drained and not lane.congested, 5)


async def test_partitions_are_given_up_only_after_the_insert_that_runs() -> None:
    table = Table()
    table.open.clear()
    async with running(table, sink_batch_rows=2) as lane:
        lane.add(rows(0, 6))
        await eventually(table.entered.is_set, 5)
        release = asyncio.create_task(lane.release())
        await asyncio.wait([release], timeout=0.1)
        assert not release.done()
        table.open.set()
        await release
        assert (lane.done, table.offsets, table.forgotten) == ({0: 2}, [0, 1], 1)
        lane.add(rows(2, 4))
        await eventually(lambda: lane.done == {0: 6}, 5)
    assert table.offsets == list(range(6))


async def test_a_rebalance_does_not_wait_for_an_engine_that_is_away() -> None:
    table = Table()
    table.faults = [EngineUnavailable("away") for _ in range(100_000)]
    async with running(table) as lane:
        lane.add(rows(0, 3))
        await eventually(table.entered.is_set, 5)
        await asyncio.wait_for(lane.release(), 30)
        assert lane.done == {}


async def test_an_insert_is_waited_for_when_the_lane_is_cancelled() -> None:
    table = Table()
    table.open.clear()
    lane = Lane(TABLES[0], table, pytest.fail, SinkSettings(sink_linger_ms=0))  # type: ignore[arg-type]
    task = asyncio.create_task(lane.run(not_asked))
    lane.add(rows(0, 1))
    await eventually(table.entered.is_set, 5)
    task.cancel()
    await asyncio.wait([task], timeout=0.1)
    assert not task.done()
    table.open.set()
    await asyncio.wait([task], timeout=5)
    assert (task.cancelled(), table.offsets) == (True, [0])
