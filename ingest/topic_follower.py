"""Follows a compacted topic from its beginning: the edge's copy of what the registry has decided for all edges."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ingest.errors import FollowerStalled
from ingest.readiness import AWAY, OK
from schemas import codec
from schemas.topics import Topic

log = logging.getLogger(__name__)

Apply = Callable[[str, dict[str, Any] | None], None]

_CHECK_S = 1.0
_STALL_S = 5.0
_PAUSE_S = 1.0


class TopicFollower:
    """Gives every record, decoded, to ``apply(key, record)``; None is a deletion. Use as an async context manager.

    Entering returns once everything that stood in the topic then has been applied, so that an edge never serves without
    knowing what was decided before its start. A broker that is away later is waited for: what is known stays in force.
    Once a second the end of the topic is compared with what was read, since a consumer can stall without an error
    (aio-libs/aiokafka#1154); one that stalls is replaced and goes on where it stood.

    Args:
        timeout_s: how long entering may take.

    Attributes:
        caught_up: whether everything that stood in the topic at the start has been applied.

    Raises:
        FollowerStalled: on entering, where the topic cannot be read in time.
    """

    def __init__(self, bootstrap: str, topic: Topic, apply: Apply, timeout_s: float = 30.0) -> None:
        self.caught_up = False
        self._faulty = False
        self._bootstrap = bootstrap
        self._topic = topic
        self._apply = apply
        self._timeout_s = timeout_s
        self._partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        self._positions: dict[TopicPartition, int] = {}
        self._started = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> TopicFollower:
        self._reader = asyncio.create_task(self._follow_forever())
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._started.wait()
        except BaseException as error:
            await self._stop()
            if isinstance(error, TimeoutError):
                raise FollowerStalled(f"{self._topic.name} was not read within {self._timeout_s:.0f} s") from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def failing(self) -> bool:
        """Whether the last check found the broker away or the reading at a stop: what is known may be out of date."""
        return self._faulty or (self._reader is not None and self._reader.done())

    def state(self) -> str:
        """What ``/readyz`` says: ``away`` while it is failing."""
        return AWAY if self.failing else OK

    async def _stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    async def _follow_forever(self) -> None:
        while True:
            try:
                async with self._consumer() as consumer:
                    await self._follow(consumer)
            except Exception as error:  # noqa: BLE001 - whatever a client library raises, the following goes on
                if not self._faulty:
                    log.warning("following %s: %s", self._topic.name, type(error).__name__)
                self._faulty = True
            await asyncio.sleep(_PAUSE_S)

    @contextlib.asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer of all partitions that stands where the last one stood."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=250
        )
        try:
            async with asyncio.timeout(_STALL_S):
                await consumer.start()
                consumer.assign(self._partitions)
                for partition in self._partitions:
                    await consumer.position(partition)  # a first position that arrives late would undo the seek
            for partition, position in self._positions.items():
                consumer.seek(partition, position)
            yield consumer
        finally:
            await _close(consumer)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        ends = await self._ends(consumer)
        moved_s = checked_s = time.monotonic()
        while True:
            if await self._read(consumer):
                moved_s = time.monotonic()
            if self._has_read(ends):
                self._arrived()
            elif time.monotonic() - moved_s > _STALL_S:
                raise FollowerStalled(f"{self._topic.name} has records that do not arrive")
            if time.monotonic() - checked_s > _CHECK_S:
                newer = await self._ends(consumer)
                checked_s = time.monotonic()
                if self._has_read(ends):
                    ends, moved_s = newer, checked_s

    async def _ends(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        async with asyncio.timeout(_STALL_S):
            ends: dict[TopicPartition, int] = await consumer.end_offsets(self._partitions)
            return ends

    async def _read(self, consumer: AIOKafkaConsumer) -> bool:
        """Apply what has come; whether any partition moved on. A batch of which compaction left nothing moves it too."""
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                self._take(record)
        before = self._positions
        self._positions = {partition: await consumer.position(partition) for partition in self._partitions}
        return self._positions != before

    def _has_read(self, ends: dict[TopicPartition, int]) -> bool:
        return all(self._positions.get(partition, 0) >= end for partition, end in ends.items())

    def _arrived(self) -> None:
        if self._faulty:
            log.info("following %s again", self._topic.name)
        self._faulty = False
        self.caught_up = True
        self._started.set()

    def _take(self, record: ConsumerRecord) -> None:
        key = (record.key or b"").decode("utf-8", "replace")
        try:
            value = None if record.value is None else codec.decode_as(self._topic.schemas[0], record.value)
            self._apply(key, value)
        except Exception as error:  # noqa: BLE001 - whatever a hostile value leads to, the next record is taken
            log.error("a record of %s could not be applied: %s", self._topic.name, type(error).__name__)


async def _close(consumer: AIOKafkaConsumer) -> None:
    """End a consumer, within bounds, also while the broker is away."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping}, timeout=_STALL_S)
    # In aiokafka 0.14 a fetch that waits for its next attempt breaks the stop off by a CancelledError that nobody asked for:
    # hence the task of its own, and the connections are closed here.
    if stopping.cancel() or stopping.cancelled() or stopping.exception():
        await consumer._client.close()
