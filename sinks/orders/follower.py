"""Follows the topic of orders: one process has its partition, and commits an order when it is settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import CodecError
from schemas.topics import WAREHOUSE_ORDERS
from sinks.batches import Refused
from sinks.container import Record
from sinks.errors import ConsumerStalled, DeadLetterUndelivered
from sinks.orders.order import Order, order_of
from sinks.settings import SinkSettings

log = logging.getLogger(__name__)

_AT = TopicPartition(WAREHOUSE_ORDERS.name, 0)
_POLL_MS = 1_000
_AGAIN_S = 2.0
# An order may take hours; a process that is gone is told by the session timeout.
_LONGEST_ORDER_MS = 24 * 3_600_000
_QUIET_POLLS = 30


class OrderFollower:
    """Brings orders in the order in which they were given.

    Args:
        settle: returns when an order needs to be brought no more.
        deliver: puts what is no order on the dead letter topic.
        tick: awaited between orders, while this process is the one that has them.
    """

    def __init__(
        self,
        settings: SinkSettings,
        settle: Callable[[Order], Awaitable[None]],
        deliver: Callable[[list[Refused]], Awaitable[None]],
        tick: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._settle = settle
        self._deliver = deliver
        self._tick = tick

    async def run(self) -> None:
        """Until cancelled. A broker that is away is waited for."""
        while True:
            try:
                await self._follow()
            except (KafkaError, ConsumerStalled, DeadLetterUndelivered, OSError) as error:
                log.warning("no orders to the warehouse can be read now: %s", type(error).__name__)
            await asyncio.sleep(_AGAIN_S)

    async def _follow(self) -> None:
        consumer = self._consumer()
        try:
            await consumer.start()
            quiet = 0
            while True:
                records = await consumer.getmany(timeout_ms=_POLL_MS, max_records=1)
                quiet = 0 if records else quiet + 1
                for record in records.get(_AT, ()):
                    await self._take(record)
                    await consumer.commit({_AT: record.offset + 1})
                if _AT in consumer.assignment():
                    await self._tick()
                if quiet and quiet % _QUIET_POLLS == 0:
                    await _require_none_left(consumer)
        finally:
            await consumer.stop()

    async def _take(self, record: Record) -> None:
        try:
            order = order_of(record.value)
        except CodecError as error:
            log.error("an order to the warehouse cannot be read: %s", error)
            await self._deliver([Refused(record, type(error).__name__)])
            return
        await self._settle(order)

    def _consumer(self) -> AIOKafkaConsumer:
        settings = self._settings
        return AIOKafkaConsumer(
            WAREHOUSE_ORDERS.name,
            bootstrap_servers=settings.kafka,
            group_id=f"{settings.sink_group}-orders",
            group_instance_id=settings.group_instance_id,
            session_timeout_ms=int(settings.sink_session_timeout_s * 1_000),
            heartbeat_interval_ms=int(settings.sink_session_timeout_s * 1_000 / 3),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=_LONGEST_ORDER_MS,
        )


async def _require_none_left(consumer: AIOKafkaConsumer) -> None:
    """A consumer can stall silently (aio-libs/aiokafka#1154). Raises ConsumerStalled."""
    if _AT in consumer.assignment():
        ends = await consumer.end_offsets([_AT])
        if await consumer.position(_AT) < ends[_AT]:
            raise ConsumerStalled("orders are there and none comes")
