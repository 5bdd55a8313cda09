"""What the agents write: to topics of the contract, durable on return, and records nobody can read to the dead letters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Any, NamedTuple

import faust
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from faust.exceptions import FaustError

from processors import alerts
from processors.alerting import signals
from processors.alerting.signal_clock import watermark_name
from processors.alerting.signals import Signal
from processors.alerts import Alert
from processors.clock import Clock
from processors.errors import DeliveryFailed
from schemas import codec, dead_letters
from schemas.topics import ALERTS, DLQ, SIGNALS, Topic

Headers = Sequence[tuple[str, bytes]]


class Outgoing(NamedTuple):
    """A record for a topic of the contract."""

    topic: Topic
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def keyed(topic: Topic, record: dict[str, Any]) -> Outgoing:
    """A record in the topic's own schema, under the topic's own key."""
    return Outgoing(topic, str(record[topic.key]).encode(), codec.encode(topic.schemas[0], record))


def alerting(alert: Alert, now_ms: int) -> Outgoing:
    """An alert with its CloudEvents headers."""
    record = keyed(ALERTS, alerts.to_record(alert, now_ms))
    return record._replace(headers=alerts.cloud_event_headers(alert))


def signalling(signal: Signal) -> Outgoing:
    """A signal for the rules."""
    return keyed(SIGNALS, signals.to_record(signal))


def watermark(partition: int, watermark_ms: int) -> Outgoing:
    """How far a partition of the heartbeats has seen, for the clock of the rules."""
    name = watermark_name(partition)
    record = {"edge": name, "timestamp": watermark_ms, "sequence": watermark_ms}
    return Outgoing(SIGNALS, name.encode(), codec.encode("tick", record))


def dead_letter(record: ConsumerRecord, error: Exception) -> Outgoing:
    """A record nobody can use, for the dead letters."""
    return Outgoing(DLQ, *dead_letters.letter(record, type(error).__name__))


class Outbox:
    """Writes through the app's own producer."""

    def __init__(self, app: faust.App, clock: Clock, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self.clock = clock

    async def write(self, records: Iterable[Outgoing]) -> None:
        """Return when all replicas have all of them. Raises DeliveryFailed."""
        producer = self._app.producer
        async with _delivering(self._timeout_s):
            waiting = [
                await producer.send(row.topic.name, row.key, row.value, None, None, list(row.headers)) for row in records
            ]
            await asyncio.gather(*waiting)

    async def settle(self, waiting: Iterable[Awaitable[Any]]) -> None:
        """Return when all writes that are under way are acknowledged. Raises DeliveryFailed."""
        async with _delivering(self._timeout_s):
            await asyncio.gather(*waiting)


@contextlib.asynccontextmanager
async def _delivering(timeout_s: float) -> AsyncIterator[None]:
    """Bounds the wait: a producer may wait for ever for a broker that is away."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (TimeoutError, KafkaError, FaustError) as error:
        raise DeliveryFailed(f"Kafka did not acknowledge a write: {type(error).__name__}") from error
