"""What came onto the topics since a moment: for tests that say what must, and what must not, be on Kafka."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas import codec
from schemas.topics import TOPICS

_STOP_S = 10.0


class TopicProbe:
    """Use as an async context manager; ``mark`` sets the moment. One serves a whole run: its first start costs a second."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
        self._start: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> TopicProbe:
        await self._consumer.start()
        self._consumer.assign([TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)])
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)  # a first position that arrives late would undo a later seek
        await self.mark()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopping = asyncio.ensure_future(self._consumer.stop())
        await asyncio.wait({stopping}, timeout=_STOP_S)
        # While other tests ran on other loops a fetch has timed out; aiokafka 0.14 then ends the stop by a cancellation.
        if stopping.cancel() or stopping.cancelled() or stopping.exception():
            await self._consumer._client.close()

    async def mark(self) -> None:
        """Forget what came so far."""
        self._start = await self._consumer.end_offsets(self._consumer.assignment())

    async def rewind(self) -> None:
        """Set the moment to the beginning of the topics."""
        self._start = await self._consumer.beginning_offsets(self._consumer.assignment())

    async def raw(self) -> list[ConsumerRecord]:
        """All records since the moment, ticks left out."""
        ends = await self._consumer.end_offsets(list(self._start))
        found: list[ConsumerRecord] = []
        for partition, start in self._start.items():
            self._consumer.seek(partition, start)
        while [partition for partition, end in ends.items() if await self._consumer.position(partition) < end]:
            batches = await self._consumer.getmany(timeout_ms=500)
            found += [record for batch in batches.values() for record in batch]
        return [record for record in found if codec.decode(record.value)[0] != "tick"]

    async def records(self, schema: str, client_id: str) -> list[dict[str, Any]]:
        """The records of one schema and client since the moment."""
        decoded = [codec.decode(record.value) for record in await self.raw()]
        return [record for name, record in decoded if name == schema and record.get("client_id") == client_id]
