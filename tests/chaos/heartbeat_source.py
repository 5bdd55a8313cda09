"""Bursts of heartbeats for a sink, each of another client and time, and what Kafka has of them."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.topics import HEARTBEATS
from tests.sinks.samples import Row, heartbeat, row

# Whole seconds apart, so that a client's minute has 60 heartbeats and many bursts touch the same rollup.
_CLIENTS = 500


class HeartbeatSource:
    """``sent`` counts those that were acknowledged."""

    def __init__(self, bootstrap: str, burst: int) -> None:
        self.sent = 0
        self._bootstrap = bootstrap
        self._burst = burst

    async def produce(self) -> None:
        """A burst of heartbeats, acknowledged."""
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            rows = [self._row(self.sent + number) for number in range(self._burst)]
            sent = [await producer.send(each.topic, value=each.value, key=each.key) for each in rows]
            await asyncio.gather(*sent)
            self.sent += self._burst
        finally:
            await producer.stop()

    async def log_ends(self) -> dict[int, int]:
        """By partition how many heartbeats Kafka has."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            ends = await consumer.end_offsets([TopicPartition(HEARTBEATS.name, n) for n in range(HEARTBEATS.partitions)])
            return {at.partition: end for at, end in ends.items()}
        finally:
            await consumer.stop()

    def _row(self, number: int) -> Row:
        name = f"chaos-{number % _CLIENTS:04d}"
        return row("heartbeat", heartbeat(name, timestamp=1_800_000_000_000 + number // _CLIENTS * 1_000), 0)
