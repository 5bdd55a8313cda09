"""Records that no receiver takes go to the dead letter topic as they came, with headers that say where and why."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from processors.delivery.errors import DeadLetterFailed
from schemas.topics import DLQ

RECEIVER = "receiver"
"""The header that names the receiver; a record replayed with it is for that one only."""

_MOST_BYTES = 16 * 1024 * 1024


class DeadLetters:
    """Opens a producer for each: there are few, and a producer that sleeps for days is one more thing to fail."""

    def __init__(self, bootstrap: str, timeout_s: float) -> None:
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()

    async def write(self, record: ConsumerRecord, receiver: str, error: str) -> None:
        """Return when all replicas have it. Raises DeadLetterFailed."""
        headers = _headers(record, receiver, error)
        async with self._turn:
            try:
                # An idempotent producer waits for ever while the broker is away.
                async with asyncio.timeout(self._timeout_s):
                    await self._send(record, headers)
            except (KafkaError, OSError) as failure:
                raise DeadLetterFailed(f"Kafka did not take a dead letter: {type(failure).__name__}") from None

    async def _send(self, record: ConsumerRecord, headers: list[tuple[str, bytes]]) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, max_request_size=_MOST_BYTES
        )
        await producer.start()
        try:
            await producer.send_and_wait(DLQ.name, record.value, key=record.key, headers=headers)
        finally:
            await producer.stop()


def addressee(record: ConsumerRecord) -> str | None:
    """The receiver that a replayed record is for; None for all."""
    return next((value.decode("utf-8", "replace") for name, value in record.headers or () if name == RECEIVER), None)


def _headers(record: ConsumerRecord, receiver: str, error: str) -> list[tuple[str, bytes]]:
    """Where the record stood and the kind of the error, nothing from its content."""
    headers = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "error": error,
        RECEIVER: receiver,
    }
    return [(name, text.encode()) for name, text in headers.items()]
