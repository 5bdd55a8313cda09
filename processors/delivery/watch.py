"""Measures how far a receiver is behind, and notices a consumer that stalls without an error (aio-libs/aiokafka#1154)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.clock import Clock
from processors.delivery import metrics
from processors.delivery.errors import ConsumerStalled
from processors.delivery.kafka import CALL_S
from processors.delivery.sender import Sender
from processors.delivery.window import Window

INTERVAL_S = 1.0


class Watch:
    """Of one session of one receiver. ``now_s`` is a steady clock."""

    def __init__(self, sender: Sender, stall_s: float, clock: Clock, now_s: Callable[[], float]) -> None:
        self.interval_s = min(INTERVAL_S, stall_s / 4)
        self._sender = sender
        self._receiver = sender.receiver.name
        self._stall_s = stall_s
        self._clock = clock
        self._now_s = now_s
        self._moved_s = now_s()

    def moved(self) -> None:
        """Records came, or none can come for a known reason."""
        self._moved_s = self._now_s()

    async def look(self, consumer: AIOKafkaConsumer, window: Window, held: bool) -> None:
        """Measure. ``held``: records are held back on purpose.

        Raises:
            ConsumerStalled: Kafka has had records for too long that do not come.
            KafkaError, TimeoutError: the broker is away.
        """
        self._measure_age(window)
        behind = await self._measure_lag(consumer, window)
        if held or not behind:
            self.moved()
        if self._now_s() - self._moved_s > self._stall_s:
            raise ConsumerStalled("there are alerts that do not arrive")

    def _measure_age(self, window: Window) -> None:
        oldest_ms = window.progress.oldest_ms()
        age_s = 0.0 if oldest_ms is None else max(0.0, (self._clock() - oldest_ms) / 1000)
        metrics.OLDEST.labels(self._receiver).set(age_s)
        if self._sender.book is not None:
            metrics.FIRING.labels(self._receiver).set(len(self._sender.book))

    async def _measure_lag(self, consumer: AIOKafkaConsumer, window: Window) -> bool:
        """Whether Kafka has records that did not come yet. What is under way is behind, too, and counted."""
        assigned = list(consumer.assignment())
        async with asyncio.timeout(CALL_S):
            ends: dict[TopicPartition, int] = await consumer.end_offsets(assigned) if assigned else {}
            positions = {at: await consumer.position(at) for at in ends}
        missing: int = sum(end - positions[at] for at, end in ends.items())
        metrics.LAG.labels(self._receiver).set(missing + len(window.progress))
        return missing > 0
