"""One receiver's way from the topic: its own consumer group, its own window, its own pace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from processors.clock import Clock
from processors.delivery import metrics
from processors.delivery.alert import read_alert
from processors.delivery.courier import Courier
from processors.delivery.dead_letters import DeadLetters
from processors.delivery.errors import ConsumerStalled, Gone, NotDelivered
from processors.delivery.kafka import CALL_S, history, member
from processors.delivery.sender import Sender
from processors.delivery.settings import DeliverySettings
from processors.delivery.window import Window
from schemas.errors import CodecError

log = logging.getLogger(__name__)

_POLL_MS = 200
_WATCH_S = 1.0
_PAUSE_S = 1.0


class Runner(ConsumerRebalanceListener):  # type: ignore[misc]
    """Serves one receiver. ``run`` ends with its cancellation only; nothing of it reaches another receiver.

    Attributes:
        joined: set once the receiver's group has given this process its share of the topic.
    """

    def __init__(
        self, sender: Sender, settings: DeliverySettings, clock: Clock, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.joined = asyncio.Event()
        self._sender = sender
        self._receiver = sender.receiver
        self._settings = settings
        self._clock = clock
        self._now_s = now_s
        dead_letters = DeadLetters(settings.kafka, settings.produce_timeout_s)
        self._courier = Courier(sender, dead_letters, settings.delivery_concurrency, clock)
        self._consumer: AIOKafkaConsumer | None = None
        self._new_window()

    async def run(self) -> None:
        """Deliver until cancelled; a fault begins a new consumer, a receiver that is gone gets nothing more."""
        while True:
            try:
                await self._session()
            except Gone:
                log.error("%s answered 410 Gone: it gets no more alerts until its entry changes", self._receiver.name)
                metrics.PAUSED.labels(self._receiver.name).set(1)
                await asyncio.Event().wait()
            except Exception as error:  # noqa: BLE001 - whatever it is, this receiver goes on and the others never stop
                log.warning("%s: begins anew: %s", self._receiver.name, type(error).__name__)
                await asyncio.sleep(_PAUSE_S)

    async def close(self) -> None:
        """Release the connections to the receiver."""
        await self._sender.close()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Commit what is done and leave the rest to the next owner. All partitions are given up at every rebalance."""
        self._restored = False
        await self._commit()
        await self._window.cancel()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._generation += 1
        self._held = False
        self._moved_s = self._now_s()
        self.joined.set()

    def _new_window(self) -> None:
        self._window = Window(self._courier, self._receiver.name, self._settings.delivery_window)
        self._generation = 0
        self._restored = self._held = False
        self._committed: dict[TopicPartition, int] = {}
        self._moved_s = self._now_s()

    async def _session(self) -> None:
        self._new_window()
        async with member(self._settings.kafka, self._receiver.group, self) as consumer:
            self._consumer = consumer
            try:
                async with asyncio.TaskGroup() as group:
                    for work in (self._poll, self._commit_forever, self._watch, self._resend_forever, self._window.run):
                        group.create_task(work())
            except BaseExceptionGroup as errors:
                # The first fault ends the others; it is the one to tell.
                raise errors.exceptions[0] from None
            finally:
                await self._commit()
                await self._window.cancel()
                self._consumer = None

    async def _poll(self) -> None:
        assert self._consumer is not None  # noqa: S101 - runs inside a session
        while True:
            self._hold_or_go_on(self._consumer)
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=max(1, self._window.room))
            generation = self._generation
            if not self._restored:
                await self._restore(self._consumer)
            # Records of partitions that were given up in the meantime are somebody else's.
            if generation != self._generation:
                continue
            self._restored = bool(self._consumer.assignment())
            for record in (record for records in batches.values() for record in records):
                self._moved_s = self._now_s()
                self._window.add(record)

    def _hold_or_go_on(self, consumer: AIOKafkaConsumer) -> None:
        """Let nothing come while the window is full; the calls for records go on, as a member of a group has to."""
        if not self._held and self._window.room <= 0:
            self._held = True
            consumer.pause(*consumer.assignment())
        elif self._held and self._window.drained:
            self._held = False
            self._moved_s = self._now_s()
            consumer.resume(*consumer.assignment())

    async def _restore(self, consumer: AIOKafkaConsumer) -> None:
        """Learn from the topic which alerts fire: what the receiver was told before these partitions came here."""
        book = self._sender.book
        if book is None:
            return
        book.clear()
        ends = {at: end for at in consumer.assignment() if (end := await consumer.committed(at)) is not None}
        since_ms = self._clock() - int(self._settings.delivery_history_s * 1000)
        async for record in history(self._settings.kafka, since_ms, ends):
            with contextlib.suppress(CodecError):
                book.restore(read_alert(record.value))

    async def _resend_forever(self) -> None:
        if self._sender.book is None:
            return
        while True:
            await asyncio.sleep(self._settings.delivery_resend_s)
            if self._restored:
                await self._resend()

    async def _resend(self) -> None:
        outcome = "ok"
        try:
            await self._sender.resend()
        except Gone:
            raise
        except NotDelivered as error:
            outcome = "failed"
            log.warning("%s was not told again what fires: %s", self._receiver.name, error.reason)
        metrics.RESENT.labels(self._receiver.name, outcome).inc()

    async def _commit_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.delivery_commit_interval_s)
            await self._commit()

    async def _commit(self) -> None:
        if self._consumer is None:
            return
        done = {TopicPartition(at.topic, at.partition): end for at, end in self._done().items()}
        new = {at: end for at, end in done.items() if self._committed.get(at) != end}
        try:
            if new:
                async with asyncio.timeout(CALL_S):
                    await self._consumer.commit(new)
                self._committed.update(new)
        except (KafkaError, TimeoutError) as error:
            log.warning("%s: offsets are not committed: %s", self._receiver.name, type(error).__name__)

    def _done(self) -> dict[TopicPartition, int]:
        assigned = {at.partition: at for at in self._consumer.assignment()} if self._consumer else {}
        committable = self._window.progress.committable()
        return {assigned[number]: end for number, end in committable.items() if number in assigned}

    async def _watch(self) -> None:
        """Measure, and end the session where Kafka has records and none come (aio-libs/aiokafka#1154)."""
        while True:
            await asyncio.sleep(min(_WATCH_S, self._settings.delivery_stall_s / 4))
            self._measure_age()
            try:
                behind = await self._measure_lag()
            except (KafkaError, TimeoutError):
                continue  # the broker is away: a matter of waiting, not of this consumer
            if not behind or self._held:
                self._moved_s = self._now_s()
            if self._now_s() - self._moved_s > self._settings.delivery_stall_s:
                raise ConsumerStalled("there are alerts that do not arrive")

    def _measure_age(self) -> None:
        oldest_ms = self._window.progress.oldest_ms()
        age_s = 0.0 if oldest_ms is None else max(0.0, (self._clock() - oldest_ms) / 1000)
        metrics.OLDEST.labels(self._receiver.name).set(age_s)
        if self._sender.book is not None:
            metrics.FIRING.labels(self._receiver.name).set(len(self._sender.book))

    async def _measure_lag(self) -> bool:
        """Whether Kafka has records that did not come yet."""
        assert self._consumer is not None  # noqa: S101 - runs inside a session
        assigned = list(self._consumer.assignment())
        async with asyncio.timeout(CALL_S):
            ends: dict[TopicPartition, int] = await self._consumer.end_offsets(assigned) if assigned else {}
            positions = {at: await self._consumer.position(at) for at in ends}
        done = {**positions, **self._done()}
        metrics.LAG.labels(self._receiver.name).set(sum(end - done[at] for at, end in ends.items()))
        return any(positions[at] < end for at, end in ends.items())
