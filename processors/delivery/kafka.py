"""The consumers of the delivery: a receiver's group, where it begins, and a look back at what the topic holds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from processors.delivery.progress import Checkpoint
from schemas.topics import ALERTS

log = logging.getLogger(__name__)

CALL_S = 15.0
_STOP_S = 5.0
_FETCH_WAIT_MS = 50
PARTITIONS = [TopicPartition(ALERTS.name, number) for number in range(ALERTS.partitions)]


@contextlib.asynccontextmanager
async def member(bootstrap: str, group: str, listener: ConsumerRebalanceListener) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of the group, which goes on at its offsets; where these have expired, at the oldest record there is.

    Raises:
        KafkaError, TimeoutError: no broker, or it does not let the member in.
    """
    async with asyncio.timeout(2 * CALL_S):
        await _begin_at_the_end(bootstrap, group)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        max_poll_interval_ms=600_000,
        # The least that a broker takes by default: for so long a killed process holds its partitions.
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_500,
    )
    consumer.subscribe([ALERTS.name], listener=listener)
    async with _running(consumer):
        yield consumer


async def _begin_at_the_end(bootstrap: str, group: str) -> None:
    """A new receiver gets what comes from now on, not a week of old alerts. Its start is committed, so that it stays."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    async with _running(consumer):
        consumer.assign(PARTITIONS)
        new = [at for at in PARTITIONS if await consumer.committed(at) is None]
        if new:
            # Another process of the group may be first: then its start holds.
            with contextlib.suppress(KafkaError):
                await consumer.commit(await consumer.end_offsets(new))


async def checkpoints(bootstrap: str, group: str) -> dict[TopicPartition, Checkpoint]:
    """What the group has committed. Raises KafkaError or TimeoutError where Kafka does not say."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        async with asyncio.timeout(CALL_S):
            await admin.start()
            committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {at: Checkpoint(each.offset, each.metadata or "") for at, each in committed.items() if each.offset >= 0}


async def history(bootstrap: str, since_ms: int, until: Mapping[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    """The records from a time on up to (excluding) an offset of each partition, in the order of each partition.

    Raises:
        KafkaError, TimeoutError: the topic cannot be read.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    async with _running(consumer):
        left = await _seek(consumer, since_ms, until)
        while left:
            async with asyncio.timeout(CALL_S):
                batches = await consumer.getmany(*left, timeout_ms=500)
            for at, records in batches.items():
                for record in records:
                    if record.offset < until[at]:
                        yield record
            left = [at for at in left if await consumer.position(at) < until[at]]


async def _seek(consumer: AIOKafkaConsumer, since_ms: int, until: Mapping[TopicPartition, int]) -> list[TopicPartition]:
    """Go to the first record since then; the partitions that have any before their end."""
    async with asyncio.timeout(CALL_S):
        consumer.assign(list(until))
        for at in until:
            await consumer.position(at)  # a first position that arrives late would undo the seek
        starts = await consumer.offsets_for_times(dict.fromkeys(until, since_ms)) if until else {}
    for at, start in starts.items():
        consumer.seek(at, start.offset if start else until[at])
    return [at for at, start in starts.items() if start and start.offset < until[at]]


@contextlib.asynccontextmanager
async def _running(consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(CALL_S):
            await consumer.start()
        yield
    finally:
        await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """End a consumer, within bounds, also while the broker is away."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping}, timeout=_STOP_S)
    # In aiokafka 0.14 a fetch that waits for its next attempt breaks the stop off by a CancelledError that nobody asked for:
    # hence the task of its own, and the connections are closed here.
    if stopping.cancel() or stopping.cancelled() or stopping.exception():
        await consumer._client.close()
