"""Ends a worker that lives but no longer gets anywhere: its committed offset stands still while there is something to read.

aiokafka's consumers and Faust's recovery can hang without an error. What decides is pure and goes by what the broker says of
the worker's own partitions; a broker that does not answer says nothing, so nobody is ended for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from processors.errors import WorkerStalled

log = logging.getLogger(__name__)

_POLLS = 6
_MOST_PAUSE_S = 10.0
_ANSWER_S = 5.0


class Offsets(NamedTuple):
    """Of one partition: ``committed`` is None before the group's first commit, ``end`` follows the newest record."""

    committed: int | None
    end: int


class _Standing(NamedTuple):
    committed: int | None
    since_s: float


class Progress:
    """Which partitions have had lag without a commit for ``stall_after_s`` seconds. Times are of any monotonic clock."""

    def __init__(self, stall_after_s: float) -> None:
        self._stall_after_s = stall_after_s
        self._generation: object = None
        self._seen_s = 0.0
        self._standing: dict[TopicPartition, _Standing] = {}

    def observe(
        self, now_s: float, generation: object, partitions: Mapping[TopicPartition, Offsets] | None
    ) -> list[TopicPartition]:
        """Take a look into account: the partitions of this worker, or None where the broker did not answer.

        After a rebalance, an answer that did not come, or a pause of this very process all time counts anew.
        """
        paused = now_s - self._seen_s > self._stall_after_s / 2
        if partitions is None or generation != self._generation or paused:
            self._standing.clear()
        self._generation, self._seen_s = generation, now_s
        lagging = {tp: at for tp, at in (partitions or {}).items() if at.end > (at.committed or 0)}
        self._standing = {tp: self._stand(tp, at.committed, now_s) for tp, at in lagging.items()}
        return [tp for tp, standing in self._standing.items() if now_s - standing.since_s >= self._stall_after_s]

    def _stand(self, tp: TopicPartition, committed: int | None, now_s: float) -> _Standing:
        before = self._standing.get(tp)
        return before if before and before.committed == committed else _Standing(committed, now_s)


class Worker(NamedTuple):
    """What is asked of the worker: the partitions that it has now, and the generation of its group."""

    assignment: Callable[[], Collection[TopicPartition]]
    generation: Callable[[], object]


async def watch(bootstrap: str, group: str, worker: Worker, stall_after_s: float) -> None:
    """Look until cancelled.

    Raises:
        WorkerStalled: a partition's committed offset stood still for ``stall_after_s`` seconds while it had records.
    """
    progress, pause_s = Progress(stall_after_s), min(stall_after_s / _POLLS, _MOST_PAUSE_S)
    while True:
        # Of the group, but no member of it: nothing is subscribed to.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        try:
            await consumer.start()
            while True:
                await asyncio.sleep(pause_s)
                await _look(consumer, worker, progress)
        except KafkaError as error:
            log.info("the broker cannot be asked how far this worker is: %s", type(error).__name__)
            await asyncio.sleep(pause_s)
        finally:
            await consumer.stop()


async def _look(consumer: AIOKafkaConsumer, worker: Worker, progress: Progress) -> None:
    offsets = await _offsets(consumer, worker.assignment())
    for tp in progress.observe(time.monotonic(), worker.generation(), offsets):
        if offsets and await _has_records(consumer, tp, offsets[tp]):
            raise WorkerStalled(f"{tp.topic}-{tp.partition}: nothing committed for a long time although there are records")


async def _offsets(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, Offsets] | None:
    """None where the broker does not answer."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            ends = await consumer.end_offsets(list(partitions)) if partitions else {}
            return {tp: Offsets(await consumer.committed(tp), end) for tp, end in ends.items()}
    except (KafkaError, TimeoutError):
        return None


async def _has_records(consumer: AIOKafkaConsumer, tp: TopicPartition, at: Offsets) -> bool:
    """Whether a record can be read there: offsets are also taken by what no reader gets, such as marks of transactions."""
    consumer.assign([tp])
    try:
        async with asyncio.timeout(_ANSWER_S):
            if at.committed is None:
                await consumer.seek_to_beginning(tp)
            else:
                consumer.seek(tp, at.committed)
            return bool(await consumer.getmany(tp, timeout_ms=int(_ANSWER_S * 500), max_records=1))
    except (KafkaError, TimeoutError):
        return False
    finally:
        consumer.unsubscribe()
