"""The edge's way into Kafka: batched per partition, acknowledged by all replicas, bounded in time and memory.

A round takes what all partitions have gathered, and one acknowledgement answers all requests of a batch: a request to the
broker costs 0.1 to 0.25 ms whatever is in it. Rounds are at least ``linger_s`` apart; after a pause a record leaves at once.
The order within a partition is the order of ``send``.

While a batch stays unacknowledged for longer than ``timeout_s``, or for a quarter of a second without a connection to any
broker, the broker counts as away: new records are refused at once, so that memory stays bounded and no request hangs. A
refused or timed-out record may still arrive later; that is harmless, since clients send the same ids again. The other way
round never happens: ``send`` returns only for what Kafka has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType

from aiokafka.errors import KafkaTimeoutError
from aiokafka.partitioner import murmur2

from ingest.errors import BrokerUnavailable
from ingest.kafka_link import KafkaLink, KeyedValue
from ingest.metrics import BATCH_BYTES, BATCH_RECORDS
from ingest.readiness import AWAY, OK
from schemas.topics import Topic

log = logging.getLogger(__name__)

_RECORD_OVERHEAD = 64
_PROBE_S = 0.25
_MAX_BATCH_BYTES = 512 * 1024

# Called once: with None when the record is stored, or with why it is given up.
Settled = Callable[[BrokerUnavailable | None], None]


@lru_cache(maxsize=200_000)
def partition_for(key: bytes, partitions: int) -> int:
    """Kafka's default partition of a key (murmur2, which costs as much as an Avro encoding)."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class _Acknowledgement(asyncio.Future[None]):
    """Shared by every request of a batch, so one request's cancellation must not cancel it for the others."""

    def cancel(self, msg: object = None) -> bool:
        return False


class _Batch:
    """Records of one partition that go out together. ``overdue`` once its requests have been told that it is late."""

    __slots__ = ("acknowledged", "overdue", "records", "settled", "size", "timer")

    def __init__(self) -> None:
        self.records: list[KeyedValue] = []
        self.size = 0
        self.overdue = False
        self.acknowledged = _Acknowledgement()
        self.acknowledged.add_done_callback(_consume_exception)
        self.timer: asyncio.TimerHandle | None = None
        self.settled: list[Settled] = []

    def settle(self, error: BrokerUnavailable | None) -> None:
        """Tell all who wait. One that cannot take it must not keep it from the others."""
        if error is None:
            self.acknowledged.set_result(None)
        else:
            self.acknowledged.set_exception(error)
        for settled in self.settled:
            try:
                settled(error)
            except Exception as fault:  # noqa: BLE001
                log.error("an answer could not be given: %s", type(fault).__name__)
        self.settled.clear()


def _consume_exception(future: asyncio.Future[None]) -> None:
    future.exception()


class BatchingProducer:
    """Sends records; see the module's text. Use as an async context manager."""

    def __init__(self, bootstrap: str, *, linger_s: float, timeout_s: float, max_unacknowledged_bytes: int) -> None:
        self._link = KafkaLink(bootstrap)
        self._linger_s = linger_s
        self._timeout_s = timeout_s
        self._max_bytes = max_unacknowledged_bytes
        self._bytes = 0
        self._unsettled: dict[_Batch, float] = {}
        self._open: dict[tuple[str, int], _Batch] = {}
        self._busy: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._overdue = 0
        self._round: asyncio.TimerHandle | None = None
        self._last_round_s = 0.0

    async def __aenter__(self) -> BatchingProducer:
        await self._link.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        while self._open or self._tasks:
            for lane in [lane for lane in self._open if lane not in self._busy]:
                self._flush(lane)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not self._tasks:
                break
            await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            task.cancel()
        await self._link.stop(self._timeout_s)
        for task in self._tasks:
            task.cancel()

    @property
    def available(self) -> bool:
        """Whether records are accepted now."""
        return self._overdue == 0 and self._bytes < self._max_bytes

    @property
    def unacknowledged_bytes(self) -> int:
        """Of all records whose fate is not known yet."""
        return self._bytes

    def oldest_unacknowledged_s(self) -> float:
        """How long the oldest batch has waited; 0 where none does."""
        oldest = next(iter(self._unsettled.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def state(self) -> str:
        """What ``/readyz`` says of the broker."""
        return OK if self.available else AWAY

    async def send(self, topic: Topic, key: bytes, value: bytes) -> None:
        """Send one record and return when all in-sync replicas have it.

        Raises:
            BrokerUnavailable: not acknowledged in time, or refused because earlier records wait.
        """
        await self.enqueue(topic, partition_for(key, topic.partitions), key, value)

    def enqueue(self, topic: Topic, partition: int, key: bytes | None, value: bytes) -> asyncio.Future[None]:
        """Put a record into its partition's batch; the future ends with the acknowledgement. Raises BrokerUnavailable."""
        return self._put(topic, partition, key, value).acknowledged

    def put(self, topic: Topic, key: bytes, value: bytes, settled: Settled) -> None:
        """As ``enqueue``, for who can do without a task: ``settled`` is called later. Raises BrokerUnavailable at once."""
        self._put(topic, partition_for(key, topic.partitions), key, value).settled.append(settled)

    def _put(self, topic: Topic, partition: int, key: bytes | None, value: bytes) -> _Batch:
        if not self.available:
            raise BrokerUnavailable("the message was not stored; send it again later")
        lane = (topic.name, partition)
        batch = self._open.get(lane)
        if batch is None:
            batch = self._open_batch(lane)
        size = len(value) + len(key or b"") + _RECORD_OVERHEAD
        batch.records.append((key, value))
        batch.size += size
        self._bytes += size
        if batch.size >= _MAX_BATCH_BYTES and lane not in self._busy:
            self._flush(lane)
        return batch

    def _open_batch(self, lane: tuple[str, int]) -> _Batch:
        loop = asyncio.get_running_loop()
        batch = self._open[lane] = _Batch()
        self._unsettled[batch] = time.monotonic()
        batch.timer = loop.call_later(_PROBE_S, self._probe, batch, loop.time() + self._timeout_s)
        self._plan_round()
        return batch

    def _plan_round(self) -> None:
        if self._round is None:
            loop = asyncio.get_running_loop()
            self._round = loop.call_at(max(loop.time(), self._last_round_s + self._linger_s), self._flush_round)

    def _flush_round(self) -> None:
        """All lanes leave in one request. While a lane's last batch is under way its next one goes on filling."""
        self._round = None
        self._last_round_s = asyncio.get_running_loop().time()
        for lane in [lane for lane in self._open if lane not in self._busy]:
            self._flush(lane)

    def _flush(self, lane: tuple[str, int]) -> None:
        self._busy.add(lane)
        task = asyncio.get_running_loop().create_task(self._deliver(lane, self._open.pop(lane)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, lane: tuple[str, int], batch: _Batch) -> None:
        try:
            await self._link.produce(*lane, batch.records)
        except Exception as error:  # noqa: BLE001 - whatever it is, the requests that wait must get an answer
            log.warning("a batch was not stored: %s", type(error).__name__)
            self._settle(batch, BrokerUnavailable("the message was not stored; send it again"))
            if not isinstance(error, KafkaTimeoutError):
                await self._link.mend()
        else:
            self._settle(batch, None)
        self._busy.discard(lane)
        if lane in self._open:
            self._plan_round()

    def _probe(self, batch: _Batch, deadline_s: float) -> None:
        """A late batch of a broker that is only slow may go on waiting; where there is no broker it is overdue."""
        loop = asyncio.get_running_loop()
        left_s = deadline_s - loop.time()
        if left_s <= 0 or not self._link.connected():
            self._is_overdue(batch)
        else:
            batch.timer = loop.call_later(min(_PROBE_S, left_s), self._probe, batch, deadline_s)

    def _is_overdue(self, batch: _Batch) -> None:
        """The requests get their answer now; the batch keeps its place and is the probe for the broker's return."""
        self._overdue += 1
        batch.overdue = True
        batch.settle(BrokerUnavailable("the message was not stored in time; send it again"))

    def _settle(self, batch: _Batch, error: BrokerUnavailable | None) -> None:
        self._bytes -= batch.size
        self._unsettled.pop(batch, None)
        BATCH_RECORDS.observe(len(batch.records))
        BATCH_BYTES.observe(batch.size)
        if batch.timer is not None:
            batch.timer.cancel()
        if batch.overdue:
            self._overdue -= 1
        else:
            batch.settle(error)
