"""Several sinks share the partitions: whoever comes and goes, each row is written once."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

from infra.kafka import EmbeddedKafka
from sinks.consumer import SinkConsumer
from sinks.lane import Lane
from sinks.settings import SinkSettings
from sinks.tables import TABLES
from tests.deadline import eventually
from tests.sinks.samples import heartbeat, row
from tests.sinks.sink_process import produce
from tests.sinks.warehouse import Warehouse


async def dropped(_: object) -> None:
    """What other tests of the run left on the topic for the dead letters; the rows of this one are counted below."""


@contextlib.asynccontextmanager
async def consuming(kafka: EmbeddedKafka, warehouse: Warehouse, group: str) -> AsyncIterator[SinkConsumer]:
    # With a server's DSN a process has no name of its own in the group, so that leaving it is seen at once.
    settings = SinkSettings(kafka=kafka.bootstrap, sink_group=group, clickhouse="server", sink_linger_ms=20)
    table = TABLES[0]
    writer = warehouse.writer(table.name)
    async with SinkConsumer(settings, [Lane(table, writer, dropped, settings)]) as consumer:
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    writer.close()


async def test_each_row_is_written_once_while_sinks_come_and_go(kafka: EmbeddedKafka, warehouse: Warehouse) -> None:
    group, names = f"sinks-{uuid.uuid4()}", [f"rebalanced-{uuid.uuid4()}" for _ in range(40)]
    producing, sent = True, 0

    async def keep_producing() -> None:
        nonlocal sent
        while producing:
            await produce(kafka.bootstrap, [row("heartbeat", heartbeat(name, timestamp=1_000 * sent), 0) for name in names])
            sent += 1

    def written(what: str = "count()") -> int:
        sql = f"SELECT {what} FROM viworks.heartbeats WHERE client_id LIKE 'rebalanced-%' SETTINGS final = 0"
        return int(warehouse.session.rows(sql)[0][0])

    producer = asyncio.create_task(keep_producing())
    async with consuming(kafka, warehouse, group) as first:
        await eventually(lambda: written() > 0, 20)
        async with consuming(kafka, warehouse, group) as second:
            assert await eventually(lambda: second.shares and first.shares, 20)
            seen = written()
            await eventually(lambda: written() > seen, 10)
        await eventually(lambda: first.shares == 8, 20)
        producing = False
        await producer
        await eventually(lambda: written() >= sent * len(names), 20)
    assert written() == written("uniqExact(_partition, _offset)") == sent * len(names)
