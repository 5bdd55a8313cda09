"""The consumer: one for all tables, its records dealt out to their lanes, offsets committed after the rows are in.

One consumer for all topics, since each fetches for itself without pause: eight would keep the broker and this process busy
with nothing to do. Nothing is lost by committing late or not at all: see TableWriter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import Topic
from sinks import metrics
from sinks.errors import ConsumerStalled
from sinks.fetched import as_it_came
from sinks.lane import Lane
from sinks.log_ends import log_ends_of
from sinks.settings import SinkSettings

log = logging.getLogger(__name__)

_POLL_MS = 200
_POLL_ROWS = 20_000
_MEASURE_S = 1.0


class SinkConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """Deals records out to the lanes. Use as an async context manager, then ``run``."""

    def __init__(self, settings: SinkSettings, lanes: Iterable[Lane], now_s: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._lanes = {lane.table.topic.name: lane for lane in lanes}
        self._committed: dict[TopicPartition, int] = {}
        self._paused: set[str] = set()
        self._now_s = now_s
        self._progress_s = now_s()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka,
            group_id=settings.sink_group,
            group_instance_id=settings.group_instance_id,
            session_timeout_ms=int(settings.sink_session_timeout_s * 1_000),
            heartbeat_interval_ms=int(settings.sink_session_timeout_s * 1_000 / 3),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            value_deserializer=as_it_came,
            fetch_max_wait_ms=settings.sink_fetch_max_wait_ms,
            max_partition_fetch_bytes=2 * 1024 * 1024,
            max_poll_interval_ms=600_000,
        )

    async def __aenter__(self) -> SinkConsumer:
        """Join the group. Raises aiokafka.errors.KafkaError where there is no broker."""
        self._consumer.subscribe(list(self._lanes), listener=self)
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(KafkaError):
            await self._commit()
        await self._consumer.stop()

    @property
    def shares(self) -> int:
        """How many partitions this process has."""
        return len(self._consumer.assignment())

    def owns(self, topic: Topic) -> bool:
        """Whether this process has a partition of the topic."""
        return any(at.topic == topic.name for at in self._consumer.assignment())

    async def run(self) -> None:
        """Bring records until cancelled. Raises ConsumerStalled, and what a lane raises."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes.values():
                    group.create_task(lane.run(log_ends_of(lane.table.topic, self._consumer)))
                for work in (self._poll, self._commit_forever, self._watch, self._measure_forever):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            # The first fault ends the others; it is the one to tell.
            raise errors.exceptions[0] from None

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Finish what is being inserted and commit it, so that the next owner starts after it.

        All partitions are given up at every rebalance (the eager protocol is the only one that aiokafka has). From before
        this call until the new assignment is known ``getmany`` returns nothing, so no lane gets a record of the old one.
        """
        await asyncio.gather(*(lane.release() for lane in self._lanes.values()))
        with contextlib.suppress(KafkaError):
            await self._commit()
        for lane in self._lanes.values():
            lane.done.clear()
        self._committed.clear()
        self._paused.clear()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        log.info("%d partitions assigned", len(assigned))
        self._progress_s = self._now_s()
        metrics.REBALANCES.inc()

    async def _poll(self) -> None:
        while True:
            # Nothing else runs from a record's leaving the consumer until it stands in a lane: no rebalance comes between.
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_ROWS)
            for at, records in batches.items():
                self._lanes[at.topic].add(records)
            self._steer()
            if batches:
                self._progress_s = self._now_s()

    def _steer(self) -> None:
        """Pause what a lane has no room for, resume what it has room for again."""
        for name, lane in self._lanes.items():
            partitions = [at for at in self._consumer.assignment() if at.topic == name]
            if name not in self._paused and lane.congested:
                self._paused.add(name)
                self._consumer.pause(*partitions)
            elif name in self._paused and lane.drained:
                self._paused.discard(name)
                self._consumer.resume(*partitions)

    async def _commit_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.sink_commit_interval_s)
            try:
                await self._commit()
            except KafkaError as error:
                log.warning("offsets are not committed: %s", type(error).__name__)

    async def _commit(self) -> None:
        assigned = self._consumer.assignment()
        done = {
            TopicPartition(name, number): offset
            for name, lane in self._lanes.items()
            for number, offset in lane.done.items()
        }
        new = {at: offset for at, offset in done.items() if at in assigned and self._committed.get(at) != offset}
        if new:
            await self._consumer.commit(new)
            self._committed.update(new)

    async def _watch(self) -> None:
        """End the process where Kafka has records and none come: a consumer can stall silently (aio-libs/aiokafka#1154)."""
        while True:
            await asyncio.sleep(self._settings.sink_stall_s / 4)
            silent_s = self._now_s() - self._progress_s
            if silent_s > self._settings.sink_stall_s and await self._has_more():
                raise ConsumerStalled(f"no record for {silent_s:.0f} s while Kafka has some")

    async def _measure_forever(self) -> None:
        while self._settings.sink_metrics_port:
            with contextlib.suppress(KafkaError, TimeoutError):
                await self._measure()
            await asyncio.sleep(_MEASURE_S)

    async def _measure(self) -> None:
        """Say how far each table is behind what Kafka has now; a fetch knows that only of partitions that are not paused."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        behind = dict.fromkeys(self._lanes, 0)
        for at, end in ends.items():
            reached = self._lanes[at.topic].next_offset(at.partition)
            behind[at.topic] += end - (await self._consumer.position(at) if reached is None else reached)
        metrics.PARTITIONS.set(len(ends))
        for name, lane in self._lanes.items():
            metrics.tell_lag(lane.table.name, behind[name], lane.oldest_ms)
            metrics.WAITING_BYTES.labels(lane.table.name).set(lane.waiting_bytes)
            metrics.PAUSED.labels(lane.table.name).set(name in self._paused)

    async def _has_more(self) -> bool:
        """Whether a partition that is not held back has records that were not brought."""
        wanted = [at for at in self._consumer.assignment() if at.topic not in self._paused]
        try:
            ends = await self._consumer.end_offsets(wanted)
            return any([await self._consumer.position(at) < end for at, end in ends.items()])
        except (KafkaError, TimeoutError):
            # The broker is away: a matter of waiting, not of this consumer.
            return False
