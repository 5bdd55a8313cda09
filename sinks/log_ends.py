"""Where Kafka's log of a partition ends now, asked from a writer's thread of the consumer that runs in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import CancelledError
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import Topic
from sinks.errors import KafkaUnavailable

_WITHIN_S = 5.0


class LogEnds(Protocol):
    """By partition the offset after Kafka's newest record, as of the call; what is not known is left out."""

    def __call__(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Blocks. Raises KafkaUnavailable."""


def log_ends_of(topic: Topic, consumer: AIOKafkaConsumer) -> LogEnds:
    """Asks the broker at each call. Must be made in the consumer's event loop, and be called from other threads only."""
    loop = asyncio.get_running_loop()

    async def asked(partitions: Collection[int]) -> Mapping[int, int]:
        async with asyncio.timeout(_WITHIN_S):
            ends = await consumer.end_offsets([TopicPartition(topic.name, number) for number in partitions])
        return {at.partition: end for at, end in ends.items()}

    def ask(partitions: Collection[int]) -> Mapping[int, int]:
        try:
            return asyncio.run_coroutine_threadsafe(asked(partitions), loop).result()
        except (KafkaError, TimeoutError, CancelledError) as error:
            raise KafkaUnavailable(f"the end of the log is not known: {type(error).__name__}") from None

    return ask


def not_asked(partitions: Collection[int]) -> Mapping[int, int]:
    """The ends of logs that are taken to be those that the table was filled from."""
    return {}
