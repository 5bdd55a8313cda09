"""All that came onto the topics that tell what happened, decoded, in the order of each partition."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import codec
from schemas.topics import ALERTS, HEARTBEATS, LIVENESS, Topic

WATCHED = (HEARTBEATS, LIVENESS, ALERTS)


class Recorder:
    """Use as an async context manager; starts at the beginning of the topics."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
        self._records: dict[str, list[dict[str, Any]]] = {topic.name: [] for topic in WATCHED}
        self.watermark_ms = 0

    async def __aenter__(self) -> Recorder:
        await self._consumer.start()
        partitions = [TopicPartition(topic.name, number) for topic in WATCHED for number in range(topic.partitions)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning(*partitions)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    def of(self, topic: Topic) -> list[dict[str, Any]]:
        """The records of a topic's own schema so far."""
        if self._task.done():
            self._task.result()
        return self._records[topic.name]

    async def _read(self) -> None:
        async for raw in self._consumer:
            name, record = codec.decode(raw.value)
            if name == "tick":
                self.watermark_ms = max(self.watermark_ms, record["timestamp"])
            else:
                self._records[raw.topic].append(record)
