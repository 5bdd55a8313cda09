"""One table's way from the consumer into ClickHouse: a bounded buffer, batches by size and time, retries without end.

Lanes are independent, so that a table that ClickHouse is slow to take holds up no other. What can be done with records
before their insert is done as they arrive, while the insert before theirs runs in its thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sinks import metrics
from sinks.batches import Batch, Chunk, Refused, backoff_s, next_offsets, parts, take
from sinks.container import Record
from sinks.errors import DeadLetterUndelivered, EngineUnavailable, KafkaUnavailable
from sinks.log_ends import LogEnds
from sinks.settings import SinkSettings
from sinks.tables import Table

log = logging.getLogger(__name__)

Deliver = Callable[[Sequence[Refused]], Awaitable[None]]


class Writer(Protocol):
    """What a lane writes to: a TableWriter. Both calls block, and are never made at once. ``records`` are a ``Batch``."""

    def write(self, records: Sequence[Record], log_ends: LogEnds) -> list[Refused]: ...
    def forget(self) -> None: ...


class Lane:
    """``done`` is by partition the offset up to which (exclusive) all is in the table or on the dead letter topic."""

    def __init__(self, table: Table, writer: Writer, deliver: Deliver, settings: SinkSettings) -> None:
        self.table = table
        self.done: dict[int, int] = {}
        self._writer = writer
        self._deliver = deliver
        self._settings = settings
        self._waiting: deque[Chunk] = deque()
        self._bytes = 0
        self._rows = 0
        self._oldest_s = 0.0
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._generation = 0
        # By partition the first offset that came since it was assigned.
        self._first: dict[int, int] = {}
        self._writing: Batch | None = None

    @property
    def congested(self) -> bool:
        """Whether no more should be brought for now."""
        return self._bytes >= self._settings.sink_buffer_bytes

    @property
    def drained(self) -> bool:
        """Whether there is room for much more again."""
        return self._bytes <= self._settings.sink_buffer_bytes // 2

    def next_offset(self, partition: int) -> int | None:
        """The first offset of the partition that is not done; None where nothing of it has come yet."""
        return self.done.get(partition, self._first.get(partition))

    @property
    def oldest_ms(self) -> int | None:
        """The timestamp of the oldest record that is not done; None where there is none."""
        chunks = [*(self._writing.chunks if self._writing else ()), *self._waiting]
        return min((chunk.oldest_ms for chunk in chunks), default=None)

    @property
    def waiting_bytes(self) -> int:
        """Memory of records that wait for their insert."""
        return self._bytes

    def add(self, records: Sequence[Record]) -> None:
        """Take records of one partition in the order of their offsets."""
        if not records:
            return
        self._first.setdefault(records[0].partition, records[0].offset)
        if not self._waiting:
            self._oldest_s = time.monotonic()
        for part in parts(records, self._settings.sink_batch_rows, self._settings.sink_batch_bytes):
            self._waiting.append(Chunk.of(self.table, part))
            self._bytes += self._waiting[-1].bytes
            self._rows += len(part)
        self._arrived.set()
        if self._rows >= self._settings.sink_batch_rows or self._bytes >= self._settings.sink_batch_bytes:
            self._full.set()

    async def run(self, log_ends: LogEnds) -> None:
        """Write batches until cancelled."""
        while True:
            await self._arrived.wait()
            await self._linger()
            batch = self._next_batch()
            if batch:
                await self._write(batch, log_ends)

    async def release(self) -> None:
        """Give all partitions up: what waits is dropped, an insert that runs is waited for (its retries are not)."""
        self._generation += 1
        self._waiting.clear()
        self._first.clear()
        self._bytes = self._rows = 0
        await self._idle.wait()
        self._writer.forget()

    async def _linger(self) -> None:
        rest_s = self._oldest_s + self._settings.sink_linger_ms / 1000 - time.monotonic()
        if rest_s > 0 and not self._full.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), rest_s)

    def _next_batch(self) -> Batch:
        count = take(self._waiting, self._settings.sink_batch_rows, self._settings.sink_batch_bytes)
        batch = Batch([self._waiting.popleft() for _ in range(count)])
        self._bytes -= sum(each.bytes for each in batch.chunks)
        self._rows -= len(batch)
        self._oldest_s = time.monotonic()
        self._full.clear()
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _write(self, batch: Batch, log_ends: LogEnds) -> None:
        """Write until it is written, or until the partitions are given up: whoever has them next gets the batch again."""
        self._idle.clear()
        self._writing = batch
        try:
            with metrics.INSERT_SECONDS.labels(self.table.name).time():
                await self._write_until_done(batch, log_ends)
        finally:
            self._writing = None
            self._idle.set()

    async def _write_until_done(self, batch: Batch, log_ends: LogEnds) -> None:
        generation, attempt = self._generation, 0
        while generation == self._generation:
            try:
                await self._attempt(batch, log_ends)
                self.done.update(next_offsets(batch.chunks))
                metrics.RECORDS.labels(self.table.name).inc(len(batch))
                return
            except (EngineUnavailable, KafkaUnavailable, DeadLetterUndelivered) as error:
                log.warning("%s: batch of %d waits: %s: %s", self.table.name, len(batch), type(error).__name__, error)
                metrics.RETRIES.labels(self.table.name, type(error).__name__).inc()
                await asyncio.sleep(backoff_s(attempt, self._settings.sink_retry_max_s))
                attempt += 1

    async def _attempt(self, batch: Batch, log_ends: LogEnds) -> None:
        insert = asyncio.ensure_future(asyncio.to_thread(self._writer.write, batch, log_ends))
        try:
            refused = await asyncio.shield(insert)
        except asyncio.CancelledError:
            # A thread cannot be cancelled, and the engine must not be closed under it.
            await asyncio.wait([insert])
            raise
        if refused:
            log.error("%s: %d records refused, now on the dead letter topic", self.table.name, len(refused))
            await self._deliver(refused)
            for reason, count in Counter(each.reason for each in refused).items():
                metrics.DEAD_LETTERS.labels(self.table.name, reason).inc(count)
