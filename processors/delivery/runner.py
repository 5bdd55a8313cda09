"""One receiver's way from the topic: its own consumer group, its own window, its own pace."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from processors.clock import Clock
from processors.delivery import metrics
from processors.delivery.courier import Courier
from processors.delivery.dead_letters import DeadLetters
from processors.delivery.errors import Gone, NotDelivered
from processors.delivery.kafka import CALL_S, member
from processors.delivery.progress import Checkpoint
from processors.delivery.recovery import recover
from processors.delivery.sender import Sender
from processors.delivery.settings import DeliverySettings
from processors.delivery.watch import Watch
from processors.delivery.window import Window
from schemas.topics import ALERTS

log = logging.getLogger(__name__)

_POLL_MS = 200
_PAUSE_S = 1.0
_LAST_COMMIT_S = 3.0


class Runner:
    """Serves one receiver. ``run`` ends with its cancellation only; nothing of it reaches another receiver.

    Attributes:
        joined: set once the receiver's group has given this process its share of the topic.
        session: the present one.
    """

    def __init__(
        self, sender: Sender, settings: DeliverySettings, clock: Clock, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.joined = asyncio.Event()
        self.session: Session | None = None
        self._sender = sender
        self._name = sender.receiver.name
        self._settings = settings
        self._clock = clock
        self._now_s = now_s

    async def run(self) -> None:
        """Deliver until cancelled; a fault begins a new session, a receiver that is gone gets nothing more."""
        while True:
            try:
                self.session = Session(self._sender, self._settings, self._clock, self._now_s, self.joined)
                await self.session.run()
            except Gone:
                log.error("%s answered 410 Gone: it gets no more alerts until its entry changes", self._name)
                metrics.PAUSED.labels(self._name).set(1)
                await asyncio.Event().wait()
            except Exception as error:  # noqa: BLE001 - whatever it is, this receiver goes on and the others never stop
                log.warning("%s: begins anew: %s", self._name, type(error).__name__)
                await asyncio.sleep(_PAUSE_S)

    async def close(self) -> None:
        """Release the connections to the receiver."""
        await self._sender.close()


class Session(ConsumerRebalanceListener):  # type: ignore[misc]
    """One consumer's time as a member of the receiver's group."""

    def __init__(
        self,
        sender: Sender,
        settings: DeliverySettings,
        clock: Clock,
        now_s: Callable[[], float],
        joined: asyncio.Event,
    ) -> None:
        self.consumer: AIOKafkaConsumer | None = None
        self._joined = joined
        self._sender = sender
        self._receiver = sender.receiver
        self._settings = settings
        self._clock = clock
        dead_letters = DeadLetters(settings.kafka, settings.produce_timeout_s)
        courier = Courier(sender, dead_letters, settings.delivery_concurrency, clock)
        self._window = Window(courier, self._receiver.name, settings.delivery_window)
        self._watch = Watch(sender, settings.delivery_stall_s, clock, now_s)
        self._generation = 0
        self._recovered = self._held = False
        self._committed: dict[int, Checkpoint] = {}

    async def run(self) -> None:
        """Deliver until cancelled. Raises what ends the session: Gone, ConsumerStalled, KafkaError, TimeoutError."""
        async with member(self._settings.kafka, self._receiver.group, self) as consumer:
            self.consumer = consumer
            try:
                async with asyncio.TaskGroup() as group:
                    for work in (self._poll, self._commit_forever, self._watch_forever, self._resend_forever):
                        group.create_task(work(consumer))
                    group.create_task(self._window.run())
            except BaseExceptionGroup as errors:
                # The first fault ends the others; it is the one to tell.
                raise errors.exceptions[0] from None
            finally:
                await self._commit(consumer, _LAST_COMMIT_S)
                await self._window.cancel()
                self.consumer = None

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Commit what is done and leave the rest to the next owner. All partitions are given up at every rebalance."""
        self._recovered = False
        if self.consumer is not None:
            await self._commit(self.consumer, CALL_S)
        await self._window.cancel()
        self._committed.clear()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._generation += 1
        self._held = False
        self._watch.moved()
        self._joined.set()

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            self._hold_or_go_on(consumer)
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=max(1, self._window.room))
            generation = self._generation
            if not self._recovered and consumer.assignment():
                await self._recover(consumer)
            # Records of partitions that were given up in the meantime are somebody else's.
            if generation != self._generation:
                continue
            for record in (record for records in batches.values() for record in records):
                self._watch.moved()
                self._window.add(record)

    def _hold_or_go_on(self, consumer: AIOKafkaConsumer) -> None:
        """Let nothing come while the window is full; the calls for records go on, as a member of a group has to."""
        if not self._held and self._window.room <= 0:
            self._held = True
            consumer.pause(*consumer.assignment())
        elif self._held and self._window.drained:
            self._held = False
            self._watch.moved()
            consumer.resume(*consumer.assignment())

    async def _recover(self, consumer: AIOKafkaConsumer) -> None:
        generation, book = self._generation, self._sender.book
        since_ms = self._clock() - int(self._settings.delivery_history_s * 1000)
        done = await recover(self._settings.kafka, self._receiver.group, consumer.assignment(), book, since_ms)
        if generation == self._generation:
            self._window.begin(done)
            self._recovered = True

    async def _resend_forever(self, consumer: AIOKafkaConsumer) -> None:
        while self._sender.book is not None:
            await asyncio.sleep(self._settings.delivery_resend_s)
            if self._recovered:
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

    async def _commit_forever(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await asyncio.sleep(self._settings.delivery_commit_interval_s)
            await self._commit(consumer, CALL_S)

    async def _commit(self, consumer: AIOKafkaConsumer, within_s: float) -> None:
        assigned = {at.partition for at in consumer.assignment()}
        done = {number: each for number, each in self._window.progress.checkpoints().items() if number in assigned}
        new = {number: each for number, each in done.items() if self._committed.get(number) != each}
        try:
            if new:
                async with asyncio.timeout(within_s):
                    await consumer.commit({TopicPartition(ALERTS.name, number): tuple(each) for number, each in new.items()})
                self._committed.update(new)
        except (KafkaError, TimeoutError) as error:
            log.warning("%s: offsets are not committed: %s", self._receiver.name, type(error).__name__)

    async def _watch_forever(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await asyncio.sleep(self._watch.interval_s)
            try:
                await self._watch.look(consumer, self._window, self._held)
            except (KafkaError, TimeoutError) as error:
                # A matter of waiting, not of this consumer.
                log.info("%s: the broker does not say how far behind it is: %s", self._receiver.name, type(error).__name__)
                self._watch.moved()
