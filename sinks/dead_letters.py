"""Refused records go to the dead letter topic as they came, with headers that say where they stood and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.dead_letters import letter
from schemas.topics import DLQ
from sinks.batches import Refused
from sinks.errors import DeadLetterUndelivered


class DeadLetters:
    """Opens a producer for each delivery: there are few, and a producer that sleeps for days is one more thing to fail."""

    def __init__(self, bootstrap: str, timeout_s: float = 15.0) -> None:
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s

    async def deliver(self, refused: Sequence[Refused]) -> None:
        """Return when all replicas have all of them. Raises DeadLetterUndelivered."""
        try:
            # An idempotent producer waits for ever while the broker is away.
            await asyncio.wait_for(self._deliver(refused), self._timeout_s)
        except (KafkaError, TimeoutError, OSError) as error:
            raise DeadLetterUndelivered(type(error).__name__) from None

    async def _deliver(self, refused: Sequence[Refused]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            letters = [letter(row.record, row.reason) for row in refused]
            sent = [
                await producer.send(DLQ.name, key=each.key, value=each.value, headers=list(each.headers)) for each in letters
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()
