"""A sink, its broker, and what befalls them: ``kill -9`` of either, rebalances, a sink that sleeps until it is given up."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from infra.kafka import EmbeddedKafka
from schemas.topics import HEARTBEATS
from sinks.tables import TABLES
from tests.deadline import eventually
from tests.sinks.samples import Row, heartbeat, row
from tests.sinks.sink_process import SinkProcess

SESSION_TIMEOUT_S = 6.0
# Whole seconds apart, so that a client's minute has 60 heartbeats and many bursts touch the same rollup.
_CLIENTS = 500


class SinkHavoc:
    """``done`` counts what was carried out; ``sent`` the heartbeats, each of another client and time."""

    def __init__(self, broker: EmbeddedKafka, sink: SinkProcess, group: str, burst: int, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.sent = 0
        self._broker = broker
        self._sink = sink
        self._group = group
        self._burst = burst
        self._chance = random.Random(seed)

    async def run(self, **rounds: int) -> None:
        """Each round of these names so many times, in mixed order; the sink runs afterwards."""
        plan = [name for name, count in rounds.items() for _ in range(count)]
        self._chance.shuffle(plan)
        for name in plan:
            await self.produce()
            await getattr(self, name)()
            self.done[name] += 1

    async def sink_killed(self) -> None:
        """While it starts, catches up, or writes."""
        await asyncio.sleep(self._chance.uniform(0, 0.4))
        await self._sink.kill()
        await self._sink.start()

    async def broker_killed(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.2))
        self._broker.kill()
        await self._broker.wait()
        await self._broker.start()

    async def rebalanced(self) -> None:
        """Another member takes half of the partitions and leaves again."""
        async with self._guest() as guest:
            await eventually(guest.assignment, 60, "the guest has partitions")
            await self.produce()

    async def zombie(self) -> None:
        """Another member has all partitions before the sink wakes up with what it had in hand."""
        await asyncio.sleep(self._chance.uniform(0, 0.3))
        self._sink.send(signal.SIGSTOP)
        partitions = sum(table.topic.partitions for table in TABLES)
        async with self._guest() as guest:
            await eventually(lambda: len(guest.assignment()) == partitions, 60, "the sink was given up")
            self._sink.send(signal.SIGCONT)

    async def produce(self) -> None:
        """A burst of heartbeats, acknowledged."""
        producer = AIOKafkaProducer(bootstrap_servers=self._broker.bootstrap, acks="all", enable_idempotence=True)
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
        consumer = AIOKafkaConsumer(bootstrap_servers=self._broker.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            ends = await consumer.end_offsets([TopicPartition(HEARTBEATS.name, n) for n in range(HEARTBEATS.partitions)])
            return {at.partition: end for at, end in ends.items()}
        finally:
            await consumer.stop()

    def _row(self, number: int) -> Row:
        name = f"chaos-{number % _CLIENTS:04d}"
        return row("heartbeat", heartbeat(name, timestamp=1_800_000_000_000 + number // _CLIENTS * 1_000), 0)

    @asynccontextmanager
    async def _guest(self) -> AsyncIterator[AIOKafkaConsumer]:
        guest = AIOKafkaConsumer(
            *(table.topic.name for table in TABLES),
            bootstrap_servers=self._broker.bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            session_timeout_ms=int(SESSION_TIMEOUT_S * 1_000),
            max_poll_interval_ms=600_000,
        )
        try:
            await guest.start()
            yield guest
        finally:
            with suppress(KafkaError):
                await guest.stop()
