"""Writes single records of the contract: audit records, verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas import codec
from schemas.topics import Topic
from sinks.errors import RecordUndelivered


class Outgoing(NamedTuple):
    """A record in its topic's first schema."""

    topic: Topic
    record: dict[str, Any]


class Records:
    """Opens a producer for each call: there are few, and a producer that sleeps for days is one more thing to fail."""

    def __init__(self, bootstrap: str, timeout_s: float = 15.0) -> None:
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s

    async def write(self, records: Sequence[Outgoing]) -> None:
        """Return when all replicas have all of them. Raises RecordUndelivered."""
        try:
            # An idempotent producer waits for ever while the broker is away.
            await asyncio.wait_for(self._write(records), self._timeout_s)
        except (KafkaError, TimeoutError, OSError) as error:
            raise RecordUndelivered(type(error).__name__) from None

    async def _write(self, records: Sequence[Outgoing]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            for topic, record in records:
                value, key = codec.encode(topic.schemas[0], record), str(record[topic.key]).encode()
                await producer.send_and_wait(topic.name, value=value, key=key)
        finally:
            await producer.stop()
